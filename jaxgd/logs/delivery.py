"""Rows on their way to every log of a run or a sweep; a log that fails costs a warning."""

import contextlib
import functools
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from jaxgd.logs.destination import Called, Destination, Row
from jaxgd.logs.json_lines import JsonLines

Log = str | os.PathLike[str] | Callable[[Row], Any] | Destination


class Delivery:
    """A context in which rows go to each log; true as long as there is one that has not failed.

    Args:
        log: what a person gave, one log or a list of them.
        overwrite: empty files first, rather than to append.

    Raises:
        TypeError: something that is no log.
        ValueError, OSError: a file or folder that cannot be written; of folders when the context begins.
    """

    def __init__(self, log: Log | Sequence[Log], overwrite: bool = False):
        given = log if isinstance(log, list | tuple) else [log]
        self._open = [_destination(each, overwrite) for each in given]

    def __bool__(self):
        return bool(self._open)

    def __enter__(self) -> "Delivery":
        with contextlib.ExitStack() as opened:
            for destination in self._open:
                destination.open()
                opened.callback(destination.close)
            opened.pop_all()  # nothing failed: they stay open
        return self

    def __exit__(self, *_: Any) -> None:
        for destination in [*self._open]:
            self._try(destination, destination.close)

    def write(self, rows: Sequence[Row]) -> None:
        """Give the rows to every log."""
        for destination in [*self._open] if rows else ():
            if not self._try(destination, functools.partial(destination.write, rows)):
                with contextlib.suppress(Exception):
                    destination.close()

    def _try(self, destination: Destination, act: Callable[[], None]) -> bool:
        """Whether it acted; a log that raises is one no more, and a warning names it."""
        try:
            act()
            return True
        except Exception as error:
            self._open.remove(destination)
            text = " ".join(f"{type(error).__name__}: {error}".split())
            warnings.warn(f"log {destination} failed and gets no more rows: {text}", stacklevel=5)
            return False


def _destination(log: Any, overwrite: bool) -> Destination:
    if isinstance(log, Destination):
        return log
    if isinstance(log, str | os.PathLike):
        return JsonLines(log, overwrite)
    if callable(log):
        return Called(log)
    raise TypeError(
        f"log must be a path, a function of a row, jaxgd.tensorboard(...), or a list of these, got {log!r}"
    )
