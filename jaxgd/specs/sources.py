"""What a comparison runs on: a problem, and what a reader must know about where it came from."""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxgd.arguments import is_there
from jaxgd.specs.splits import complete_splits
from jaxgd.specs.user_files import call_user, load_object
from jaxgd.tables.layout import has_table_suffix
from jaxgd.tables.prepared import PreparedTable, table
from jaxgd.tables.report import TableReport
from jaxgd.tables.roles import Roles, check_roles
from jaxgd.training import Model, Problem, classification, mlp, regression
from jaxgd.training.data import datasets
from jaxgd.training.data.tables import check_target, read_npz
from jaxgd.training.gradients import split_means

if TYPE_CHECKING:
    import pandas as pd

HIDDEN = 64
NO_ROLES = Roles()
# What only a table has, by the argument that speaks of it.
_WHAT = {"target": "a target column", "group": "a group column", "split": "a split column"}


class Source(NamedTuple):
    """A problem with all three splits, and its origin."""

    problem: Problem
    data: str  # what it is called: "digits", "numbers.csv", "my.py:problem"
    model: str  # a line about the model
    splits: str  # how the splits came about
    made_splits: str | None  # a warning if a split had to be made
    setup: str | None  # Python code that builds the problem, or None if only its owner can
    file: str | None  # the user's file that the problem comes from
    table: TableReport | None = None  # what became of the columns of a table
    target_scale: float = 1.0  # of a regression: what 1 of its targets is in the units of the data


class SplitData(NamedTuple):
    """Data in three splits, without a model."""

    data: str  # what it is called
    splits: datasets.Splits
    task: str  # "classification" or "regression"
    num_outputs: int  # of a model for it
    made: str | None  # a warning if the splits had to be made
    code: list[str]  # Python that makes `train`, `valid` and `test`
    way: str = "60 % training, 20 % validation, 20 % test, drawn with seed 0"
    table: TableReport | None = None
    target_scale: float = 1.0


def load_source(
    data: "str | Path | pd.DataFrame | PreparedTable",
    target: str | None = None,
    task: str | None = None,
    *,
    drop: str | Iterable[str] = (),
    group: str | None = None,
    split: str | None = None,
) -> Source:
    """The source that a text names: a data set, a table with a target column, a `.npz`, or "my.py:problem".

    A table is a file as `jaxgd.table` reads, or a DataFrame, and the arguments are those of `jaxgd.table`.
    "my.py:problem" is a `Problem`, or a function without arguments that returns one.
    """
    roles = check_roles(target, task, drop, group, split)
    if isinstance(data, str) and is_python(data):
        return _user_source(f"{data}:problem" if data.endswith(".py") else data, roles)
    found = load_splits(data, roles)
    sizes = [found.splits.train[0].shape[1], HIDDEN, found.num_outputs]
    problem = build_problem(found, mlp(sizes))
    code = f"problem = jaxgd.{found.task}(jaxgd.mlp({sizes}), train, valid, test)"
    way = f"{found.way}, standardised by the training part"
    setup = "\n".join([*found.code, code])
    return Source(
        problem, found.data, f"mlp({sizes})", way, found.made, setup, None, found.table, found.target_scale
    )


def source_of(problem: Any, data: str | None = None, roles: Roles = NO_ROLES) -> Source:
    """The source of a problem, of a text that names one, or of a table; a source stays as it is.

    data: what to call the data; None leaves it to the source.
    """
    if isinstance(problem, Source):
        return problem
    is_frame = hasattr(problem, "columns")
    if not (is_frame or isinstance(problem, str | Path | PreparedTable)):
        check_no_roles(roles, "a Problem")
        return problem_source(problem, "your problem" if data is None else data)
    source = load_source(problem, **roles._asdict())
    return source if data is None else source._replace(data=data)


def is_python(data: str) -> bool:
    """Whether the text names a problem in Python code: "my.py", "my.py:problem", "package.module:problem"."""
    return Path(data).suffix == ".py" or (not is_data_file(data) and ":" in data)


def is_data_file(data: str) -> bool:
    """Whether the text is the name of a file that holds examples."""
    return has_table_suffix(data) or Path(data).suffix.lower() == ".npz"


def load_splits(data: "str | Path | pd.DataFrame | PreparedTable", roles: Roles = NO_ROLES) -> SplitData:
    """The data set, the table with a target column or the `.npz` that is given or named, in three splits."""
    if isinstance(data, PreparedTable):
        check_no_roles(roles, "a prepared table")
        return _prepared_splits(data, "# table = ...  the jaxgd.table that was given to jaxgd.compare")
    if isinstance(data, Path):
        data = str(data)
    if not isinstance(data, str) or has_table_suffix(data):
        return _table_splits(data, roles)
    is_archive = Path(data).suffix.lower() == ".npz"
    if not is_archive:
        _check_known(data)
    check_no_roles(roles._replace(task=None), data)
    if is_archive:
        _check_exists(data)
        return _archive_splits(data, roles.task)
    check_no_roles(roles, data)
    return _named_splits(data)


