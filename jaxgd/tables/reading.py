"""Files and DataFrames as columns: float64 where every cell is a number, and exact texts elsewhere.

Pandas reads. A first pass takes what its C engine can read as numbers, in blocks of rows, so that little more
than the numbers themselves is held, and the columns whose exact text matters; a second one reads the others
as text.
"""

import datetime
import numbers
import warnings
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import contextmanager
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxgd.tables.cells import MISSING
from jaxgd.tables.layout import FileLayout, find_layout, open_bytes, open_text
from jaxgd.tables.places import Places, check_shape

if TYPE_CHECKING:
    import pandas as pd

PACKAGES = 'a table needs pandas and scikit-learn: pip install "jaxgd[data]"'
_CELLS_AT_ONCE = 2_000_000
_FRAME = "the DataFrame"
# What a cell of a DataFrame may be.
_PLAIN = (str, numbers.Number, np.bool_, datetime.date, datetime.time)


class Texts(NamedTuple):
    """A column of texts: `words[codes[row]]` is a row's cell, stripped. codes: int32[rows]."""

    codes: np.ndarray
    words: tuple[str, ...]


class OtherCells(NamedTuple):
    """A column of a DataFrame that holds something else; a text that says what, such as "lists"."""

    what: str


Cells = np.ndarray | Texts | OtherCells


class RawTable(NamedTuple):
    """A table as it was given. columns: of each name float64[rows], NaN where nothing is known, or texts.

    places: how its rows are found again.
    """

    names: list[str]
    columns: list[Cells]
    num_rows: int
    places: Places


def read_table(data: Any, is_exact: Callable[[str], bool]) -> RawTable:
    """The columns of a path or a DataFrame; those are texts whose name `is_exact` says so.

    Raises:
        ValueError: what the file holds is no table, with the line; two columns have one name.
        ImportError: pandas is missing.
    """
    pandas = _pandas()
    if isinstance(data, pandas.DataFrame):
        return _from_frame(data, is_exact)
    if not isinstance(data, str | PathLike):
        raise TypeError(f"data is a {type(data).__name__}; a path or a pandas.DataFrame is needed")
    return _from_file(fspath(data), is_exact)


def _pandas():
    try:
        import pandas
    except ImportError:
        raise ImportError(PACKAGES, name="pandas") from None
    return pandas


def texts_of(cells, layout: FileLayout | None = None) -> Texts:
    """The texts of cells, of a file where the layout is given; none of them is missing."""
    codes, found = _pandas().factorize(np.asarray(cells, object))
    stripped = [str(word).strip() for word in found]
    places = {word: place for place, word in enumerate(dict.fromkeys(stripped))}
    merged = np.array([places[word] for word in stripped], np.int32)
    words = tuple(places)
    return Texts(merged[codes], _with_points(words) if layout and layout.decimal == "," else words)


