"""Files and DataFrames: how cells are told apart, and that what is written is what is read."""

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jaxgd.tables import reading
from jaxgd.tables.reading import OtherCells, Texts, read_table


def columns_of(data, exact=()) -> dict[str, Any]:
    """`{name: list}`, texts as texts."""
    raw = read_table(data, exact.__contains__)
    return {name: cells_of(cells) for name, cells in zip(raw.names, raw.columns, strict=True)}


def cells_of(cells):
    if isinstance(cells, Texts):
        return [cells.words[code] for code in cells.codes]
    return cells if isinstance(cells, OtherCells) else [None if np.isnan(c) else c for c in cells.tolist()]


@pytest.mark.parametrize("name", ["t.csv", "T.CSV", "t.tsv", "t.Txt", "t.csv.gz", "T.CSV.GZ", "t.tsv.gz"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " ", "   "])
def test_separators_are_found(write, name, separator):
    rows = [["height", "kind", "y"], ["1.5", "ash", "2"], ["-3e1", "oak", "4"], [".5", "ash", "6"]]
    path = write("\n".join(separator.join(row) for row in rows) + "\n", name)
    found = columns_of(path)
    assert found == {"height": [1.5, -30, 0.5], "kind": ["ash", "oak", "ash"], "y": [2, 4, 6]}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b c\n1,2\n", ["a", "b c"]),
        ("first last,y\nAnn Lee,2\nBob May,3\n", ["first last", "y"]),
        ("a;b\n1,5;2\n3,25;4\n", ["a", "b"]),
        ("a|b, c|d\n1|2|3\n", ["a", "b, c", "d"]),
        ('"a,b";"c"\n"1,2";3\n', ["a,b", "c"]),
        ("'a' 'b'\n1 2\n", ["a", "b"]),
        ("'a'\t'b'\n1\t2\n", ["a", "b"]),
        ("mpg cyl\nMazda 1 2\nFord 3 4\n", ["", "mpg", "cyl"]),
        ("mpg,cyl\n1,1,2\n2,3,4\n", ["", "mpg", "cyl"]),
        ("a,b\n1,2,\n3,4,\n", ["a", "b", ""]),
        ("a,b,\n1,2,\n3,4,\n", ["a", "b", ""]),
    ],
)
def test_names(write, text, names):
    assert read_table(write(text), lambda _: False).names == names


def test_decimal_commas_where_semicolons_separate(write):
    path = write("a;b;y\n1,5;2;0,5\n-,25;x;1\n;3;1,0\n")
    assert columns_of(path, ["y"]) == {
        "a": [1.5, -0.25, None],
        "b": ["2", "x", "3"],
        "y": ["0.5", "1", "1.0"],
    }


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfa,y\n1,2\n3,4\n",
        b"a,y\r\n1,2\r\n3,4\r\n",
        b"a,y\r1,2\r3,4\r",
        b"\na,y\n1,2\n\n3,4\n\n",
        b"a,y\n1,2\n3,4\n   \n",
        b" a , y\n 1 ,2\n3, 4",
        b'"a","y"\n"1","2"\n3,4\n',
    ],
)
def test_spellings_of_one_table(write, content):
    assert columns_of(write(content)) == {"a": [1, 3], "y": [2, 4]}


def test_quotes_hold_anything(write):
    path = write('a,b\n"x, y\nz","say ""hi"""\n w , v\n')
    assert columns_of(path) == {"a": ["x, y\nz", "w"], "b": ['say "hi"', "v"]}


@pytest.mark.parametrize("cells", [["01", "1", "1.0"], ["1e3", "1000", "NA"], ["9007199254740993", "", "x"]])
def test_exact_text_is_kept(write, cells):
    path = write("y,a\n" + "".join(f"{cell},1\n" for cell in cells))
    assert columns_of(path, ["y"])["y"] == cells
    assert columns_of(pd.DataFrame({"y": cells}), ["y"])["y"] == cells


def test_cells_that_are_missing_or_odd(write):
    path = write("a,b,c,e\nNA,x,1e999,True\n?,NA,-inf,FALSE\n3,,2,\n")
    found = columns_of(path)
    assert found["a"] == [None, None, 3]
    assert found["b"] == ["x", "NA", ""]
    assert found["c"] == [np.inf, -np.inf, 2]
    assert found["e"] == ["True", "FALSE", ""]


def test_a_text_in_a_late_block_of_rows(write, monkeypatch):
    monkeypatch.setattr(reading, "_CELLS_AT_ONCE", 1)
    monkeypatch.setattr(reading, "max", lambda *counts: 2, raising=False)
    path = write("a,b,y\n01,1,0\n2,2,1\n3,3,0\n4,4,1\nlow,5,0\n6,,1\n")
    found = columns_of(path, ["y"])
    assert found == {
        "a": ["01", "2", "3", "4", "low", "6"],
        "b": [1, 2, 3, 4, 5, None],
        "y": ["0", "1", "0", "1", "0", "1"],
    }


