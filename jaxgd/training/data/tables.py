"""Examples read from a user's file: a `.csv` with a header, or a `.npz` with arrays `inputs` and `labels`."""

import csv
import unicodedata
import zipfile
import zlib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgd.training.data.class_names import (
    are_few,
    are_whole,
    array_classes,
    number_classes,
    text_classes,
    whole_number,
)

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
    """The table of a comma-separated file: column `target` holds the labels, every other column a feature.

    The first line names the columns, every other cell is a finite number. Only the target column may be text,
    in all of its rows. Without a task, text and up to 20 distinct whole numbers (at most one for two rows)
    make a classification, and any other target a regression. Its distinct texts are the classes, numbers
    too: `01` and `1` are two, and so are 2**53 and 2**53 + 1.

    Raises `ValueError` with the row, the line and the column of the first cell that is wrong.
    """
    _check_task(task)
    header, rows, lines = _cells(path)
    target = next((name for name in header if _is_same_name(name, target)), target)
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

    As in `read_csv`, a class for each distinct whole number, by its rule for the task: the years 2019 to 2023
    are five classes of these names. Labels from 0 on without a gap are kept as they are.
    """
    _check_task(task)
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
    """Raise ValueError if there is nothing to learn: one value in every row, or a class for each row."""
    first = table.class_names[0] if table.class_names else f"{table.labels[0]:g}"
    if (table.labels == table.labels[0]).all():
        raise ValueError(f"{path}: the target is {first} in every row; at least two values are needed")
    if len(table.class_names) == len(table.labels):
        raise ValueError(
            f"{path}: each of the {len(table.labels)} rows has a class of its own, such as {first!r}; "
            "rows of one class are needed to learn it"
        )


def _is_same_name(name: str, target: Any) -> bool:
    """Whether they are the same to a reader: an accent may be a sign of its own."""
    return unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", str(target))


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
                if len(row) > 1 or "".join(row).strip():  # a blank line is no row
                    rows.append([cell.strip() for cell in row])
                    lines.append(reader.line_num)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except csv.Error as error:
        raise ValueError(f"{path}: line {reader.line_num}: {error}") from None  # pyright: ignore[reportPossiblyUnboundVariable]
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
            is_last = 0 < index == len(header) - 1
            hint = "its line ends with a comma" if is_last else "pandas: to_csv(..., index=False)"
            raise ValueError(f"{path}: column {index + 1} has no name ({hint})")
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


def _numbers(cells, column: str, places: list[str], remedy: str = "encode or drop the column") -> np.ndarray:
    """The column's cells as float64[n]."""
    for cell, place in zip(cells, places, strict=True):
        _check_present([cell], column, [place])
        if not _is_number(cell):
            raise ValueError(f"{place}, column {column!r}: {cell!r} is not a number; {remedy}")
        if not np.isfinite(float(cell)):
            raise ValueError(f"{place}, column {column!r}: {cell!r} is not a finite number")
    return np.array([float(cell) for cell in cells])


def _labels(
    cells, target: str, places: list[str], task: str | None
) -> tuple[np.ndarray, tuple[str, ...], str]:
    """The labels, the names of their classes, and the task."""
    num_numbers = sum(map(_is_number, cells))
    if task != "regression" and not num_numbers:
        _check_present(cells, target, places)
        return *text_classes(cells), "classification"
    if task != "regression":
        _check_one_kind(cells, target, places, num_numbers)
    values = _numbers(cells, target, places, "the target is numbers in all rows, or text in all")
    if task is None:
        is_whole = all(whole_number(cell) is not None for cell in set(cells))
        is_few = is_whole and are_few(len(set(cells)), len(cells))
        task = "classification" if is_few else "regression"
    if task == "regression":
        return values, (), task
    for cell, place in zip(cells, places, strict=True):
        if whole_number(cell) is None:
            raise ValueError(
                f"{place}, column {target!r}: {cell!r} is not a class; whole numbers or text are needed"
            )
    try:
        return *number_classes(cells), task
    except ValueError as error:
        file = places[0].partition(": row")[0]
        raise ValueError(f"{file}: column {target!r}: {error}, or task regression") from None


def _check_one_kind(cells, target: str, places: list[str], num_numbers: int) -> None:
    """Raise ValueError if the target is text but for a few rows: then those are the odd ones."""
    if 2 * num_numbers < len(cells):
        odd = next(place for place, cell in enumerate(cells) if not cell or _is_number(cell))
        _check_present([cells[odd]], target, [places[odd]])
        place = f"{places[odd]}, column {target!r}"
        raise ValueError(f"{place}: {cells[odd]!r} is a number, but most rows of the target are text")


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
