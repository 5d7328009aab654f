"""What a column of a table holds, and what becomes of it."""

import re
from typing import NamedTuple

import numpy as np

from jaxgd.tables.cells import BOOLEANS, MISSING, are_booleans, as_number, is_date, present
from jaxgd.tables.places import Places
from jaxgd.tables.reading import Cells, OtherCells, RawTable, Texts
from jaxgd.tables.scaling import FLOAT32_MAX

MAX_WORDS = 30
# How pandas calls a column without a name.
_NO_NAME = re.compile(r"Unnamed: \d+|")
# More words than this in a cell, on average, are a text that somebody wrote.
_MANY_WORDS = 5
# Up to so many distinct numbers among words may be names of classes, such as 1, 2 and "3 or more".
_MANY_NUMBERS = 10


class Column(NamedTuple):
    """A column and what becomes of it.

    kind: "number", "boolean" or "words", which are features; "left out"; or "unusable". reason: why it is
    left out or cannot be used. missing: rows where nothing is known. words: the distinct words of text.
    """

    name: str
    kind: str
    reason: str = ""
    missing: int = 0
    words: tuple[str, ...] = ()

    @property
    def is_feature(self) -> bool:
        """Whether a network is given it."""
        return self.kind in ("number", "boolean", "words")


def describe_columns(raw: RawTable, others: tuple[str, ...], rows: np.ndarray) -> list[Column]:
    """Each column but the others, as it is in these rows, in the order of the table.

    Raises:
        ValueError: a column that is not left out has no name.
    """
    return [
        _describe(name, place, _rows_of(raw.columns[place], rows), rows, raw.places)
        for place, name in enumerate(raw.names)
        if name not in others
    ]


def _rows_of(cells: Cells, rows: np.ndarray) -> Cells:
    if isinstance(cells, OtherCells) or len(rows) == num_rows(cells):
        return cells
    return Texts(cells.codes[rows], cells.words) if isinstance(cells, Texts) else cells[rows]


def num_rows(cells: Cells) -> int:
    """The rows of a column."""
    return len(cells.codes) if isinstance(cells, Texts) else len(cells)


def _describe(name: str, place: int, cells: Cells, rows: np.ndarray, places: Places) -> Column:
    if isinstance(cells, OtherCells):
        return Column(name, "unusable", cells.what)
    if _NO_NAME.fullmatch(name):
        return _describe_nameless(name, place, cells, places)
    if isinstance(cells, Texts):
        return _describe_texts(name, place, cells, rows, places)
    return _describe_numbers(name, place, cells, rows, places)


def _describe_nameless(name: str, place: int, cells: Cells, places: Places) -> Column:
    """A column without a name: empty, as where each line ends with a comma, or the names of the rows."""
    called = name or f"column {place + 1}"
    counts = np.bincount(cells.codes) if isinstance(cells, Texts) else np.unique(cells, return_counts=True)[1]
    if _is_empty(cells):
        return Column(called, "left out", "empty")
    if place == 0 and counts.max() == 1:
        return Column(called, "left out", "without a name, it numbers or names the rows")
    raise ValueError(f"{places.data}: column {place + 1} has no name; give it one in the first line")


def _is_empty(cells: Cells) -> bool:
    if isinstance(cells, Texts):
        return not present(_used(cells)[0])
    return bool(np.isnan(cells).all())  # pyright: ignore[reportCallIssue, reportArgumentType]


def _used(cells: Texts) -> tuple[list[str], np.ndarray]:
    """The words that occur, and in how many rows each."""
    counts = np.bincount(cells.codes, minlength=len(cells.words))
    places = np.flatnonzero(counts)
    return [cells.words[place] for place in places], counts[places]


def _describe_numbers(name: str, place: int, values, rows: np.ndarray, places: Places) -> Column:
    known = values[~np.isnan(values)]
    if (large := np.flatnonzero(np.abs(values) > FLOAT32_MAX)).size:
        row = int(rows[large[0]])
        cell = places.cell(row, place) or values[large[0]]
        return Column(name, "unusable", f"{cell} in {places.within(row)}, out of the range of float32")
    missing = len(values) - len(known)
    if not len(known):
        return Column(name, "left out", "empty")
    if not missing and known.min() == known.max():
        return Column(name, "left out", f"always {known[0]:g}")
    return Column(name, "number", missing=missing)


def _describe_texts(name: str, place: int, cells: Texts, rows: np.ndarray, places: Places) -> Column:
    words, counts = _used(cells)
    known = present(words)
    count_of = dict(zip(words, counts.tolist(), strict=True))
    missing = len(cells.codes) - sum(count_of[word] for word in known)
    if not known:
        return Column(name, "left out", "empty")
    if len(known) == 1 and not missing:
        return Column(name, "left out", f"always {known[0]!r}")
    if are_booleans(known):
        return Column(name, "boolean", missing=missing)
    numeric = [word for word in known if as_number(word) is not None]
    if len(numeric) == len(known):
        return _describe_numbers(name, place, numbers_of(cells), rows, places)
    if reason := _why_unusable(cells, known, numeric, count_of, rows, places):
        return Column(name, "unusable", reason)
    return Column(name, "words", missing=missing, words=tuple(sorted(known)))


def _why_unusable(
    cells: Texts, known: list[str], numeric: list[str], count_of: dict[str, int], rows, places: Places
) -> str | None:
    """Why words are no feature, in a few words; None if they are one."""
    total = sum(count_of[word] for word in known)
    if all(map(is_date, known)):
        return f"dates, such as {known[0]!r}"
    if 2 * sum(count_of[word] for word in numeric) > total and len(numeric) > _MANY_NUMBERS:
        odd = next(word for word in known if as_number(word) is None)
        row = int(rows[np.argmax(cells.codes == cells.words.index(odd))])
        return f"numbers, but {odd!r} in {places.within(row)}"
    is_many = len(known) > MAX_WORDS
    if is_many and sum(len(word.split()) * count_of[word] for word in known) > _MANY_WORDS * total:
        return f"free text, such as {_short(known[0])!r}"
    if (is_many and 2 * len(known) > total) or len(known) == total > 2:
        return f"names or ids, {len(known):,} different in {total:,} rows, such as {_short(known[0])!r}"
    return None


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:29] + "…"


def numbers_of(cells: Cells) -> np.ndarray:
    """The numbers of a column of numbers or truth values, float64[rows], NaN where nothing is known."""
    if isinstance(cells, Texts):
        values = [_number(word) for word in cells.words]
        return np.array(values, np.float64)[cells.codes]
    return cells  # pyright: ignore[reportReturnType]


def _number(word: str) -> float:
    if word in MISSING:
        return np.nan
    number = BOOLEANS.get(word.lower(), as_number(word))
    return np.nan if number is None else number


def words_of(cells: Texts) -> np.ndarray:
    """The words of a column, object[rows], "" where nothing is known."""
    return np.array(["" if word in MISSING else word for word in cells.words], object)[cells.codes]
