import gzip
import sys

import numpy as np
import pandas as pd
import pytest

import jaxgd
from jaxgd.specs.sources import load_source, problem_source
from jaxgd.specs.splits import num_rows


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("mine"):
            del sys.modules[name]


def counts(problem):
    return [num_rows(part) for part in (problem.train, problem.valid, problem.test)]


def run_setup(source):
    """The problem that the source's own code builds."""
    names = {"jaxgd": jaxgd}
    exec(source.setup, names)
    return names["problem"]


def same_data(first, second):
    return all(
        np.array_equal(a, b)
        for name in ("train", "valid", "test")
        for a, b in zip(getattr(first, name), getattr(second, name), strict=True)
    )


@pytest.mark.parametrize(
    ("name", "model", "metric"),
    [("digits", "mlp([64, 64, 10])", "accuracy"), ("diabetes", "mlp([10, 64, 1])", "squared_error")],
)
def test_a_data_set(name, model, metric):
    source = load_source(name)
    assert (source.data, source.model, source.made_splits) == (name, model, None)
    assert list(source.problem.metrics) == [metric]
    assert same_data(run_setup(source), source.problem)


def test_a_csv(folder):
    rows = [f"{i},{i % 3},{i * 0.5}" for i in range(30)]
    (folder / "numbers.csv").write_text("a,b,price\n" + "\n".join(rows) + "\n")
    source = load_source("numbers.csv", target="price")
    assert (source.model, counts(source.problem)) == ("mlp([2, 64, 1])", [18, 6, 6])
    assert source.made_splits is not None
    assert source.made_splits.startswith("numbers.csv has no splits: 20 %")
    assert same_data(run_setup(source), source.problem)
    assert load_source("numbers.csv", target="b").model == "mlp([2, 64, 3])"
    assert load_source("numbers.csv", target="b", task="regression").model == "mlp([2, 64, 1])"


def test_a_npz(folder):
    np.savez(
        folder / "images.npz",
        inputs=np.random.default_rng(0).normal(size=(20, 2, 3)),
        labels=np.arange(20) % 2,
    )
    source = load_source("images.npz")
    assert (source.model, counts(source.problem)) == ("mlp([6, 64, 2])", [12, 4, 4])
    assert same_data(run_setup(source), source.problem)


@pytest.mark.parametrize("name", ["t.csv", "T.TSV", "t.txt", "t.csv.gz"])
def test_every_kind_of_table(folder, name):
    text = "a;kind;y\n" + "".join(f"{i};{'uv'[i % 2]};{i % 3}\n" for i in range(40))
    (folder / name).write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    source = load_source(name, "y", drop="a", split=None)
    assert source.model == "mlp([2, 64, 3])"
    assert source.table is not None
    assert source.table.classes == {"0": 14, "1": 13, "2": 13}
    assert f"jaxgd.table({name!r}, target='y', drop=('a',))" in str(source.setup)
    assert same_data(run_setup(source), source.problem)


