"""Examples read from a user's file: a `.csv` with a header, or a `.npz` with arrays `inputs` and `labels`."""

import csv
import zipfile
import zlib
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import numpy as np

# An automatic task is a classification up to this many distinct whole numbers in the target column.
MAX_CLASSES = 20
_ARRAYS = ("inputs", "labels")


class Table(NamedTuple):
    """Examples as a file gives them: `datasets.split` splits, standardises and rounds them to float32.

    inputs: float64[n, features], or of any shape [n, ...] from a `.npz`; labels: int32[n] or float64[n].
    task: "classification" or "regression". feature_names: the columns, empty for a `.npz`.
    class_names: what the target column holds for each class index, empty for a regression.
    """

    inputs: np.ndarray
    labels: np.ndarray
    task: str
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]


def read_csv(path, target: str, task: str | None = None) -> Table:
    """The table of a comma-separated file: column `target` holds the labels, every other column a feature.

    The first line names the columns, every other cell is a finite number. Only the target column may be text,
    in all of its rows: its distinct texts are then the classes. Without a task, text and up to 20 distinct
    whole numbers (at most one for two rows) make a classification, and any other target a regression.

    Raises `ValueError` with the row, the line and the column of the first cell that is wrong.
    """
    _check_task(task)
    header, rows, lines = _cells(path)
    if target not in header:
        near = get_close_matches(str(target), header, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"its columns: {', '.join(header)}"
        raise ValueError(f"{path}: no column {target!r} for target; {hint}")
    if len(header) == 1:
        raise ValueError(f"{path}: the target {target!r} is the only column; at least one feature is needed")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    answers = columns.pop(target)
    places = [f"{path}: row {row + 1} (line {line})" for row, line in enumerate(lines)]
    inputs = np.stack([_numbers(cells, name, places) for name, cells in columns.items()], axis=1)
    labels, class_names, task = _labels(answers, target, places, task)
    return Table(inputs, labels, task, tuple(columns), class_names)


def read_npz(path, task: str | None = None) -> Table:
    """The table of a NumPy archive with `inputs` [n, ...] and `labels` [n], both of numbers.

    Class labels are class indices and are kept as they are. Without a task, whole labels >= 0 are classes by
    the rule of `read_csv`.
    """
    _check_task(task)
    inputs, labels = _arrays(path)
    if inputs.ndim < 2 or labels.ndim != 1 or len(inputs) != len(labels) or not inputs.size:
        shapes = f"inputs {inputs.shape} and labels {labels.shape}"
        raise ValueError(f"{path}: has {shapes}; needed: inputs [n, features...] and labels [n] with n >= 1")
    inputs = inputs.astype(np.float64)
    if task is None:
        task = "classification" if _few_whole_numbers(labels) and labels.min() >= 0 else "regression"
    if task == "regression":
        return Table(inputs, labels.astype(np.float64), task, (), ())
    bad = ~((labels >= 0) & (labels == np.floor(labels)))
    if bad.any():
        row = bad.argmax()
        raise ValueError(f"{path}: row {row} (from 0): label {labels[row]}; classes are whole numbers from 0")
    return Table(
        inputs, labels.astype(np.int32), task, (), tuple(str(i) for i in range(int(labels.max()) + 1))
    )


def _check_task(task: str | None) -> None:
    if task not in (None, "classification", "regression"):
        raise ValueError(f'task is {task!r}; allowed: "classification", "regression", or None to choose')


def _cells(path) -> tuple[list[str], list[list[str]], list[int]]:
    """The stripped column names, the stripped cells of each row, and the line on which each row ends."""
    rows, lines = [], []
    try:
        # utf-8-sig drops the byte order mark that spreadsheets write before the first column's name.
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                if row:  # a blank line is no row
                    rows.append([cell.strip() for cell in row])
                    lines.append(reader.line_num)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except csv.Error as error:
        raise ValueError(f"{path}: line {reader.line_num}: {error}") from None
    if not rows:
        raise ValueError(f"{path}: is empty; a header and rows of numbers are needed")
    _check_header(path, rows[0])
    _check_shape(path, rows, lines)
    return rows[0], rows[1:], lines[1:]


def _check_header(path, header: list[str]) -> None:
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise ValueError(f"{path}: the header {header[0]!r} has no comma; separate columns by commas")
    if all(_is_number(name) for name in header):
        raise ValueError(f"{path}: the first line holds numbers; it must name the columns")
    for index, name in enumerate(header):
        if not name:
            raise ValueError(f"{path}: column {index + 1} has no name (pandas: to_csv(..., index=False))")
        if name in header[:index]:
            raise ValueError(f"{path}: two columns are named {name!r}")


def _check_shape(path, rows: list[list[str]], lines: list[int]) -> None:
    if len(rows) == 1:
        raise ValueError(f"{path}: has a header but no rows")
    for index, row in enumerate(rows):
        if len(row) != len(rows[0]):
            place = f"{path}: row {index} (line {lines[index]})"
            raise ValueError(f"{place} has {len(row)} cells; the header has {len(rows[0])} columns")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_000 as a number; a table that holds it means something else


def _check_present(cells, column: str, places: list[str]) -> None:
    for cell, place in zip(cells, places, strict=True):
        if not cell:
            raise ValueError(f"{place}, column {column!r}: the cell is missing; every cell must be filled")


def _numbers(cells, column: str, places: list[str]) -> np.ndarray:
    """The column's cells as float64[n]."""
    for cell, place in zip(cells, places, strict=True):
        _check_present([cell], column, [place])
        if not _is_number(cell):
            raise ValueError(
                f"{place}, column {column!r}: {cell!r} is not a number; encode or drop the column"
            )
        if not np.isfinite(float(cell)):
            raise ValueError(f"{place}, column {column!r}: {cell!r} is not a finite number")
    return np.array([float(cell) for cell in cells])


def _labels(
    cells, target: str, places: list[str], task: str | None
) -> tuple[np.ndarray, tuple[str, ...], str]:
    """The labels, the names of their classes, and the task."""
    if task != "regression" and not any(_is_number(cell) for cell in cells):
        _check_present(cells, target, places)
        names, labels = np.unique(np.array(cells), return_inverse=True)
        return labels.astype(np.int32), tuple(names.tolist()), "classification"
    values = _numbers(cells, target, places)
    if task is None:
        task = "classification" if _few_whole_numbers(values) else "regression"
    if task == "regression":
        return values, (), task
    fractional = values != np.floor(values)
    if fractional.any():
        place, cell = places[fractional.argmax()], cells[fractional.argmax()]
        raise ValueError(
            f"{place}, column {target!r}: {cell!r} is not a class; whole numbers or text are needed"
        )
    names, labels = np.unique(values, return_inverse=True)
    return labels.astype(np.int32), tuple(f"{name:.0f}" for name in names), task


def _few_whole_numbers(values: np.ndarray) -> bool:
    distinct = np.unique(values)
    whole = bool(np.isfinite(distinct).all() and (distinct == np.floor(distinct)).all())
    return whole and 2 <= len(distinct) <= min(MAX_CLASSES, max(2, len(values) // 2))


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
