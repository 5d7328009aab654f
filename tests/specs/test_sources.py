import sys

import numpy as np
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
        (("no.csv",), "target is missing: name the column of no.csv"),
        (("digits", "price"), "target is 'price', but data is 'digits'; only a .csv"),
        (("digits", None, "regression"), "task is 'regression', but data is 'digits'"),
        (("notes.txt",), "data is 'notes.txt'; a file must be a .csv, a .npz or a .py"),
        (("no.py:problem",), "there is no file no.py"),
    ],
)
def test_bad_input(folder, arguments, message):
    (folder / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match=message):
        load_source(*arguments)
