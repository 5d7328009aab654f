"""What a log is to whoever has rows: it is opened, gets rows, and is closed."""

from collections.abc import Callable, Sequence
from typing import Any

# Numbers, bools, texts and None of Python's, by name.
Row = dict[str, Any]


class Destination:
    """Where rows go. Its text is what a warning calls it."""

    def open(self) -> None:
        """Make ready for rows.

        Raises:
            OSError: it cannot be written, in one line.
        """

    def write(self, rows: Sequence[Row]) -> None:
        """Take the rows, which are new since the last call; none is kept back."""
        raise NotImplementedError

    def close(self) -> None:
        """Note that no more rows come; it may be opened again."""


class Called(Destination):
    """A function of a row, called with each; what it does to its row is seen by no other log."""

    def __init__(self, function: Callable[[Row], Any]):
        self.function = function

    def __str__(self):
        return getattr(self.function, "__qualname__", type(self.function).__qualname__)

    def write(self, rows: Sequence[Row]) -> None:
        """Call the function with each of the rows."""
        for row in rows:
            self.function(dict(row))
