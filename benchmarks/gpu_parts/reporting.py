"""What the parts of the GPU benchmark say: sections that cannot end each other, tables, and lines of JSON."""

import json
import math
import statistics
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

# How a line begins that is data for the command and not for a reader.
DATA = "DATA "


class Scope(NamedTuple):
    """small: whether sizes are those of a test on a CPU. end: of the part's time, by `perf_counter`."""

    small: bool
    end: float

    @property
    def seconds_left(self) -> float:
        """Seconds that the part may still take."""
        return self.end - time.perf_counter()


Section = Callable[[Scope], None]


def run_sections(sections: Mapping[str, Section], scope: Scope) -> None:
    """Run each section; one that fails says so in a line, and the rest goes on."""
    for title, section in sections.items():
        print(f"### {title}\n", flush=True)
        begun, failure = time.perf_counter(), None
        emit("begins", title)
        try:
            if scope.seconds_left <= 0:
                raise TimeoutError("no time was left")
            section(scope)
        except (Exception, SystemExit) as error:
            failure = line_of(error)
            print(f"**Failed**: {failure}")
            traceback.print_exc()
        emit("ended", {"seconds": round(time.perf_counter() - begun, 2), "failure": failure})
        print(flush=True)


def emit(kind: str, value: Any) -> None:
    """Hand the command a value: "begins" a section, a "row" of it, or how it "ended"."""
    print(DATA + json.dumps({kind: value}, default=str), flush=True)


def line_of(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"


class Table:
    """A Markdown table that is printed row by row; each row is handed to the command too."""

    def __init__(self, *columns: str):
        self.columns = columns
        print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)

    def add(self, *cells: Any, **further: Any) -> None:
        """Print a row; `further` is kept with its data alone."""
        print("| " + " | ".join(map(in_words, cells)) + " |", flush=True)
        row = {name or "name": cell for name, cell in zip(self.columns, cells, strict=True)}
        emit("row", {key: _plain(value) for key, value in (row | further).items()})


def in_words(cell: Any) -> str:
    """A cell as a reader wants it."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def _plain(value: Any) -> Any:
    """A value that strict JSON can hold."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def timed(call: Callable[[], Any]) -> float:
    """The seconds that a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def in_turns(calls: Mapping[str, Callable[[], Any]], rounds: int, end: float) -> dict[str, float]:
    """The median seconds of each call, the calls taking turns until `rounds` are done or time is over."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        if number and time.perf_counter() + sum(each[-1] for each in taken.values()) > end:
            break
        for name, call in calls.items():
            taken[name].append(timed(call))
    return {name: statistics.median(each) for name, each in taken.items()}


def ratio(peer: float | None, own: float | None) -> float | None:
    """How many times a peer's seconds our own are; None where one was not measured."""
    return peer / own if peer and own else None


def as_sequence(values: Sequence[Any]) -> str:
    """Values as a cell: each once, in their order."""
    return ", ".join(dict.fromkeys(map(in_words, values)))
