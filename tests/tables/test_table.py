"""`jaxgd.table`: tables as people have them, what becomes of their columns, and what is refused."""

import pickle
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer

import jaxgd
import jaxgd.tables
from jaxgd.tables.reading import read_table

WORDS = ["ash", "beech", "cedar", "elm", "fir"]


def frame(rows=60, seed=0, **columns) -> Any:
    """Rows with a number `a`, a target `y` of two classes, and these columns."""
    generator = np.random.default_rng(seed)
    cells = {"a": generator.normal(size=rows).round(3), **columns, "y": generator.choice(["no", "yes"], rows)}
    return pd.DataFrame(cells)


def kinds(table):
    return {column.name: column.kind for column in table.report.columns}


def reasons(table):
    return {column.name: column.reason for column in table.report.columns if column.reason}


def test_what_a_table_is():
    table = jaxgd.table(frame(kind=[WORDS[i % 5] for i in range(60)]), "y")
    assert [len(part[0]) for part in (table.train, table.valid, table.test)] == [36, 12, 12]
    assert (table.task, table.target, table.classes) == ("classification", "y", ("no", "yes"))
    assert table.features == ("a", *(f"kind={word}" for word in WORDS))
    assert isinstance(table.preparation, ColumnTransformer)
    inputs, labels = table.train
    assert (inputs.dtype, inputs.shape, labels.dtype) == (np.float32, (36, 6), np.int32)
    np.testing.assert_allclose([inputs[:, 0].mean(), inputs[:, 0].std()], [0, 1], atol=1e-6)
    assert (inputs[:, 1:].sum(axis=1) == 1).all()
    problem = jaxgd.classification(jaxgd.linear(6, 2), table.train, table.valid, table.test)
    assert problem.num_examples == 36


def test_the_same_rows_train_as_ever():
    """Those of `datasets.split`, in its order and with its numbers."""
    generator = np.random.default_rng(1)
    inputs, labels = generator.normal(size=(53, 3)), generator.integers(0, 2, 53)
    table = jaxgd.table(pd.DataFrame(inputs, columns=list("abc")).assign(y=labels), "y")
    for found, expected in zip(
        (table.train, table.valid, table.test),
        jaxgd.datasets.split(inputs, labels, "classification"),
        strict=True,
    ):
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