def test_splits_of_a_table():
    frame = pd.DataFrame({"a": range(60), "g": [i // 4 for i in range(60)], "y": [i % 2 for i in range(60)]})
    frame["s"] = ["train", "train", "valid", "test"] * 15
    drawn = load_source(frame, "y", drop=["s"])
    assert drawn.made_splits is not None
    assert "jaxgd.table(frame, target='y', drop=('s',))" in str(drawn.setup)
    given = load_source(frame, "y", split="s")
    assert (given.made_splits, counts(given.problem)) == (None, [30, 15, 15])
    assert given.splits == "as column 's' says, standardised by the training part"
    assert counts(load_source(frame, "y", group="g", drop=["s"]).problem) == [36, 12, 12]


def test_a_prepared_table():
    frame = pd.DataFrame({"a": range(60), "y": [i % 2 for i in range(60)]})
    table = jaxgd.table(frame, "y")
    source = load_source(table)
    assert np.array_equal(np.asarray(source.problem.train[0]), table.train[0])
    assert source.table is table.report
    with pytest.raises(ValueError, match=r"target is 'y', but data is 'a prepared table'"):
        load_source(table, "y")


def test_a_comparison_of_a_table():
    frame = pd.DataFrame({"a": range(60), "y": ["no"] * 50 + ["yes"] * 10})
    few = {"optimizers": "sgd", "batch_sizes": "full", "learning_rates": [0.1], "epochs": 1, "seeds": 1}
    found = jaxgd.compare(frame, **few, target="y", progress=False)
    assert found.data == "the DataFrame"
    assert any(line.startswith("The classes are uneven: 83%") for line in found.warnings)
    assert found.about.table is not None
    same = jaxgd.compare(jaxgd.table(frame, "y"), **few, progress=False, data="mine")
    assert (same.data, same.cells[0].test) == ("mine", found.cells[0].test)
    with pytest.raises(ValueError, match=r"target is 'y', but data is 'a Problem'; only a .csv has a target"):
        jaxgd.compare(
            jaxgd.regression(jaxgd.linear(1, 1), (np.zeros((9, 1)), np.zeros(9))), **few, target="y"
        )


def test_labels_of_a_npz_are_names(folder):
    inputs = np.random.default_rng(0).normal(size=(20, 3))
    for labels in (np.arange(20) % 2 * 2 - 1, np.arange(20) % 2 * (2**32 + 1), 2019 + np.arange(20) % 2):
        np.savez(folder / "some.npz", inputs=inputs, labels=labels)
        assert load_source("some.npz").model == "mlp([3, 64, 2])"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("yes", "DATA.CSV: the target is yes in every row"),
        ("1", "DATA.CSV: the target is 1 in every row"),
        ("n{}", "DATA.CSV: each of the 20 rows has a class of its own, such as 'n0'"),
    ],
)
def test_a_target_that_cannot_be_learnt(folder, target, message):
    rows = [f"{i},{target.format(i)}" for i in range(20)]
    (folder / "DATA.CSV").write_text("a,y\n" + "\n".join(rows))
    with pytest.raises(ValueError, match=message):
        load_source("DATA.CSV", target="y")


MINE = """
import jax.numpy as jnp
import jaxgd

def build():
    inputs = jnp.arange(20.0)[:, None]
    return jaxgd.regression(jaxgd.linear(1, 1), (inputs, inputs[:, 0]))

problem = build()
number = 3
"""


@pytest.mark.parametrize("place", ["mine.py:problem", "mine.py:build", "mine.py", "mine:build"])
def test_a_users_problem(folder, place):
    (folder / "mine.py").write_text(MINE)
    source = load_source(place)
    assert counts(source.problem) == [12, 4, 4]
    assert source.made_splits is not None
    assert source.made_splits == source.splits
    assert source.model == "2 parameters"
    assert same_data(run_setup(source), source.problem)


def test_a_users_object_that_is_no_problem(folder):
    (folder / "mine.py").write_text(MINE)
    with pytest.raises(ValueError, match=r"'mine.py:number' is a int; a jaxgd.Problem"):
        load_source("mine.py:number")


def test_a_problem_built_elsewhere():
    inputs = np.zeros((10, 1), np.float32)
    source = problem_source(jaxgd.regression(jaxgd.linear(1, 1), (inputs, inputs)), "mine")
    assert (source.data, source.setup, counts(source.problem)) == ("mine", None, [6, 2, 2])
    with pytest.raises(TypeError, match=r"problem is a tuple; a jaxgd.Problem is needed"):
        problem_source((inputs, inputs))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digts",), "unknown data set 'digts'; did you mean 'digits'"),
        (("no.csv", "price"), "data is 'no.csv'; there is no such file"),
        (("no.npz",), "data is 'no.npz'; there is no such file"),
        (("no.csv",), "data is 'no.csv'; there is no such file"),
        (("notes.txt",), "target is missing: name the column of notes.txt"),
        (("no.cvs", "price"), "data is 'no.cvs'; there is no such file, and a file must be a .csv"),
        (("digits", "price"), "target is 'price', but data is 'digits'; only a .csv"),
        (("digits", None, "regression"), "task is 'regression', but data is 'digits'"),
        (("no.npz", "y"), "target is 'y', but data is 'no.npz'; only a .csv has a target column"),
        (("notes.txt",), "target is missing: name the column of notes.txt to predict"),
        (("notes.md",), "data is 'notes.md'; a file must be a .csv, .tsv, .txt, .csv.gz, .npz or .py"),
        (("no.py:problem",), "there is no file no.py"),
    ],
)
def test_bad_input(folder, arguments, message):
    for name in ("notes.txt", "notes.md"):
        (folder / name).write_text("hello")
    with pytest.raises(ValueError, match=message):
        load_source(*arguments)
