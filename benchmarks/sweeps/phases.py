"""Where the time of a call of `jaxgd.sweep` went: programs, compiling, the clock, the rest on the host."""

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

# What a moment counts to, if several are at work: the first of these that is.
PHASES = ("clock", "program", "compile")
HOST = "host"
_COMPILING = "/jax/core/compile/"  # tracing and lowering too
_CLOCK = ("calibrate", "seconds_per_update")

Interval = tuple[float, float]


class Phases:
    """Notes when training programs run, when JAX compiles, and when updates are timed, in any thread."""

    def __init__(self):
        self.intervals: dict[str, list[Interval]] = {name: [] for name in PHASES}
        jax.monitoring.register_event_duration_secs_listener(self._listen)
        _wrap(jax.stages.Compiled, "__call__", self._noting("program", jax.block_until_ready))

    def watch_clock(self) -> None:
        """Note the clock too, which is jaxgd's own: once it is imported."""
        from jaxgd.sweeps.engine.clock import LaneAlone

        for name in _CLOCK:
            _wrap(LaneAlone, name, self._noting("clock"))

    def shares(self, begin: float, end: float) -> dict[str, float]:
        """Seconds of each between two moments; what was noted is forgotten."""
        found = shares(begin, end, self.intervals)
        self.intervals.update({name: [] for name in PHASES})
        return found

    def _listen(self, event: str, duration: float, **_: Any) -> None:
        if event.startswith(_COMPILING):
            now = time.perf_counter()
            self.intervals["compile"].append((now - duration, now))

    def _noting(self, name: str, finish: Callable = lambda result: result) -> Callable:
        """What calls a function and notes when it was at work."""

        def call(function, *arguments, **options):
            begun = time.perf_counter()
            try:
                return finish(function(*arguments, **options))
            finally:
                self.intervals[name].append((begun, time.perf_counter()))

        return call


def shares(begin: float, end: float, intervals: Mapping[str, list[Interval]]) -> dict[str, float]:
    """Seconds between two moments that count to each name, and to the host if none was at work.

    Such as a compilation from 1 to 4 and a program from 2 to 3, of 5 seconds: 1 s of program, 2 s of compile,
    2 s of host.
    """
    edges = {begin, end} | {edge for each in intervals.values() for pair in each for edge in pair}
    inside = sorted(edge for edge in edges if begin <= edge <= end)
    found = dict.fromkeys((*PHASES, HOST), 0.0)
    for start, stop in itertools.pairwise(inside):
        at_work = (n for n in PHASES if any(a <= start and stop <= b for a, b in intervals[n]))
        found[next(at_work, HOST)] += stop - start
    return found


def _wrap(owner: type, name: str, call: Callable) -> None:
    """Have `call(function, ...)` be called in the place of a method."""
    function = getattr(owner, name)

    def method(self, *arguments, **options):
        return call(function, self, *arguments, **options)

    setattr(owner, name, method)
