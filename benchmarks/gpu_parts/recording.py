"""Programs as they are compiled: their seconds, their step and the memory that they need."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
from compiled_text import Step, step_of


class Recorded(NamedTuple):
    """A program that was compiled, and the seconds that XLA took for it."""

    compiled: Any
    seconds: float

    @property
    def step(self) -> Step | None:
        """The step of its training; None where its text could not be read, which costs no other figure."""
        with contextlib.suppress(Exception):
            return step_of(self.compiled.as_text())

    @property
    def megabytes(self) -> float:
        """What it needs on a device."""
        memory = self.compiled.memory_analysis()
        if memory is None:  # of a platform that does not say
            return float("nan")
        held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
        return (held + memory.temp_size_in_bytes) / 2**20


@contextlib.contextmanager
def recorded() -> Iterator[list[Recorded]]:
    """The programs that are compiled ahead in here, in any thread, as they are done."""
    found, original = [], jax.stages.Lowered.compile

    def compile_and_record(lowered, *arguments, **options):
        begun = time.perf_counter()
        compiled = original(lowered, *arguments, **options)
        found.append(Recorded(compiled, time.perf_counter() - begun))
        return compiled

    jax.stages.Lowered.compile = compile_and_record
    try:
        yield found
    finally:
        jax.stages.Lowered.compile = original
