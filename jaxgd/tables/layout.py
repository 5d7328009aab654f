"""How a text file is laid out: what separates its cells, and what its columns are called."""

import csv
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple, cast

from jaxgd.tables.cells import as_number

SUFFIXES = tuple(kind + packed for packed in ("", ".gz") for kind in (".csv", ".tsv", ".txt"))
# Cells may be apart by runs of blanks; pandas takes this as a name for them.
BLANKS = r"\s+"
_SEPARATORS = (",", ";", "\t", "|", BLANKS)
_NUM_LOOKED_AT = 50
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


class FileLayout(NamedTuple):
    """What separates cells, the names of the columns, "" where there is none, and the sign of decimals."""

    separator: str
    names: list[str]
    decimal: str


def has_table_suffix(name: str) -> bool:
    """Whether a file of that name is a table as text; some systems write `DATA.CSV`."""
    return name.lower().endswith(SUFFIXES)


@contextmanager
def open_bytes(path) -> Iterator[IO[bytes]]:
    """The bytes of the file, unpacked if it is packed.

    Raises:
        ValueError: it is not a whole packed file.
    """
    packed = str(path).lower().endswith(".gz")
    try:
        with gzip.open(path) if packed else open(path, "rb") as file:
            yield cast(IO[bytes], file)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise ValueError(f"{path}: is not a whole file as gzip packs it") from None


@contextmanager
def open_text(path):
    """The file as text without a byte order mark, unpacked if it is packed.

    Raises:
        ValueError: it is not UTF-8, or not a whole packed file.
    """
    try:
        with open_bytes(path) as file:
            yield io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: is not UTF-8 text (byte {error.start}); save it so, or give a DataFrame"
        ) from None


def read_rows(path, separator: str) -> Iterator[tuple[list[str], int]]:
    """The stripped cells of each row that is not blank, and the line on which it ends; the header first.

    Raises:
        ValueError: a quote that does not end, with its line.
    """
    line = 0
    with open_text(path) as file:
        try:
            for cells, line in _cells(file, separator):
                yield cells, line
        except csv.Error as error:
            raise ValueError(f"{path}: line {line + 1}: {error}") from None


def _cells(file, separator: str) -> Iterator[tuple[list[str], int]]:
    lines = file
    if separator == BLANKS:
        lines, separator = (re.sub(r"\s+", " ", line.strip()) for line in file), " "
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)
    for row in reader:
        if len(row) > 1 or "".join(row).strip():
            yield [cell.strip() for cell in row], reader.line_num


def find_layout(path) -> FileLayout:
    """The layout of a file, by its first rows.

    Raises:
        ValueError: the file is empty, has no rows, or its first line names no columns.
    """
    rows = {separator: _first_rows(path, separator) for separator in _SEPARATORS}
    if not any(rows.values()):
        raise ValueError(f"{path}: is empty; a header and rows are needed")
    separator = max(_SEPARATORS, key=lambda separator: _rank(rows[separator], separator))
    header, *others = rows[separator]
    if all(as_number(name) is not None for name in header):
        raise ValueError(f"{path}: the first line holds numbers; it must name the columns")
    if not others:
        for _ in read_rows(path, separator):
            pass  # unless a quote in it does not end
        raise ValueError(f"{path}: has a header but no rows")
    cells = itertools.chain.from_iterable(others)
    has_comma = separator == ";" and any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells)
    return FileLayout(separator, _names(header, others), "," if has_comma else ".")


def _first_rows(path, separator: str) -> list[list[str]]:
    """The header and the first rows, as far as they can be read in this way."""
    rows = []
    with open_text(path) as file:
        try:
            for row, _ in itertools.islice(_cells(file, separator), _NUM_LOOKED_AT):
                rows.append(row)
        except csv.Error:  # an odd quote: the reading of the whole file finds its line
            pass
    return rows


def _rank(rows: list[list[str]], separator: str) -> tuple[bool, bool, bool, int]:
    """How much speaks for the separator: all rows, or most, have the header's number of cells, and which."""
    width = len(rows[0]) if rows else 0
    if width < 2:
        return False, False, separator == ",", width
    fitting = sum(len(row) == width for row in rows[1:])
    fits = fitting == len(rows) - 1 or _has_one_more(rows[0], rows[1:])
    return fits, fits or 2 * fitting > len(rows) - 1, separator != BLANKS, width


def _has_one_more(header: list[str], rows: list[list[str]]) -> bool:
    """Whether each row has a cell more than the header, and the first is a name of the row or the last empty.

    R writes the names of rows so, and some programs end each row, but not the header, with a separator.
    """
    if {len(row) for row in rows} != {len(header) + 1}:
        return False
    first = [row[0] for row in rows]
    are_names = len(set(first)) == len(first) and (
        all(as_number(cell) is None for cell in first) or first == [str(i + 1) for i in range(len(first))]
    )
    return are_names or not any(row[-1] for row in rows)


def _names(header: list[str], rows: list[list[str]]) -> list[str]:
    """The names of the columns, without the quotes that some programs put around all of them."""
    if all(len(name) > 2 and name[0] == name[-1] == "'" for name in header):
        header = [name[1:-1] for name in header]
    if not _has_one_more(header, rows):
        return header
    return ["", *header] if any(row[-1] for row in rows) else [*header, ""]
