"""Tables: files that are read, and files that are refused with the place of their first fault."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxgd.tables.class_names import number_classes
from jaxgd.training.data import datasets
from jaxgd.training.data.tables import Table, check_target, read_csv, read_npz


@pytest.fixture
def table(tmp_path):
    def write(text, **options):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_csv(path, options.pop("target", "y"), **options)

    return write


def test_regression(table):
    read = table("a,y,b\n1,0.5,2\n-3e1,7,.5\n0,1,0\n")
    assert read.task == "regression"
    assert read.feature_names == ("a", "b")
    assert read.class_names == ()
    assert read.inputs.tolist() == [[1, 2], [-30, 0.5], [0, 0]]
    assert read.labels.tolist() == [0.5, 7, 1]
    assert read.inputs.dtype == read.labels.dtype == np.float64


def test_text_classes(table):
    read = table("a,y\n1,cat\n2,dog\n3,cat\n")
    assert read.task == "classification"
    assert read.class_names == ("cat", "dog")
    assert read.labels.tolist() == [0, 1, 0]
    assert read.labels.dtype == np.int32


def test_whole_numbers_are_classes_whatever_they_are(table):
    read = table("a,y\n1,3\n2,-1\n3,3\n4,3\n")
    assert read.task == "classification"
    assert read.class_names == ("-1", "3")
    assert read.labels.tolist() == [1, 0, 1, 1]


def column(targets):
    return "a,y\n" + "".join(f"1,{target}\n" for target in targets)


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        ([2**53, 2**53 + 1, 2**53 + 2], None),
        ([9007199254740992, 9007199254740993], None),
        (["1", "01", "001"], ("001", "01", "1")),
        ([10**30, 10**30 + 1, -1], ("-1", str(10**30), str(10**30 + 1))),
        (["1.0", "2.0"], ("1", "2")),
        (["1e3", "2e3", "5"], ("5", "1000", "2000")),
        (["+1", "-1"], ("-1", "+1")),
        (["nan1", "b"], ("b", "nan1")),
    ],
    ids=str,
)
def test_distinct_labels_are_distinct_classes(table, classes, names):
    classes, cells = list(map(str, classes)), list(map(str, classes)) * 20
    read = table(column(cells))
    assert read.task == "classification"
    assert read.class_names == (names or tuple(classes))
    assert len(set(zip(cells, read.labels.tolist(), strict=True))) == len(classes)


@given(st.sets(st.integers(-(2**70), 2**70), min_size=2, max_size=20))
def test_whole_numbers_are_never_merged(numbers):
    cells = [str(number) for number in numbers] * 2
    labels, names = number_classes(cells)
    assert list(map(int, names)) == sorted(numbers)
    assert [names[label] for label in labels] == cells


@pytest.mark.parametrize("spellings", [("1e3", "1000"), ("1", "1.0"), ("2.0", "2.00")])
def test_one_number_in_two_spellings(table, spellings):
    with pytest.raises(ValueError, match=r"table.csv: column 'y': '.*' and '.*' are one number; a class is"):
        table(column([*spellings, "3"] * 4))
    numbers = table(column([*spellings, "3"] * 4), task="regression").labels
    assert len(set(numbers.tolist())) == 2


def test_numbers_that_only_float64_thinks_whole(table):
    assert table(column(["1", "1.00000000000000000001"] * 4)).task == "regression"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["yes", "no", "7", "no"], r"row 3 \(line 4\), column 'y': '7' is a number, but most rows"),
        (["1", "2", "1", "unknown"], r"row 4 \(line 5\), column 'y': 'unknown' is not a number; the target"),
    ],
)
def test_the_odd_row_of_a_target_is_named(table, cells, message):
    with pytest.raises(ValueError, match=message):
        table(column(cells))


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([5.0] * 6, (), "t.csv: the target is 5 in every row; at least two values are needed"),
        ([0] * 6, ("yes",), "t.csv: the target is yes in every row"),
        (range(6), tuple("abcdef"), "t.csv: each of the 6 rows has a class of its own, such as 'a'"),
    ],
)
def test_nothing_to_learn(labels, names, message):
    task = "classification" if names else "regression"
    with pytest.raises(ValueError, match=message):
        check_target("t.csv", Table(np.zeros((6, 1)), np.array(labels), task, ("a",), names))
    two_of_each = Table(np.zeros((4, 1)), np.array([0, 1, 1, 0]), "classification", ("a",), ("a", "b"))
    check_target("t.csv", two_of_each)


def test_an_accent_may_be_a_sign_of_its_own(table):
    assert table("a,caf\u00e9\n1,0.5\n2,1\n", target="cafe\u0301").feature_names == ("a",)


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        ([0, 1, 0, 1], "classification"),
        ([0, 1, 2, 3], "regression"),  # more than one class for two rows
        ([0, 0.5, 0, 0.5], "regression"),
        ([5, 5, 5, 5], "regression"),  # a single class is none
        ([i % 20 for i in range(60)], "classification"),
        ([i % 21 for i in range(60)], "regression"),
    ],
)
def test_task_is_chosen(table, targets, task):
    assert table("a,y\n" + "".join(f"1,{t}\n" for t in targets)).task == task


def test_task_is_given(table):
    text = "a,y\n1,0\n2,1\n3,0\n4,1\n"
    assert table(text, task="regression").labels.tolist() == [0, 1, 0, 1]
    assert table("a,y\n1,7\n2,9\n", task="classification").class_names == ("7", "9")


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfa,y\n1,2\n3,4\n",  # byte order mark
        b"a,y\r\n1,2\r\n3,4\r\n",
        b"a,y\n1,2\n\n3,4\n\n",  # blank lines
        b"a,y\n1,2\n3,4\n   \n",
        b" a , y\n 1 ,2\n3, 4",  # spaces, no last newline
        b'"a","y"\n"1","2"\n3,4\n',
    ],
)
def test_spellings_of_one_table(table, text):
    read = table(text, task="regression")
    assert read.feature_names == ("a",)
    assert read.inputs.tolist() == [[1], [3]]
    assert read.labels.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "table.csv: is empty"),
        ("\n\n", "is empty"),
        ("a,y\n", "has a header but no rows"),
        ("1,2\n3,4\n", "first line holds numbers; it must name the columns"),
        ("a,a,y\n1,2,3\n", "two columns are named 'a'"),
        (",a,y\n0,1,2\n", "column 1 has no name"),
        ("a,y,\n0,1,\n", r"column 3 has no name"),
        ("y\n1\n", "the target 'y' is the only column"),
        ("a,y\n1,2\n1,2,3\n", r"row 2 \(line 3\) has 3 cells; the header has 2 columns"),
        ("a,y\n1,2\n\n1\n", r"row 2 \(line 4\) has 1 cells"),
        ("a,y\n1,2\nred,3\n", r"row 2 \(line 3\), column 'a': 'red' is not a number"),
        ("a,y\n1,2\n1_000,3\n", r"row 2 \(line 3\), column 'a': '1_000' is not a number"),
        ("a,y\n1,2\n ,3\n", r"row 2 \(line 3\), column 'a': the cell is missing"),
        ("a,y\n1,\n2,NA\n", "the target 'y' is empty in every row"),
        ("a,y\n1,2\n2,cat\n", r"row 2 \(line 3\), column 'y': 'cat' is not a number"),
        ("a,y\n1,2\nnan,3\n", r"row 2 \(line 3\), column 'a': the cell is missing; every cell must"),
        ("a,y\n1,2\n1,-inf\n", r"row 2 \(line 3\), column 'y': '-inf' is not a finite number"),
        ("a,y\n1,2\n1e999,3\n", "'1e999' is not a finite number"),
        (b"a,y\n\xff,2\n", r"is not UTF-8 text \(byte 4\)"),
        ('a,y\n"1,2\n', "line 2: unexpected end of data"),
        ("price,b,y2\n1,2,3\n", "no column 'y' for target; did you mean 'y2'"),
        ("price,b\n1,2\n", "no column 'y' for target; its columns: price, b"),
    ],
)
def test_bad_tables(table, text, message):
    with pytest.raises(ValueError, match=message):
        table(text)


@pytest.mark.parametrize(
    ("text", "task", "message"),
    [
        ("a,y\n1,0\n2,0.5\n", "classification", r"row 2 \(line 3\), column 'y': '0.5' is not a class"),
        ("a,y\n1,cat\n2,dog\n", "regression", r"row 1 \(line 2\), column 'y': 'cat' is not a number"),
        ("a,y\n1,0\n", "ranking", "task is 'ranking'; allowed"),
    ],
)
def test_table_that_is_not_of_its_task(table, text, task, message):
    with pytest.raises(ValueError, match=message):
        table(text, task=task)


def test_no_file(tmp_path):
    for read in (lambda path: read_csv(path, "y"), read_npz):
        with pytest.raises(FileNotFoundError, match="none"):
            read(tmp_path / "none")


@settings(max_examples=50)
@given(st.data())
def test_what_is_written_is_read(tmp_path_factory, data):
    name = st.text(min_size=1).map(str.strip).filter(lambda s: s and not s[0].isdigit() and "\0" not in s)
    header = data.draw(
        st.lists(
            name.filter(lambda s: s.encode(errors="replace").decode() == s),
            min_size=2,
            max_size=4,
            unique=True,
        )
    )
    finite = st.floats(allow_nan=False, allow_infinity=False)
    rows = data.draw(st.lists(st.tuples(*[finite] * len(header)), min_size=1, max_size=6))
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    read = read_csv(path, header[-1], task="regression")
    assert read.feature_names == tuple(header[:-1])
    assert read.inputs.tolist() == [list(row[:-1]) for row in rows]
    assert read.labels.tolist() == [row[-1] for row in rows]


@pytest.fixture
def archive(tmp_path):
    def write(task=None, **arrays):
        path = tmp_path / "table.npz"
        np.savez(path, **arrays)
        return read_npz(path, task)

    return write


def test_npz_keeps_class_indices_and_shapes(archive):
    read = archive(inputs=np.zeros((4, 2, 3)), labels=np.array([0, 1, 1, 0]))
    assert read.inputs.shape == (4, 2, 3)
    assert read.task == "classification"
    assert read.labels.tolist() == [0, 1, 1, 0]
    assert read.labels.dtype == np.int32
    assert read.class_names == ("0", "1")


@pytest.mark.parametrize(
    "classes",
    [
        np.arange(2019, 2024),
        np.array([0, 255], np.uint8),
        np.array([-1, 1]),
        np.array([0, 2**32 + 1]),
        np.array([2**53, 2**53 + 1, 2**53 + 2]),
        np.array([2**64 - 1, 2**64 - 2], np.uint64),
        np.array([-1.0, 1.0], np.float16),
        np.array([False, True]),
    ],
    ids=str,
)
def test_npz_has_a_class_for_each_distinct_label(archive, classes):
    labels = np.tile(classes, 4)
    read = archive(inputs=np.zeros((len(labels), 1)), labels=labels)
    order = sorted(int(label) for label in classes)
    assert read.task == "classification"
    assert read.class_names == tuple(map(str, order))
    assert [order[index] for index in read.labels] == [int(label) for label in labels]


def test_npz_regression(archive):
    read = archive(inputs=np.ones((3, 2), np.float32), labels=np.array([0.5, 1, 2]))
    assert read.task == "regression"
    assert read.labels.tolist() == [0.5, 1, 2]
    assert archive("regression", inputs=np.ones((2, 1)), labels=np.array([0, 1])).task == "regression"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"inputs": np.ones((2, 1))}, "has no array 'labels'; its arrays: inputs"),
        ({"inputs": np.ones((2, 1)), "labels": np.array(["a", "b"])}, "labels has dtype <U1"),
        ({"inputs": np.ones((2, 1)), "labels": np.ones(3)}, r"inputs \(2, 1\) and labels \(3,\)"),
        ({"inputs": np.ones(2), "labels": np.ones(2)}, r"inputs \(2,\)"),
        ({"inputs": np.ones((0, 2)), "labels": np.ones(0)}, r"inputs \(0, 2\)"),
        ({"inputs": np.ones((2, 1)), "labels": np.array([0, None])}, "is not a whole archive"),
    ],
)
def test_bad_archives(archive, arrays, message):
    with pytest.raises(ValueError, match=message):
        archive(**arrays)


def test_npz_labels_that_are_no_classes(archive):
    with pytest.raises(ValueError, match=r"row 1 \(from 0\): label 0.5; classes are whole numbers"):
        archive("classification", inputs=np.ones((3, 1)), labels=np.array([0, 0.5, 1]))


@pytest.mark.parametrize("damage", ["text", "npy", "cut"])
def test_files_that_are_no_archive(tmp_path, damage):
    path = tmp_path / "table.npz"
    np.savez(path, inputs=np.ones((50, 2)), labels=np.ones(50))
    if damage == "text":
        path.write_text("inputs")
    elif damage == "npy":
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    else:
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="is not a whole archive"):
        read_npz(path)


def test_a_table_can_be_split(table):
    read = table("a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(20)))
    splits = datasets.split(read.inputs, read.labels, read.task)
    assert [len(part[0]) for part in splits] == [12, 4, 4]
    assert splits.train[1].dtype == np.int32
