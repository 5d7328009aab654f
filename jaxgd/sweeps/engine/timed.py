"""The updates of a sweep's programs, timed alone when nothing else is at work."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from jaxgd.machine.background import Background, completed
from jaxgd.machine.host import num_cores
from jaxgd.machine.interrupts import Interrupts
from jaxgd.sweeps.engine.clock import seconds_alone
from jaxgd.sweeps.engine.driver import Driver
from jaxgd.sweeps.engine.execution import Engine
from jaxgd.sweeps.groups import group_runs, largest_batch, only_group
from jaxgd.sweeps.planning.planner import merged
from jaxgd.sweeps.planning.plans import Program, Recipe
from jaxgd.sweeps.runs import Run


class UpdateSeconds(NamedTuple):
    """What updates of a program's runs take.

    per_update: seconds of one, of each run alone, by its place. took: seconds that timing them took.
    """

    program: Program
    per_update: Mapping[int, float]
    took: float


def timed_programs(
    engine: Engine, programs: Sequence[Program], runs: Sequence[Run], interrupts: Interrupts
) -> Iterator[UpdateSeconds]:
    """What the updates of each program's runs take, alone on the first device; until a signal comes.

    What is not compiled yet compiles in threads first, so that nothing is timed beside it.

    runs: those of the programs, and maybe others.
    """
    by_index, begun = {run.index: run for run in runs}, time.perf_counter()
    parts = [_by_size([by_index[index] for index in program.runs]) for program in programs]
    drivers = _drivers(engine, programs, parts, interrupts)
    for program, part, driver in zip(programs, parts, drivers, strict=False):
        ends = reversed(list(enumerate(driver.group.runs)))  # the first of each size comes last, and stays
        places = {largest_batch(run.trainer): place for place, run in ends}
        seconds = program.predicted_run_seconds if program.run_seconds is None else program.run_seconds
        of_size = seconds_alone(driver, places, seconds, interrupts)
        if interrupts:
            return
        per_update = {run.index: of_size[size] for size, members in part.items() for run in members}
        yield UpdateSeconds(program, per_update, time.perf_counter() - begun)
        begun = time.perf_counter()


def _by_size(runs: Sequence[Run]) -> dict[int, list[Run]]:
    """The runs by their batch sizes."""
    found: dict[int, list[Run]] = {}
    for group in group_runs(runs):
        for size, run in zip(group.batch_sizes, group.runs, strict=True):
            found.setdefault(size, []).append(run)
    return found


def _drivers(
    engine: Engine,
    programs: Sequence[Program],
    parts: Sequence[Mapping[int, Sequence[Run]]],
    interrupts: Interrupts,
) -> list[Driver]:
    """A driver for each program that moves one lane at a time; fewer when a signal comes."""
    pool = Background(max(1, min(len(programs), num_cores())))
    try:
        futures = [
            pool.submit(_driver, engine, program.recipe, part)
            for program, part in zip(programs, parts, strict=True)
        ]
        list(completed(futures, interrupts))
        return [] if interrupts else [future.result() for future in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _driver(engine: Engine, recipe: Recipe, part: Mapping[int, Sequence[Run]]) -> Driver:
    """The driver of the first and the last run of each batch size: they tell what all runs share."""
    ends = [run for members in part.values() for run in (members[0], *members[1:][-1:])]
    recipe = recipe if recipe.is_alone else recipe.alone
    devices = min(recipe.devices, len(engine.devices))
    return engine.driver(only_group(merged(ends, recipe)), recipe._replace(devices=devices))