def _check_names(data: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise ValueError(f"{data}: two columns are named {', '.join(map(repr, twice))}; rename one of each")


def _from_file(path: str, is_exact: Callable[[str], bool]) -> RawTable:
    layout = find_layout(path)
    _check_names(path, layout.names)
    exact = [place for place, name in enumerate(layout.names) if is_exact(name)]
    columns = _read_numbers(path, layout, exact)
    texts = [place for place in range(len(layout.names)) if place not in columns]
    if texts:
        columns |= _read_texts(path, layout, texts)
    ordered = [columns[place] for place in range(len(layout.names))]
    if ordered and _has_gap(ordered[-1]):  # pandas fills a row that is too short
        check_shape(path, layout)
    return RawTable(layout.names, ordered, len(_codes(ordered[0])), Places(path, layout))


def _read_numbers(path, layout: FileLayout, exact: Collection[int]) -> dict[int, Cells]:
    """The columns, by place, that hold numbers in all rows, and as texts those whose exact text matters."""
    places = range(len(layout.names))
    # One array for all columns: what is not touched takes no memory.
    held = np.empty((len(places), _most_rows(path)))
    blocks: dict[int, list] = {place: [] for place in exact}
    is_text = set(exact)
    start = 0
    options = {
        "chunksize": max(_CELLS_AT_ONCE // len(places), 1000),
        "na_values": _missing_but(exact, places),
    }
    # Every column is read: with `usecols` pandas takes rows that are too long.
    with _reading(path, layout, dtype=dict.fromkeys(exact, str), decimal=layout.decimal, **options) as read:
        for block in read:
            stop = start + len(block)
            for place in places:
                values = block[place].to_numpy()
                if place in blocks:
                    blocks[place].append(values)
                elif values.dtype.kind in "iuf" and place not in is_text:
                    held[place, start:stop] = values
                else:
                    is_text.add(place)
            start = stop
    numbers: dict[int, Cells] = {place: held[place, :start] for place in places if place not in is_text}
    return numbers | {place: texts_of(np.concatenate(found), layout) for place, found in blocks.items()}


def _missing_but(exact: Collection[int], places) -> dict[int, list[str]]:
    """The spellings of a missing cell, of each column but those whose exact text matters."""
    return {place: sorted(MISSING) for place in places if place not in exact}


def _read_texts(path, layout: FileLayout, wanted: list[int]) -> dict[int, Cells]:
    """The columns of these places as texts."""
    with _reading(path, layout, usecols=wanted, dtype=str) as frame:
        return {place: texts_of(frame.pop(place).to_numpy(), layout) for place in wanted}


def _with_points(words: tuple[str, ...]) -> tuple[str, ...]:
    """Words in which a decimal comma of a number is a point."""
    return tuple(
        word.replace(",", ".") if word.count(",") == 1 and word.strip("+-,0123456789") == "" else word
        for word in words
    )


@contextmanager
def _reading(path, layout: FileLayout, **options):
    """Blocks of rows of the file as pandas reads them, columns named by their places.

    Raises:
        ValueError: a row has too many cells, or a quote does not end, with its line.
    """
    pandas = _pandas()
    try:
        with open_text(path) as file, warnings.catch_warnings():
            # Too many cells in the first row are cut off with a warning.
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            yield pandas.read_csv(
                file,
                sep=layout.separator,
                header=0,
                names=range(len(layout.names)),
                index_col=False,
                keep_default_na=False,
                skipinitialspace=True,
                **options,
            )
    except (pandas.errors.ParserError, pandas.errors.ParserWarning) as error:
        check_shape(path, layout)
        raise ValueError(f"{path}: {str(error).splitlines()[0]}") from None


def _most_rows(path) -> int:
    """At least as many as the file has rows."""
    counts = np.zeros(2, int)
    with open_bytes(path) as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            counts += block.count(b"\n"), block.count(b"\r")
    return int(counts.max()) + 1


def _has_gap(cells: Cells) -> bool:
    """Whether a cell of a file's column is empty."""
    return "" in cells.words if isinstance(cells, Texts) else bool(np.isnan(_codes(cells)).any())


def _codes(cells: Cells) -> np.ndarray:
    """What there is one of for each row."""
    return cells.codes if isinstance(cells, Texts) else cells  # pyright: ignore[reportReturnType]


def _from_frame(frame: "pd.DataFrame", is_exact: Callable[[str], bool]) -> RawTable:
    names = [str(name).strip() for name in frame.columns]
    _check_names(_FRAME, names)
    if not names or not len(frame):
        raise ValueError(f"{_FRAME}: has {len(names)} columns and {len(frame)} rows; some of both are needed")
    columns = [_from_series(frame.iloc[:, place], is_exact(name)) for place, name in enumerate(names)]
    return RawTable(names, columns, len(frame), Places(_FRAME))


def _from_series(series: "pd.Series", exact: bool) -> Cells:
    """A column of a DataFrame: numbers as float64, anything else that has words as texts."""
    kind = getattr(series.dtype, "kind", "O")
    if kind in "iuf" and not exact:
        return series.to_numpy(np.float64, na_value=np.nan, copy=True)
    cells = series.astype(object)
    cells = cells.where(series.notna(), "").to_numpy()
    for cell in cells:
        if not isinstance(cell, _PLAIN):
            return OtherCells(f"{type(cell).__name__}s, such as {cell!r}"[:60])
    return texts_of([str(cell) for cell in cells])
