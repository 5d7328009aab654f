"""Targets: which rows have one, which task it is, and that distinct labels stay distinct."""

import numpy as np
import pandas as pd
import pytest

import jaxgd


def target(cells):
    return pd.DataFrame({"a": np.arange(len(cells)) % 7, "y": cells})


def classes_of(table):
    """`{name: rows}`, counted in the labels."""
    labels = np.concatenate([part[1] for part in (table.train, table.valid, table.test)])
    return {name: int((labels == place).sum()) for place, name in enumerate(table.classes)}


@pytest.mark.parametrize(
    ("cells", "counts"),
    [
        (["b", "a", "NA"] * 20, {"a": 20, "b": 20}),
        (["b", "a", None, ""] * 20, {"a": 20, "b": 20}),
        (["1", "0", "nan", "?"] * 20, {"0": 20, "1": 20}),
        (["1", "0", "-"] * 20, {"0": 20, "1": 20}),
        (["None", "mild"] * 20, {"None": 20, "mild": 20}),
        (["+", "-"] * 20, {"+": 20, "-": 20}),
        ([True, False] * 20, {"False": 20, "True": 20}),
        ([2**53, 2**53 + 1, 2**53 + 2] * 20, {str(2**53 + i): 20 for i in range(3)}),
        (["01", "1"] * 20, {"01": 20, "1": 20}),
        (["10", "9", "-1"] * 20, {"-1": 20, "9": 20, "10": 20}),
        ([1.0, 2.0, None] * 20, {"1": 20, "2": 20}),
        ([" yes", "yes ", "no"] * 20, {"no": 20, "yes": 40}),
    ],
    ids=str,
)
def test_classes(write, cells, counts):
    data = target(cells)
    for source in (data, write(data.to_csv(index=False))):
        table = jaxgd.table(source, "y")
        assert classes_of(table) == counts
        assert table.report.classes == counts
        assert table.report.num_without_target == len(cells) - sum(counts.values())


def test_rows_without_a_target_are_said():
    report = jaxgd.table(target(["b", "a", "NA"] * 20), "y").report
    assert "40: 24 train, 8 valid, 8 test" in report.facts()["Rows"]
    assert report.facts()["Rows"].endswith("; 20 without a target left out")


def test_words_are_classes_among_numbers_if_asked():
    cells = ["1", "2", "unknown"] * 20
    with pytest.raises(
        ValueError, match=r"row 2 \(from 0\), column 'y': 'unknown' is not a number; the target is"
    ):
        jaxgd.table(target(cells), "y")
    assert jaxgd.table(target(cells), "y", task="classification").classes == ("1", "2", "unknown")


@pytest.mark.parametrize(
    ("cells", "task", "expected"),
    [
        ([0.5, 1, 2] * 20, None, "regression"),
        (list(range(60)), None, "regression"),
        ([i % 20 for i in range(60)], None, "classification"),
        ([i % 21 for i in range(60)], None, "regression"),
        ([0, 1] * 30, "regression", "regression"),
        ([i % 25 for i in range(60)], "classification", "classification"),
        (["1.5", "NA", "2.5", "-"] * 20, None, "regression"),
    ],
    ids=str,
)
def test_tasks(cells, task, expected):
    assert jaxgd.table(target(cells), "y", task=task).task == expected


@pytest.mark.parametrize(
    ("cells", "options", "message"),
    [
        (["yes"] * 20, {}, "the target is yes in every row; at least two values are needed"),
        ([1] * 20, {}, "the target is 1 in every row; at least two values are needed"),
        ([1, None] * 20, {}, "the target is 1 in every row"),
        (["NA", ""] * 20, {}, "the target 'y' is empty in every row"),
        ([f"n{i}" for i in range(120)], {}, "each of the 120 rows has a class of its own, such as 'n0'"),
        (["a", "b"] * 10 + ["c"], {}, "the class 'c' has a single row; every class needs two or more"),
        (["a", "a"] * 10 + ["c", "d"], {}, "the class 'c' has a single row, as have 1 others"),
        ([1, 2] * 10 + [8], {}, r"the class '8' has a single row.*may also be a regression: task regression"),
        (
            ["1e3", "1000", "5"] * 10,
            {},
            "column 'y': '1000' and '1e3' are one number; a class is written in one",
        ),
        (
            ["0.5", "1"] * 10,
            {"task": "classification"},
            "'0.5' is not a class; whole numbers or text are needed",
        ),
        (["a", "b"] * 10, {"task": "regression"}, "'a' is not a number"),
        ([1.5, np.inf] * 10, {}, "'inf' is not a finite number"),
        ([1.5, 1e39] * 10, {}, "the target 1e[+]39 is out of the range of float32"),
        ([[1], [2]] * 10, {}, r"the target 'y' holds lists, such as \[1\]; texts or numbers are needed"),
    ],
    ids=str,
)
def test_targets_that_cannot_be_learnt(cells, options, message):
    with pytest.raises(ValueError, match=message):
        jaxgd.table(target(cells), "y", **options)


def test_training_rows_of_one_value():
    data = target(["a"] * 30 + ["b"] * 30).assign(s=["train"] * 30 + ["valid", "test"] * 15)
    with pytest.raises(ValueError, match=r"of the training rows, the target is a in every row"):
        jaxgd.table(data, "y", split="s")
    data = data.assign(y=[1.5] * 30 + [*range(30)])
    with pytest.raises(ValueError, match=r"of the training rows, the target is 1.5 in every row"):
        jaxgd.table(data, "y", split="s")


@pytest.mark.parametrize("cells", [["yes", "no", "7", "no"], ["yes", "", "7", "no"]])
def test_the_odd_row_is_named(write, cells):
    with pytest.raises(
        ValueError, match=r"t.csv: row 3 \(line 4\), column 'y': '7' is a number, but most rows of"
    ):
        jaxgd.table(write("a,y\n" + "".join(f"1,{cell}\n" for cell in cells)), "y")