def test_numbers_are_read_to_twelve_digits(write):
    numbers = np.random.default_rng(0).normal(size=300) * 10.0 ** np.arange(-150, 150)
    found = columns_of(write("a,b\n" + "".join(f"{number!r},1\n" for number in numbers.tolist())))
    np.testing.assert_allclose(found["a"], numbers, rtol=1e-12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "t.csv: is empty"),
        ("\n \n", "t.csv: is empty"),
        ("a,y\n", "has a header but no rows"),
        ("1,2\n3,4\n", "the first line holds numbers; it must name the columns"),
        ("a,b,a,b,y\n1,2,3,4,5\n", "two columns are named 'a', 'b'; rename one of each"),
        ("a,y\n1,2\n1,2,3\n", r"row 2 \(line 3\) has 3 cells; the header has 2 columns"),
        ("a,y\n1,2,3,4\n1,2,3,4\n", r"row 1 \(line 2\) has 4 cells; the header has 2 columns"),
        ("a,y\n1,2\n\n1\n", r"row 2 \(line 4\) has 1 cells"),
        ("a b y\n1 2 3\n4 5\n6 7 8\n", r"row 2 \(line 3\) has 2 cells; the header has 3 columns"),
        ('a,y\n"1,2\n', "line 2: unexpected end of data"),
        ('a,y\n1,2\n"1,2\n3,4\n', "line 3: unexpected end of data"),
        (b"a,y\n\xff,2\n", r"is not UTF-8 text \(byte 4\); save it so, or give a DataFrame"),
    ],
)
def test_files_that_are_no_table(write, content, message):
    with pytest.raises(ValueError, match=message):
        read_table(write(content), lambda _: False)


@pytest.mark.parametrize("damage", ["cut", "text"])
def test_a_damaged_packed_file(write, damage):
    path = write("a,y\n" + "1,2\n" * 5000, "t.csv.gz")
    path.write_bytes(path.read_bytes()[:-20] if damage == "cut" else b"a,y\n1,2\n")
    with pytest.raises(ValueError, match=r"t.csv.gz: is not a whole file as gzip packs it"):
        read_table(path, lambda _: False)


def test_no_table_at_all(tmp_path):
    with pytest.raises(TypeError, match=r"data is a ndarray; a path or a pandas.DataFrame is needed"):
        read_table(np.zeros((2, 2)), lambda _: False)
    with pytest.raises(FileNotFoundError, match="none"):
        read_table(tmp_path / "none.csv", lambda _: False)


def test_a_data_frame():
    frame = pd.DataFrame(
        {
            "whole": [1, 2, 3],
            "gap": [1.5, None, 2],
            "nullable": pd.array([1, None, 3], "Int64"),
            "flag": [True, False, True],
            "text": [" a", None, "b "],
            "kind": pd.Categorical(["u", "v", None]),
            "mixed": [1, "x", decimal.Decimal("2.5")],
            "day": pd.to_datetime(["2020-01-01", "2020-01-02", None]),
            "date": [datetime.date(2020, 1, 2)] * 3,
            7: [1, 2, 3],
        }
    )
    assert columns_of(frame, ["whole"]) == {
        "whole": ["1", "2", "3"],
        "gap": [1.5, None, 2],
        "nullable": [1, None, 3],
        "flag": ["True", "False", "True"],
        "text": ["a", "", "b"],
        "kind": ["u", "v", ""],
        "mixed": ["1", "x", "2.5"],
        "day": ["2020-01-01 00:00:00", "2020-01-02 00:00:00", ""],
        "date": ["2020-01-02"] * 3,
        "7": [1, 2, 3],
    }


def test_columns_of_a_data_frame_that_hold_something_else():
    frame = pd.DataFrame({"l": [[1], [2]], "d": [{"a": 1}, {}], "t": pd.to_timedelta([1, 2], unit="D")})
    found = columns_of(frame)
    assert found["l"] == OtherCells("lists, such as [1]")
    assert [cells.what.partition(",")[0] for cells in found.values()] == ["lists", "dicts", "Timedeltas"]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]), "the DataFrame: two columns are named 'a'"),
        (pd.DataFrame([[1, 2]], columns=["1", 1]), "the DataFrame: two columns are named '1'"),
        (pd.DataFrame({"a": []}), "the DataFrame: has 1 columns and 0 rows"),
        (pd.DataFrame(), "the DataFrame: has 0 columns and 0 rows"),
    ],
)
def test_data_frames_that_are_no_table(frame, message):
    with pytest.raises(ValueError, match=message):
        read_table(frame, lambda _: False)


def test_a_data_frame_is_left_as_it_is():
    frame = pd.DataFrame({"a": [3.0, 1.0]})
    values: Any = read_table(frame, lambda _: False).columns[0]
    values[:] = 0
    assert frame.a.tolist() == [3, 1]


def test_a_file_and_its_data_frame_are_one_table(write):
    path = write("a,b,y\n1,x,1\n,y,2\n3.5,x,3\n")
    assert columns_of(path, ["y"]) == columns_of(pd.read_csv(path), ["y"])
