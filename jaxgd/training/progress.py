"""A progress bar for work that takes longer than two seconds."""

import sys
import time
from collections.abc import Callable
from typing import Any

_QUIET_SECONDS = 2.0


class Progress:
    """A context in which `advance` draws how much is done, examples per second and the time left.

    Of a number of examples that is not known, None, no time left is said.

    It draws with rich where that is installed and the output is a terminal, else a line at every tenth. What
    comes before the first `advance`, compiling above all, does not count as time that examples took.
    """

    def __init__(
        self, show: bool | Callable[[int, int, str], None], total: int, examples: int | None, unit: str
    ):
        self._show, self._total, self._all_examples, self._unit = show, total, examples, unit
        self._done = self._examples = self._lines = 0
        self._first: tuple[float, int] | None = None
        self._best: float | None = None
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        self._begun = time.perf_counter()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, done: int, examples: int, loss: float | None = None) -> None:
        """Note that so many more units, of so many examples in all, are done; the best of them has a loss."""
        if loss is not None:
            self._best = min(loss, loss if self._best is None else self._best)
        self._done += done
        self._examples += examples
        now, text = time.perf_counter(), self._text()
        if callable(self._show):
            self._show(self._done, self._total, text)
        elif self._show and (self._bar is not None or self._lines or now - self._begun > _QUIET_SECONDS):
            self._draw(text)

    def _text(self) -> str:
        now = time.perf_counter()
        if self._first is None:
            self._first = now, self._examples
            return "compiled"
        seconds, examples = now - self._first[0], self._examples - self._first[1]
        rate = max(examples, 1) / max(seconds, 1e-9)
        text = f"{rate:,.0f} examples/s"
        if self._all_examples is not None:
            text += f", {(self._all_examples - self._examples) / rate:.0f} s left"
        return text if self._best is None else f"{text}, lowest loss {self._best:.4g}"

    def _draw(self, text: str) -> None:
        if sys.stderr.isatty() and self._bar is None:
            self._bar = _rich_bar(self._total, self._unit)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done, text=text)
        elif self._done * 10 // self._total >= self._lines:
            self._lines = self._done * 10 // self._total + 1
            print(f"{self._done} of {self._total} {self._unit}, {text}", file=sys.stderr)  # noqa: T201


def _rich_bar(total: int, unit: str) -> Any:
    try:
        from rich import progress
        from rich.console import Console
    except ImportError:
        return None
    columns = (
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn(unit + ", {task.fields[text]}"),
    )
    bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(unit, total=total, text="")
    bar.start()
    return bar