def test_a_regression_knows_its_units():
    data = frame().assign(y=np.arange(60) * 10.0 + 5)
    table = jaxgd.table(data, "y")
    assert (table.task, table.classes, table.train[1].dtype) == ("regression", (), np.float32)
    values = np.concatenate([part[1] for part in (table.train, table.valid, table.test)])
    np.testing.assert_allclose(
        np.sort(values * table.target_scale + table.target_mean), np.arange(60) * 10 + 5, rtol=1e-5
    )
    np.testing.assert_allclose([table.train[1].mean(), table.train[1].std()], [0, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2", "NA", "4.5"], "number"),
        (["1", "-", "3", "None"], "number"),
        (["True", "False", "", "true"], "boolean"),
        (["yes", "no", "No", "YES"], "boolean"),
        (["1e3", "2", "0x"], "words"),
        (["None", "Driver", "Driver & Passenger", "None"], "words"),
        (["1", "2", "3+"], "words"),
        (["-", "+"], "words"),
        (["7", "7.0"], "left out"),
        (["x"], "left out"),
        (["NA", "", "?"], "left out"),
        (["x", "NA"], "words"),
        (["3", ""], "number"),
        (["1,234", "5,678", "1,234"], "words"),
    ],
    ids=str,
)
def test_kinds_of_columns(write, cells, kind):
    rows = [f'"{cells[i % len(cells)]}",{i % 7},{i % 2}' for i in range(60)]
    assert kinds(jaxgd.table(write("c,a,y\n" + "\n".join(rows)), "y"))["c"] == kind


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([f"2012/{1 + i % 12:02}/{1 + i % 28:02}" for i in range(60)], "dates, such as '2012/01/01'"),
        ([f"{1 + i % 28}.{1 + i % 12}.1999" for i in range(60)], "dates, such as '1.1.1999'"),
        ([f"{1 + i % 12}/{1 + i % 28}/21 10:30" for i in range(60)], "dates, such as '1/1/21 10:30'"),
        ([f"Jan {1 + i % 28}, 2020" for i in range(60)], "dates, such as 'Jan 1, 2020'"),
        ([f"{1 + i % 28}-Feb-98" for i in range(60)], "dates, such as '1-Feb-98'"),
        ([f"2020-01-{1 + i % 28:02}T10:00:00Z" for i in range(60)], "dates, such as '2020-01-01T10:00:00Z'"),
        ([f"{i % 24:02}:15" for i in range(60)], "dates, such as '00:15'"),
        ([f"N{i}" for i in range(60)], "names or ids, 60 different in 60 rows, such as 'N0'"),
        ([f"N{i // 1.5:.0f}" for i in range(60)], "names or ids, 40 different in 60 rows, such as 'N0'"),
        (
            [f"the cat number {i} was rather ill" for i in range(60)],
            "free text, such as 'the cat number 0 was rather i…",
        ),
        ([*map(str, range(59)), "high"], r"numbers, but 'high' in row 60 \(line 61\)"),
        ([*map(str, range(59)), "1_000"], r"numbers, but '1_000' in row 60 \(line 61\)"),
        ([*map(str, range(59)), "inf"], r"inf in row 60 \(line 61\), out of the range of float32"),
        ([*map(str, range(59)), "1e999"], r"1e999 in row 60 \(line 61\), out of the range of float32"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_columns_that_cannot_be_used(write, cells, reason):
    path = write("a,c,y\n" + "".join(f'{i % 7},"{cell}",{i % 2}\n' for i, cell in enumerate(cells)))
    with pytest.raises(
        ValueError,
        match=rf"t.csv: a column cannot be used: 'c' \({reason}.*\); leave out with --drop c, "
        r"in Python drop=\['c'\]$",
    ):
        jaxgd.table(path, "y")
    assert jaxgd.table(path, "y", drop="c").features == ("a",)


def test_all_that_cannot_be_used_is_one_message():
    data = frame(
        **{
            "Date Egg": pd.date_range("2020-01-01", periods=60),
            "id": [f"N{i}" for i in range(60)],
            "size, mm": [[1]] * 60,
        }
    )
    with pytest.raises(
        ValueError, match=r"3 columns cannot be used: 'Date Egg' \(dates, such as '2020-01-01 "
    ) as error:
        jaxgd.table(data, "y")
    assert "\n" not in str(error.value)
    assert "'size, mm' (lists, such as [1])" in str(error.value)
    assert str(error.value).endswith(
        """leave out with --drop 'Date Egg,id,"size, mm"', in Python drop=['Date Egg', 'id', 'size, mm']"""
    )
    table = jaxgd.table(data, "y", drop=["Date Egg", "id", "size, mm"])
    assert reasons(table) == dict.fromkeys(["Date Egg", "id", "size, mm"], "dropped")


def test_more_than_thirty_words_are_the_commonest_and_the_rest():
    words = [f"w{i % 50 if i % 2 else i % 20:02}" for i in range(400)]
    table = jaxgd.table(frame(400, c=words), "y")
    assert len(table.features) == 1 + 31
    assert table.features[-1] == "c: rare words"
    assert (
        "'c' has 35 words, of which the 30 commonest are features: --group c, in Python group='c',"
        in table.report.notes[0]
    )


def test_thirty_words_and_gaps_have_a_feature_each():
    words = [f"w{i % 30:02}" if i % 7 else None for i in range(600)]
    table = jaxgd.table(frame(600, c=words), "y")
    assert table.features[1:] == ("c missing", *(f"c=w{i:02}" for i in range(30)))


def test_rare_words_are_one_feature():
    words = ["ash", "elm"] * 30
    words[0], words[7], words[11] = "fir", "fig", "yew"
    table = jaxgd.table(frame(c=words), "y")
    known = {name for name in table.features if name.startswith("c")}
    assert known == {"c=ash", "c=elm", "c: rare words"}
    unknown = table.transform(pd.DataFrame({"a": [0.0], "c": ["never seen"]}))
    assert unknown[0, 1:].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        ("", range(1, 61), "without a name, it numbers or names the rows"),
        ("", range(60), "without a name, it numbers or names the rows"),
        ("", [f"car {i}" for i in range(60)], "without a name, it numbers or names the rows"),
        ("Unnamed: 0", [7 * i % 61 for i in range(1, 61)], "without a name, it numbers or names the rows"),
    ],
)
def test_the_index_that_programs_write_is_left_out(write, name, cells, reason):
    path = write(f'"{name}",a,y\n' + "".join(f'"{cell}",{i % 7},{i % 2}\n' for i, cell in enumerate(cells)))
    table = jaxgd.table(path, "y")
    assert reasons(table) == {name or "column 1": reason}
    assert table.features == ("a",)


