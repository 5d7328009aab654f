"""A progress bar for work that takes longer than two seconds."""

import math
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_QUIET_SECONDS = 2.0
_PAUSE_SECONDS = 0.1
# A file gets a line after so many seconds, or after so much of the time until then, whichever is more.
_FILE_SECONDS, _FILE_PART = 5.0, 0.1


def tell(is_shown: bool, text: str) -> None:
    """Write a line on stderr, if it is to be shown: stdout holds the result alone."""
    if is_shown:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class Progress:
    """A context in which `advance` draws how much is done, examples per second and the time left.

    Of a number of examples that is not known, None, no time left is said. A note is said each time.

    counted: what `advance` is told of, if it is not examples. done: what was done before, of the total.

    It draws a bar with rich where that is installed and the output is a terminal, in a notebook a line that
    is written over, else a line at every tenth and every few seconds. What comes before the first `advance`,
    compiling above all, does not count as time that examples took; after two seconds it is said.
    """

    def __init__(
        self,
        show: bool | Callable[[int, int, str], None],
        total: int,
        examples: int | None,
        unit: str,
        note: str = "",
        counted: str = "examples",
        done: int = 0,
    ):
        self._show, self._total, self._all_examples, self._unit = show, total, examples, unit
        self._counted = counted
        self._note = f", {note}" if note else ""
        self._done, self._examples = done, 0
        self._first: tuple[float, int] | None = None
        self._best: float | None = None
        self._drawn: Any = None
        self._lock = threading.Lock()
        self._waiting: threading.Timer | None = None

    def __enter__(self) -> "Progress":
        self._begun = time.perf_counter()
        if self._show is True:
            self._waiting = threading.Timer(_QUIET_SECONDS, self._tell_of_compiling)
            self._waiting.daemon = True
            self._waiting.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._wait_no_more()
        if self._drawn is not None:
            self._drawn.stop()

    def _tell_of_compiling(self) -> None:
        """Say what happens, in a thread, since whoever calls `advance` waits for it."""
        with self._lock:
            if self._waiting is not None:
                self._draw(f"compiling{self._note}")

    def _wait_no_more(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()

    def advance(self, done: int, examples: int, loss: float | None = None) -> None:
        """Note that so many more units, of so many examples in all, are done; the best of them has a loss."""
        self._wait_no_more()
        if loss is not None:
            self._best = min(loss, loss if self._best is None else self._best)
        self._done += done
        self._examples += examples
        now, text = time.perf_counter(), self._text()
        if callable(self._show):
            self._show(self._done, self._total, text)
        elif self._show and (self._drawn is not None or now - self._begun > _QUIET_SECONDS):
            self._draw(text)

    def _text(self) -> str:
        now = time.perf_counter()
        if self._first is None:
            self._first = now, self._examples
            return f"compiled{self._note}"
        seconds, examples = now - self._first[0], self._examples - self._first[1]
        rate = max(examples, 1) / max(seconds, 1e-9)
        text = f"{rate:,.0f} {self._counted}/s" if rate >= 10 else f"{rate:.2g} {self._counted}/s"
        if self._all_examples is not None:
            text += f", {(self._all_examples - self._examples) / rate:.0f} s left"
        best = "" if self._best is None else f", lowest loss {self._best:.4g}"
        return f"{text}{best}{self._note}"

    def _draw(self, text: str) -> None:
        if self._drawn is None:
            self._drawn = _drawn_on_stderr(self._total, self._unit)
        self._drawn.update(self._done, text)


def _drawn_on_stderr(total: int, unit: str) -> Any:
    """What draws there, with `update(done, text)` and `stop()`."""
    if _is_notebook():
        return _OneLine(total, unit)
    return _rich_bar(total, unit) if sys.stderr.isatty() else _Lines(total, unit)


def _is_notebook() -> bool:
    """Whether a kernel runs this process, whose notebook shows what stderr gets; IPython is not imported."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


class _Lines:
    """A line at every tenth and every few seconds, for a file."""

    def __init__(self, total: int, unit: str):
        self._total, self._unit, self._tenths = total, unit, 0
        self._begun = self._written = time.perf_counter()

    def update(self, done: int, text: str) -> None:
        now = time.perf_counter()
        is_due = now - self._written > max(_FILE_SECONDS, _FILE_PART * (now - self._begun))
        if is_due or done * 10 // self._total >= self._tenths:
            self._tenths, self._written = done * 10 // self._total + 1, now
            print(f"{done} of {self._total} {self._unit}, {text}", file=sys.stderr)  # noqa: T201

    def stop(self) -> None:
        pass


class _OneLine:
    """A line that is written over, a few times a second at most."""

    def __init__(self, total: int, unit: str):
        self._total, self._unit = total, unit
        self._width, self._written = 0, -math.inf

    def update(self, done: int, text: str) -> None:
        now = time.perf_counter()
        if done < self._total and now - self._written < _PAUSE_SECONDS:
            return
        line = f"{done} of {self._total} {self._unit}, {text}"
        sys.stderr.write(f"\r{line.ljust(self._width)}")
        sys.stderr.flush()
        self._width, self._written = len(line), now

    def stop(self) -> None:
        sys.stderr.write("\n")


class _Bar:
    """A bar of rich, which is gone at its end."""

    def __init__(self, bar: Any):
        self._bar = bar

    def update(self, done: int, text: str) -> None:
        self._bar.update(self._bar.task_ids[0], completed=done, text=text)

    def stop(self) -> None:
        self._bar.stop()


def _rich_bar(total: int, unit: str) -> _Bar | _OneLine:
    """The bar of a terminal; a line where rich is not installed."""
    try:
        from rich import progress
        from rich.console import Console
    except ImportError:
        return _OneLine(total, unit)
    columns = (
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn(unit + ", {task.fields[text]}"),
    )
    bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(unit, total=total, text="compiling")
    bar.start()
    return _Bar(bar)
