"""The programs of a plan compiled for devices that need not be here: what they take, and nothing is run."""

import collections
import dataclasses
import re
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax

from jaxgd.machine.compiling import own_programs
from jaxgd.machine.devices import free_bytes
from jaxgd.sweeps.engine.execution import Engine, halved, is_out_of_memory
from jaxgd.sweeps.engine.programs import bytes_of, lower
from jaxgd.sweeps.groups import Group
from jaxgd.sweeps.planning.planner import Planned
from jaxgd.sweeps.planning.plans import Program, Recipe

# What devices do together, as operations of a compiled program.
_COLLECTIVE = re.compile(
    r"\s(all-reduce|all-gather|all-to-all|ragged-all-to-all|reduce-scatter|collective-permute|"
    r"collective-broadcast|send|recv)(?:-start)?\("
)
# Where a program does not fit, the compiler of TPUs says what it would need: "(37.07G) exceeds".
_NEEDED = re.compile(r"\((\d+\.\d+)([KMGT])\) exceeds")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class CompiledProgram(NamedTuple):
    """A program as it was compiled for its devices.

    program: as it was planned, or with half as many lanes, and so on, where those did not fit. bytes: what it
    needs on each device. collectives: how many of each operation between devices it has. seconds: that
    compiling took.
    """

    program: Program
    bytes: int
    collectives: Mapping[str, int]
    seconds: float


def compiled_programs(
    engine: Engine, planned: Planned, progress: Callable[[int, int], None]
) -> list[CompiledProgram]:
    """The programs compiled for the engine's devices; `progress` is told how many are, of how many.

    Raises:
        MemoryError: one of them does not fit with a single lane on each device.
    """
    found = []
    with own_programs():
        for group, program in planned:
            found.append(_compiled_program(engine, group, program))
            progress(len(found), len(planned))
    return found


def _compiled_program(engine: Engine, group: Group, program: Program) -> CompiledProgram:
    """The program with as many lanes as fit: what a sweep would come to, which halves them as well."""
    begun = time.perf_counter()
    needed, collectives = _compiled(engine, group, program.recipe)
    while collectives is None:
        program = dataclasses.replace(program, predicted_bytes=needed or program.predicted_bytes)
        program = halved(program, engine.devices)
        needed, collectives = _compiled(engine, group, program.recipe)
    return CompiledProgram(program, needed, collectives, time.perf_counter() - begun)


def _compiled(engine: Engine, group: Group, recipe: Recipe) -> tuple[int, Mapping[str, int] | None]:
    """The bytes that a program needs, 0 if not known; its collectives, None if it does not fit."""
    try:
        executable = lower(engine.inputs(group), recipe, engine.devices).compile()
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        found = _NEEDED.search(str(error))
        return int(float(found[1]) * _UNITS[found[2]]) if found else 0, None
    needed, free = bytes_of(executable), free_bytes(engine.devices)
    if free and needed > free:
        return needed, None
    return needed, collectives_of(executable.as_text())


def collectives_of(text: str) -> Mapping[str, int]:
    """How many of each operation between devices a compiled program has."""
    return collections.Counter(_COLLECTIVE.findall(text))