def test_a_comma_at_the_end_of_every_line(write):
    for header in ("a,y,", "a,y"):
        table = jaxgd.table(write(f"{header}\n" + "".join(f"{i % 7},{i % 2},\n" for i in range(60))), "y")
        assert (table.features, reasons(table)) == (("a",), {"column 3": "empty"})


def test_other_columns_without_a_name(write):
    with pytest.raises(ValueError, match=r"t.csv: column 2 has no name; give it one in the first line"):
        jaxgd.table(write("a,,y\n" + "".join(f"{i % 7},{i},{i % 2}\n" for i in range(60))), "y")
    with pytest.raises(ValueError, match=r"t.csv: column 1 has no name"):
        jaxgd.table(write(",a,y\n" + "".join(f"{i % 5},{i},{i % 2}\n" for i in range(60))), "y")


def test_constant_columns_are_left_out():
    table = jaxgd.table(frame(one=1.0, word="x", none=None, gap=[1.0] * 59 + [None]), "y")
    assert reasons(table) == {"one": "always 1", "word": "always 'x'", "none": "empty"}
    assert kinds(table)["gap"] == "number"


def test_nothing_is_left_to_learn_from():
    with pytest.raises(ValueError, match=r"no column is left to learn from: 'one' always 1"):
        jaxgd.table(frame(one=1.0), "y", drop=["a"])
    with pytest.raises(ValueError, match=r"no column is left to learn from: all are dropped"):
        jaxgd.table(frame(), "y", drop=["a"])
    with pytest.raises(
        ValueError, match=r"the target 'y' is the only column; at least one feature is needed"
    ):
        jaxgd.table(frame()[["y"]], "y")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "target is missing: name the column of the DataFrame to predict"),
        ({"target": "z"}, "no column 'z' for target; its columns: a, kind, y"),
        ({"target": "kinds"}, "no column 'kinds' for target; did you mean 'kind'?"),
        ({"target": "y", "drop": ["kin"]}, "no column 'kin' for drop; did you mean 'kind'?"),
        ({"target": "y", "group": "kin"}, "no column 'kin' for group; did you mean 'kind'?"),
        ({"target": "y", "split": "kin"}, "no column 'kin' for split; did you mean 'kind'?"),
        ({"target": "y", "drop": ["a", "y"]}, "target is 'y', which drop names too; a column has one role"),
        ({"target": "y", "group": "y"}, "target is 'y', which group names too"),
        ({"target": "y", "split": "a", "drop": "a"}, "split is 'a', which drop names too"),
        (
            {"target": "y", "group": "a", "split": "kind"},
            "group is 'a' and split is 'kind'; one of them decides",
        ),
        ({"target": "y", "task": "ranking"}, 'task is \'ranking\'; allowed: "classification", "regression"'),
    ],
)
def test_roles_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        jaxgd.table(frame(kind=WORDS * 12), **options)


def test_an_accent_may_be_a_sign_of_its_own(write):
    path = write("a,caf\u00e9,e\u0301t\u00e9\n" + "".join(f"{i % 7},{i % 2},{i}\n" for i in range(60)))
    assert jaxgd.table(path, "cafe\u0301", drop=["\u00e9t\u00e9"]).features == ("a",)


def test_rows_are_prepared_by_the_training_rows_alone():
    data = frame(
        200, c=[WORDS[i % 4] for i in range(200)], gap=[None if i % 5 == 0 else i for i in range(200)]
    )
    table = jaxgd.table(data, "y")
    rows = np.random.default_rng(0).permutation(200)
    train, other = rows[:120], rows[120:]
    changed = data.copy()
    changed.loc[other, ["a", "gap"]] = 1e6
    changed.loc[other, "c"] = "unknown"
    again = jaxgd.table(changed, "y")
    assert again.features == table.features
    np.testing.assert_array_equal(again.train[0], table.train[0])
    np.testing.assert_array_equal(table.transform(data.iloc[train]), table.train[0])
    np.testing.assert_array_equal(table.transform(data.iloc[rows[120:160]]), table.valid[0])


