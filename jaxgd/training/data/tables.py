"""Unsplit examples of a file that holds numbers: a table as text, or a `.npz` with `inputs` and `labels`."""

import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgd.tables.cells import as_number, present
from jaxgd.tables.class_names import are_few, are_whole, array_classes
from jaxgd.tables.columns import numbers_of
from jaxgd.tables.reading import RawTable, Texts, read_table
from jaxgd.tables.roles import check_roles, check_task, find_roles
from jaxgd.tables.targets import check_learnable, target_of

_ARRAYS = ("inputs", "labels")


class Table(NamedTuple):
    """Examples as a file gives them: `datasets.split` splits, standardises and rounds them to float32.

    inputs: float64[n, features], or of any shape [n, ...] from a `.npz`; labels: int32[n] or float64[n].
    task: "classification" or "regression". feature_names: the columns, empty for a `.npz`.
    class_names: what the target holds for each class index, empty for a regression. Texts and whole numbers
    of a column are named as they are written.
    """

    inputs: np.ndarray
    labels: np.ndarray
    task: str
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]


def read_csv(path, target: str, task: str | None = None) -> Table:
    """The table of a file whose features are all numbers, unsplit and as they are; `jaxgd.table` takes any.

    The first line names the columns: column `target` holds the labels, every other column a feature, with a
    finite number in every row. The target and the rows without one are as in `jaxgd.table`.

    Raises `ValueError` with the row, the line and the column of the first cell that is wrong.
    """
    roles = check_roles(target, task)
    raw = read_table(path, roles.keep_text)
    roles = find_roles(roles, raw.names, raw.places.data)
    found = target_of(raw, roles)
    names = [name for name in raw.names if name != roles.target]
    inputs = np.stack([_feature(raw, name)[found.rows] for name in names], axis=1)
    return Table(inputs, found.labels, found.task, tuple(names), found.classes)


def _feature(raw: RawTable, name: str) -> np.ndarray:
    """The numbers of a column, float64[rows]."""
    place = raw.names.index(name)
    if not name:
        raise ValueError(
            f"{raw.places.data}: column {place + 1} has no name (pandas: to_csv(..., index=False))"
        )
    cells = raw.columns[place]
    if isinstance(cells, Texts):
        for word in present(cells.words):
            if as_number(word) is None:
                row = int(np.argmax(cells.codes == cells.words.index(word)))
                raise ValueError(
                    f"{raw.places.of(row)}, column {name!r}: {word!r} is not a number; jaxgd.table takes text"
                )
    values = numbers_of(cells)
    if (bad := np.flatnonzero(~np.isfinite(values))).size:
        where = f"{raw.places.of(int(bad[0]))}, column {name!r}"
        if np.isnan(values[bad[0]]):
            raise ValueError(f"{where}: the cell is missing; every cell must be filled, or use jaxgd.table")
        raise ValueError(f"{where}: {raw.places.cell(int(bad[0]), place)!r} is not a finite number")
    return values


def read_npz(path, task: str | None = None) -> Table:
    """The table of a NumPy archive with `inputs` [n, ...] and `labels` [n], both of numbers.

    As in `read_csv`, a class for each distinct whole number, by its rule for the task: the years 2019 to 2023
    are five classes of these names. Labels from 0 on without a gap are kept as they are.
    """
    check_task(task)
    inputs, labels = _arrays(path)
    if inputs.ndim < 2 or labels.ndim != 1 or len(inputs) != len(labels) or not inputs.size:
        shapes = f"inputs {inputs.shape} and labels {labels.shape}"
        raise ValueError(f"{path}: has {shapes}; needed: inputs [n, features...] and labels [n] with n >= 1")
    inputs = inputs.astype(np.float64)
    whole = are_whole(labels)
    if task is None:
        is_few = bool(whole.all()) and are_few(len(np.unique(labels)), len(labels))
        task = "classification" if is_few else "regression"
    if task == "regression":
        return Table(inputs, labels.astype(np.float64), task, (), ())
    if not whole.all():
        row = whole.argmin()
        raise ValueError(f"{path}: row {row} (from 0): label {labels[row]}; classes are whole numbers")
    indices, names = array_classes(labels)
    return Table(inputs, indices, task, (), names)


def check_target(path, table: Table) -> None:
    """Raise ValueError if there is nothing to learn: one value in every row, or classes of a single row."""
    check_learnable(str(path), table.labels, table.class_names)


def _arrays(path) -> tuple[np.ndarray, np.ndarray]:
    """The archive's inputs and labels, of numbers."""
    try:
        # Opened here, because np.load leaves the file of a damaged archive open.
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            files, arrays = archive.files, {name: archive[name] for name in _ARRAYS if name in archive}
    # A pickle is a ValueError, a lone .npy a TypeError, a damaged file one of the others.
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        raise ValueError(f"{path}: is not a whole archive of number arrays as np.savez writes it") from None
    for name in _ARRAYS:
        if name not in arrays:
            raise ValueError(f"{path}: has no array {name!r}; its arrays: {', '.join(files) or 'none'}")
        if arrays[name].dtype.kind not in "biuf":
            raise ValueError(f"{path}: {name} has dtype {arrays[name].dtype}; numbers are needed")
    return arrays["inputs"], arrays["labels"]
