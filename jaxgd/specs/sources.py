"""What a comparison runs on: a problem, and what a reader must know about where it came from."""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxgd.specs.splits import complete_splits
from jaxgd.specs.user_files import call_user, load_object
from jaxgd.training import Model, Problem, classification, mlp, regression
from jaxgd.training.data import datasets
from jaxgd.training.data.tables import Table, check_target, read_csv, read_npz
from jaxgd.training.gradients import split_means

HIDDEN = 64


class Source(NamedTuple):
    """A problem with all three splits, and its origin."""

    problem: Problem
    data: str  # what it is called: "digits", "numbers.csv", "my.py:problem"
    model: str  # a line about the model
    splits: str  # how the splits came about
    made_splits: str | None  # a warning if a split had to be made
    setup: str | None  # Python code that builds the problem, or None if only its owner can
    file: str | None  # the user's file that the problem comes from


class SplitData(NamedTuple):
    """Data in three splits, without a model."""

    data: str  # what it is called
    splits: datasets.Splits
    task: str  # "classification" or "regression"
    num_outputs: int  # of a model for it
    made: str | None  # a warning if the splits had to be made
    code: list[str]  # Python that makes `train`, `valid` and `test`


def load_source(data: str, target: str | None = None, task: str | None = None) -> Source:
    """The source that a text names: a data set, a `.csv` with a target column, a `.npz`, or "my.py:problem".

    A table is split by `datasets.split`. "my.py:problem" is a `Problem`, or a function without arguments that
    returns one.
    """
    if is_python(data):
        return _user_source(f"{data}:problem" if data.endswith(".py") else data, target, task)
    found = load_splits(data, target, task)
    sizes = [found.splits.train[0].shape[1], HIDDEN, found.num_outputs]
    problem = build_problem(found, mlp(sizes))
    code = f"problem = jaxgd.{found.task}(jaxgd.mlp({sizes}), train, valid, test)"
    about = "60 % training, 20 % validation, 20 % test, drawn with seed 0, standardised by the training part"
    return Source(problem, data, f"mlp({sizes})", about, found.made, "\n".join([*found.code, code]), None)


def is_python(data: str) -> bool:
    """Whether the text names a problem in Python code: "my.py", "my.py:problem", "package.module:problem"."""
    return Path(data).suffix == ".py" or (_suffix(data) not in (".csv", ".npz") and ":" in data)


def _suffix(data: str) -> str:
    """The end of a file's name, in lower case: some systems write `DATA.CSV`."""
    return Path(data).suffix.lower()


def load_splits(data: str, target: str | None = None, task: str | None = None) -> SplitData:
    """The data set, the `.csv` with a target column or the `.npz` that a text names, in three splits."""
    suffix = _suffix(data)
    if target is not None and suffix != ".csv":
        raise ValueError(_only_a_csv_has(target, data))
    if suffix == ".csv":
        if target is None:
            raise ValueError(f"target is missing: name the column of {data} to predict")
        _check_exists(data)
        return _table_splits(data, read_csv(data, target, task), f"read_csv({data!r}, {target!r}, {task!r})")
    if suffix == ".npz":
        _check_exists(data)
        return _table_splits(data, read_npz(data, task), f"read_npz({data!r}, {task!r})")
    if task is not None:
        raise ValueError(_only_a_table_leaves(task, data))
    return _named_splits(data)


def build_problem(data: SplitData, model: Model) -> Problem:
    """The problem of training a model on the data."""
    return {"classification": classification, "regression": regression}[data.task](model, *data.splits)


def _only_a_csv_has(target: str, data: str) -> str:
    return f"target is {target!r}, but data is {data!r}; only a .csv has a target column"


def _only_a_table_leaves(task: str, data: str) -> str:
    return f"task is {task!r}, but data is {data!r}; only a .csv or a .npz leaves the task open"


def problem_source(problem: Problem, data: str = "your problem") -> Source:
    """The source of a problem that was built elsewhere; missing splits are made."""
    if not isinstance(problem, Problem):
        raise TypeError(f"problem is a {type(problem).__name__}; a jaxgd.Problem is needed")
    complete, made = complete_splits(problem)
    count = _num_parameters(complete)
    return Source(complete, data, f"{count:,} parameters", made or "as the problem came", made, None, None)


def _named_splits(name: str) -> SplitData:
    if name not in datasets.DATASETS and Path(name).exists():
        raise ValueError(f"data is {name!r}; a file must be a .csv, a .npz or a .py")
    splits = datasets.load(name)
    task = datasets.DATASETS[name].task
    num_classes = 1 + int(max(labels.max() for _, labels in splits)) if task == "classification" else 1
    code = ["from jaxgd import datasets", "", f"train, valid, test = datasets.load({name!r})"]
    return SplitData(name, splits, task, num_classes, None, code)


def _table_splits(data: str, table: Table, call: str) -> SplitData:
    check_target(data, table)
    flat = np.reshape(table.inputs, (len(table.inputs), -1))
    splits = datasets.split(flat, table.labels, table.task)
    code = [
        "from jaxgd import datasets",
        f"from jaxgd.training.data.tables import {call.partition('(')[0]}",
        "",
        f"table = {call}",
        "inputs = table.inputs.reshape(len(table.inputs), -1)",
        "train, valid, test = datasets.split(inputs, table.labels, table.task)",
    ]
    made = f"{data} has no splits: 20 % of its rows were drawn for validation and 20 % for the test (seed 0)."
    return SplitData(data, splits, table.task, len(table.class_names) or 1, made, code)


def _user_source(place: str, target: str | None, task: str | None) -> Source:
    if target is not None:
        raise ValueError(_only_a_csv_has(target, place))
    if task is not None:
        raise ValueError(_only_a_table_leaves(task, place))
    found, file = load_object(place)
    problem = call_user(found, file) if callable(found) and not isinstance(found, Problem) else found
    if not isinstance(problem, Problem):
        what = type(problem).__name__
        raise ValueError(
            f"data {place!r} is a {what}; a jaxgd.Problem, or a function that returns one, is needed"
        )
    source = call_user(lambda: problem_source(problem, place), file)
    lines = ["from jaxgd.specs.sources import load_source", "", f"problem = load_source({place!r}).problem"]
    return source._replace(setup="\n".join(lines), file=file)


def _check_exists(path: str):
    if not Path(path).is_file():
        raise ValueError(f"data is {path!r}; there is no such file")


def _num_parameters(problem: Problem) -> int:
    """The number of parameters. What `init`, loss and metrics raise on the data is raised here, untrained."""
    params = jax.eval_shape(lambda key: problem.init(key), jax.random.key(0))
    jax.eval_shape(functools.partial(split_means, problem), params, problem.train, problem.model_state)
    return sum(leaf.size for leaf in jax.tree.leaves(params))
