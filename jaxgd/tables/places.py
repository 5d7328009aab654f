"""Where in a file something is wrong: found by reading it again, so that nothing is kept for every cell."""

import itertools

from jaxgd.tables.layout import FileLayout, read_rows


class Places:
    """The rows of a file, or of a DataFrame, for a person who looks for one of them.

    data: the file's name, or what the DataFrame is called. layout: the file's, None for a DataFrame.
    """

    def __init__(self, data: str, layout: FileLayout | None = None):
        self.data, self._layout = data, layout

    def of(self, row: int) -> str:
        """What a row, counted from 0, is called: "numbers.csv: row 2 (line 3)"."""
        return f"{self.data}: {self.within(row)}"

    def within(self, row: int) -> str:
        """What a row is called where the file is known: "row 2 (line 3)"."""
        found = self._find(row)
        return f"row {row} (from 0)" if found is None else f"row {row + 1} (line {found[1]})"

    def cell(self, row: int, column: int) -> str | None:
        """The text of a cell of the file; None of a DataFrame."""
        found = self._find(row)
        return None if found is None else found[0][column]

    def _find(self, row: int) -> tuple[list[str], int] | None:
        if self._layout is None:
            return None
        return next(itertools.islice(read_rows(self.data, self._layout.separator), row + 1, None))


def check_shape(path, layout: FileLayout) -> None:
    """Raise ValueError at the first row that has not a cell for each column, or whose quotes do not end."""
    width = len(layout.names)
    for row, (cells, line) in enumerate(read_rows(path, layout.separator)):
        if row and len(cells) != width:
            raise ValueError(
                f"{path}: row {row} (line {line}) has {len(cells)} cells; the header has {width} columns, "
                "and every row needs a cell for each"
            )
