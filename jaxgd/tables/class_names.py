"""Class labels are names: distinct texts and whole numbers are distinct classes, compared exactly."""

import itertools
import re
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

# An automatic task is a classification up to this many distinct whole numbers in the target column.
MAX_CLASSES = 20
_INTEGER = re.compile(r"[+-]?[0-9]+")


def text_classes(cells: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """`(labels int32[n], names)`: a class for each distinct text, in their order."""
    return _indexed(cells, sorted(set(cells)))


def whole_number(cell: str) -> int | None:
    """The number that a cell holds, exactly; None if it is not whole. `cell` is a finite number."""
    if _INTEGER.fullmatch(cell):
        return int(cell)
    number = Decimal(cell)
    return int(number) if number == number.to_integral_value() else None


def number_classes(cells: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """`(labels int32[n], names)` of cells that hold whole numbers: a class for each distinct text.

    Classes are in the order of the numbers. A whole number is named as it is written, `01` and `1` apart;
    `1.0` is named `1`.

    Raises:
        ValueError: two spellings of one number of which one is no plain whole number, such as `1e3` and 1000.
    """
    numbers = {cell: whole_number(cell) for cell in set(cells)}
    order = sorted(numbers, key=lambda cell: (numbers[cell], cell))
    for one, other in itertools.pairwise(order):
        if numbers[one] == numbers[other] and not (_INTEGER.fullmatch(one) and _INTEGER.fullmatch(other)):
            raise ValueError(f"{one!r} and {other!r} are one number; a class is written in one way")
    labels, texts = _indexed(cells, order)
    return labels, tuple(text if _INTEGER.fullmatch(text) else str(numbers[text]) for text in texts)


def array_classes(labels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """`(labels int32[n], names)` of whole numbers: a class for each distinct one, in their order."""
    distinct, indices = np.unique(labels, return_inverse=True)
    return indices.astype(np.int32), tuple(str(int(label)) for label in distinct)


def are_whole(labels: np.ndarray) -> np.ndarray:
    """Whether each number of an array is whole: bool[n]."""
    if labels.dtype.kind != "f":
        return np.ones(labels.shape, bool)
    return np.isfinite(labels) & (labels == np.floor(labels))


def are_few(num_distinct: int, num_rows: int) -> bool:
    """Whether so many distinct whole numbers are classes if nobody says: at most one for two rows."""
    return 2 <= num_distinct <= min(MAX_CLASSES, max(2, num_rows // 2))


def _indexed(cells: Sequence[str], names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[cell] for cell in cells], np.int32), tuple(names)
