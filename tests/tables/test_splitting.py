"""Splits: as drawn, whole groups, and as a column says."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

import jaxgd
from jaxgd.tables.places import Places
from jaxgd.tables.reading import texts_of
from jaxgd.tables.splitting import random_parts, split_rows

PLACES = Places("t.csv")


def frame(**columns):
    rows = len(next(iter(columns.values())))
    return pd.DataFrame({"a": np.arange(rows) * 1.0, **columns, "y": [i % 2 for i in range(rows)]})


def rows_of(table, data):
    """Of each part, the rows of the table, found by `a`, which has a value for each."""
    values = table.preparation.named_transformers_["numbers"]
    place = [*values.feature_names_in_].index("a")
    return [
        np.rint(part[0][:, place] / values.scales_[place] + values.centres_[place]).astype(int)
        for part in (table.train, table.valid, table.test)
    ]


@pytest.mark.parametrize("count", [5, 6, 7, 10, 53, 1000])
def test_random_parts(count):
    parts = random_parts(count)
    assert [len(part) for part in parts] == [3 * count // 5, count // 5, count - 3 * count // 5 - count // 5]
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))


@given(st.lists(st.integers(0, 30), min_size=2, max_size=100).map(lambda g: [31, 32, 33, *g]))
def test_groups_stay_whole(groups):
    texts = texts_of(list(map(str, groups)))
    parts = split_rows(np.arange(len(groups)), texts, None, PLACES)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(groups)))
    assert all(len(part) for part in parts)
    found = [{groups[row] for row in part} for part in parts]
    assert sum(map(len, found)) == len(set(groups))


def test_groups_of_like_size_come_near_the_shares():
    groups = np.repeat(np.arange(210), 4)
    parts = split_rows(np.arange(840), texts_of(groups.astype(str)), None, PLACES)
    assert [len(part) for part in parts] == [504, 168, 168]


def test_a_group_column():
    data = frame(who=[f"p{i // 4}" for i in range(120)])
    table = jaxgd.table(data, "y", group="who")
    assert "who" not in " ".join(table.features)
    people = [set(data.who[rows]) for rows in rows_of(table, data)]
    assert sum(map(len, people)) == 30
    assert Counter(map(len, people)) == Counter([18, 6, 6])
    assert table.report.way == "whole groups of 'who', 60 %, 20 % and 20 %, drawn with seed 0"


def test_a_split_column():
    words = ["train"] * 30 + ["Valid "] * 10 + ["TEST"] * 20
    data = frame(part=words)
    table = jaxgd.table(data, "y", split="part")
    found = rows_of(table, data)
    assert [rows.tolist() for rows in found] == [[*range(30)], [*range(30, 40)], [*range(40, 60)]]
    assert table.report.way == "as column 'part' says"
    assert table.features == ("a",)


def test_rows_without_a_target_are_in_no_part():
    data = frame(who=[f"p{i // 4}" for i in range(120)]).assign(
        y=[None if i % 3 == 0 else i % 2 for i in range(120)]
    )
    kept = np.concatenate(rows_of(jaxgd.table(data, "y", group="who"), data))
    assert sorted(kept.tolist()) == [i for i in range(120) if i % 3]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (
            {"g": ["x", "y", "z", None] * 10},
            {"group": "g"},
            r"row 3 \(from 0\): the group column is empty; .* 10 have none",
        ),
        ({"g": ["x", "NA", "y", "z"] * 10}, {"group": "g"}, r"row 1 \(from 0\): the group column is empty"),
        (
            {"g": ["x", "y"] * 20},
            {"group": "g"},
            "the group column has 2 distinct values; at least 3 are needed",
        ),
        ({"g": [[1]] * 40}, {"group": "g"}, r"the group column holds lists, such as \[1\]"),
        (
            {"s": ["train", "valid", "test", ""] * 10},
            {"split": "s"},
            r"row 3 \(from 0\): the split column is empty",
        ),
        (
            {"s": ["train", "valid", "dev", "test"] * 10},
            {"split": "s"},
            r"row 2 .*has 'dev'; allowed: train, valid, test",
        ),
        (
            {"s": ["train", "test"] * 20},
            {"split": "s"},
            "these numbers of rows: train 20, valid 0, test 20; each part",
        ),
        ({"s": [0, 1] * 20}, {"split": "s"}, r"the split column has '0'; allowed: train, valid, test"),
        ({"g": list("abcd")}, {}, "4 rows with a target are too few to split in three; 5 or more are needed"),
        ({"g": list("abcd")}, {"group": "g"}, "4 rows with a target are too few"),
    ],
    ids=str,
)
def test_what_cannot_be_split(columns, options, message):
    with pytest.raises(ValueError, match=message):
        jaxgd.table(frame(**columns), "y", **options)


def test_too_few_rows_have_a_target():
    data = frame(g=list("abcdefgh")).assign(y=[1, 0, 1, 0, None, None, None, None])
    with pytest.raises(ValueError, match="4 rows with a target are too few to split in three; 5 or more"):
        jaxgd.table(data, "y")


def test_the_row_of_a_file_is_named_with_its_line(write):
    path = write("a,s,y\n" + "\n".join(["1,train,0", "", "2,tset,1", "3,valid,1"]))
    with pytest.raises(ValueError, match=r"t.csv: row 2 \(line 4\): the split column has 'tset'"):
        jaxgd.table(path, "y", split="s")