def build_problem(data: SplitData, model: Model) -> Problem:
    """The problem of training a model on the data."""
    return {"classification": classification, "regression": regression}[data.task](model, *data.splits)


def check_no_roles(roles: Roles, data: str) -> None:
    """Raise ValueError if something is said of columns, but the data have none."""
    for role, given in roles._asdict().items():
        if given and role == "task":
            raise ValueError(
                f"task is {given!r}, but data is {data!r}; only a .csv or a .npz leaves the task open"
            )
        if given:
            raise ValueError(
                f"{role} is {given!r}, but data is {data!r}; only a .csv has {_WHAT.get(role, 'columns')}"
            )


def problem_source(problem: Problem, data: str = "your problem") -> Source:
    """The source of a problem that was built elsewhere; missing splits are made."""
    if not isinstance(problem, Problem):
        raise TypeError(f"problem is a {type(problem).__name__}; a jaxgd.Problem is needed")
    complete, made = complete_splits(problem)
    count = _num_parameters(complete)
    return Source(complete, data, f"{count:,} parameters", made or "as the problem came", made, None, None)


def _check_known(name: str) -> None:
    """Raise ValueError if it is the name of a file, which must be one that can be read."""
    is_file = is_there("data", name)
    if name not in datasets.DATASETS and (is_file or Path(name).suffix):
        found = "" if is_file else "there is no such file, and "
        raise ValueError(f"data is {name!r}; {found}a file must be a .csv, .tsv, .txt, .csv.gz, .npz or .py")


def _named_splits(name: str) -> SplitData:
    splits = datasets.load(name)
    task = datasets.DATASETS[name].task
    num_classes = 1 + int(max(labels.max() for _, labels in splits)) if task == "classification" else 1
    code = ["from jaxgd import datasets", "", f"train, valid, test = datasets.load({name!r})"]
    return SplitData(name, splits, task, num_classes, None, code)


def _table_splits(data: "str | pd.DataFrame", roles: Roles) -> SplitData:
    if isinstance(data, str):
        _check_exists(data)
        if roles.target is None:
            raise ValueError(f"target is missing: name the column of {data} to predict")
    given = [repr(data) if isinstance(data, str) else "frame"]
    given += [f"{role}={value!r}" for role, value in roles._asdict().items() if value]
    comment = (
        "" if isinstance(data, str) else "# frame = ...  the DataFrame that was given to jaxgd.compare\n"
    )
    return _prepared_splits(
        table(data, **roles._asdict()), f"{comment}table = jaxgd.table({', '.join(given)})"
    )


def _prepared_splits(prepared: PreparedTable, code: str) -> SplitData:
    report = prepared.report
    return SplitData(
        data=report.data,
        splits=datasets.Splits(prepared.train, prepared.valid, prepared.test),
        task=prepared.task,
        num_outputs=len(prepared.classes) or 1,
        made=None if report.roles.split else _drawn(report.data),
        code=["", code, "train, valid, test = table.train, table.valid, table.test"],
        way=report.way,
        table=report,
        target_scale=prepared.target_scale,
    )


def _drawn(data: str) -> str:
    return f"{data} has no splits: 20 % of its rows were drawn for validation and 20 % for the test (seed 0)."


def _archive_splits(data: str, task: str | None) -> SplitData:
    found = read_npz(data, task)
    check_target(data, found)
    flat = np.reshape(found.inputs, (len(found.inputs), -1))
    splits = datasets.split(flat, found.labels, found.task)
    code = [
        "from jaxgd import datasets",
        "from jaxgd.training.data.tables import read_npz",
        "",
        f"table = read_npz({data!r}, {task!r})",
        "inputs = table.inputs.reshape(len(table.inputs), -1)",
        "train, valid, test = datasets.split(inputs, table.labels, table.task)",
    ]
    return SplitData(data, splits, found.task, len(found.class_names) or 1, _drawn(data), code)


def _user_source(place: str, roles: Roles) -> Source:
    check_no_roles(roles, place)
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
    if not (is_there("data", path) and Path(path).is_file()):
        raise ValueError(f"data is {path!r}; there is no such file")


def _num_parameters(problem: Problem) -> int:
    """The number of parameters. What `init`, loss and metrics raise on the data is raised here, untrained."""
    params = jax.eval_shape(lambda key: problem.init(key), jax.random.key(0))
    jax.eval_shape(functools.partial(split_means, problem), params, problem.train, problem.model_state)
    return sum(leaf.size for leaf in jax.tree.leaves(params))