def test_transform_takes_files_and_frames(write):
    data = frame(c=["x", "y", "x"] * 20, flag=[True, False] * 30, gap=[None, 1, 2] * 20)
    path = write(data.to_csv(index=False))
    table, of_file = jaxgd.table(data, "y"), jaxgd.table(path, "y")
    np.testing.assert_array_equal(table.train[0], of_file.train[0])
    without_target = data[["gap", "flag", "c", "a"]].assign(more=1)
    for rows in (data, without_target, path):
        for fitted in (table, of_file, pickle.loads(pickle.dumps(table))):
            np.testing.assert_array_equal(fitted.transform(rows), table.transform(data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: data.drop(columns=["a", "c"]),
            "the DataFrame: no column 'a', 'c', which the table had",
        ),
        (lambda data: data.assign(a="low"), "column 'a' holds 'low'; it held numbers"),
        (lambda data: data.assign(flag="maybe"), "column 'flag' holds 'maybe'; it held booleans"),
        (lambda data: data.assign(c=[[1]] * 60), r"column 'c' holds lists, such as \[1\]; it held words"),
        (lambda data: data.assign(a=np.inf), "column 'a' has a number out of the range of float32"),
    ],
)
def test_transform_refuses_other_tables(change, message):
    data = frame(c=["x", "y", "x"] * 20, flag=[True, False] * 30)
    table = jaxgd.table(data, "y")
    with pytest.raises(ValueError, match=message):
        table.transform(change(data))


REPORT = """
  Rows           79: 47 train, 15 valid, 17 test (60 %, 20 % and 20 %, drawn with seed 0); 1 without
                 a target left out
  Task           classification of 'y', 2 classes: well (69), sick (10)
  Numbers        age (10 missing); a missing cell is the median, and a flag says so
  True or false  smoker
  Words          sex (2 words, 9 missing); one feature for each word
  Left out       column 1 (without a name, it numbers or names the rows), site (always 'here'), note
                 (dropped)
! The classes are uneven: 87% of the rows are 'well', so accuracy alone says little.
! The test part has few rows, 17: its scores tell little.
"""


def test_the_report_says_what_became_of_each_column(write):
    lines = ['"","age","sex","smoker","site","note","y"']
    for i in range(80):
        sex, age = ("NA" if i % 9 == 0 else "mf"[i % 2]), ("" if i % 8 == 1 else 20 + i % 30)
        target = "NA" if i == 5 else "sick" if i % 8 == 0 else "well"
        lines.append(f'{i + 1},{age},{sex},{"yes" if i % 3 else "no"},"here","n{i % 3}","{target}"')
    report = jaxgd.table(write("\n".join(lines)), "y", drop=["note"]).report
    assert report.splits == {"train": 47, "valid": 15, "test": 17}
    assert report.classes == {"sick": 10, "well": 69}
    assert str(report).partition("\n")[2] == REPORT.strip("\n")
    assert list(report.facts()) == ["Rows", "Task", "Numbers", "True or false", "Words", "Left out"]


def test_a_wide_report_is_short():
    data = frame().join(
        pd.DataFrame(np.random.default_rng(0).normal(size=(60, 99)), columns=[f"n{i}" for i in range(99)])
    )
    report = jaxgd.table(data, "y").report
    assert "n17, n18 and 80 more" in " ".join(report.block().split())
    assert report.facts()["Numbers"].endswith("n97, n98")


@pytest.mark.parametrize(
    ("columns", "note"),
    [
        (
            {"who": [i // 4 + 1 for i in range(60)]},
            "Rows come in equal blocks of one 'who' and are split apart: --group who, in Python group='who'",
        ),
        ({"who": [f"p{i // 4}" for i in range(60)]}, "Rows come in equal blocks of one 'who'"),
        (
            {"Obs": range(1, 61)},
            "'Obs' grows by 1 with every row: if it only numbers the rows, leave it out (--drop Obs).",
        ),
    ],
)
def test_notes_on_columns(columns, note):
    assert any(line.startswith(note) for line in jaxgd.table(frame(**columns), "y").report.notes)
    assert not any("'a'" in line for line in jaxgd.table(frame(), "y").report.notes)


def test_a_note_on_a_class_that_no_training_row_has():
    data = frame().assign(
        s=["train"] * 40 + ["valid"] * 10 + ["test"] * 10, y=["p", "q"] * 20 + ["p", "r"] * 10
    )
    notes = jaxgd.table(data, "y", split="s").report.notes
    assert "No training row has the class 'r': nothing can learn it." in notes


def test_without_the_packages(monkeypatch):
    data = frame()
    monkeypatch.delitem(sys.modules, "jaxgd.tables.preparing", raising=False)
    monkeypatch.delattr(jaxgd.tables, "preparing", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(
        ImportError, match=r'a table needs pandas and scikit-learn: pip install "jaxgd\[data\]"'
    ):
        jaxgd.table(data, "y")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        ImportError, match=r'a table needs pandas and scikit-learn: pip install "jaxgd\[data\]"'
    ):
        read_table("t.csv", lambda _: False)
