"""A sweep in a folder that several processes share: begun by the first, and each trains its part of it."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxgd.sweeps.engine.execution import Engine
from jaxgd.sweeps.folders.going_on import (
    Asked,
    Begun,
    check_identity,
    ended_of,
    sweep_in,
    was_made_here,
)
from jaxgd.sweeps.folders.opening import ContradictionError, extended
from jaxgd.sweeps.folders.shared_keeper import SharedKeeper
from jaxgd.sweeps.planning.cutting import SweepPart, cut_all, dealt
from jaxgd.sweeps.planning.planner import Planned, with_groups
from jaxgd.sweeps.planning.plans import Program, Recipe
from jaxgd.sweeps.results.records import Record, Unit, record_of
from jaxgd.sweeps.runs import Run
from jaxgd.sweeps.store.manifest import begin_shared
from jaxgd.sweeps.store.unit_files import is_shared


def join(
    folder: Path,
    asked: Asked,
    engine: Engine,
    choose: Callable[[Sequence[Run]], Planned],
    part: SweepPart,
    num_parts: int,
) -> Begun:
    """A part of the sweep that is asked for, as far as the folder has not got it.

    Args:
        folder: which others may write to.
        asked: the sweep.
        engine: whose devices the units are for.
        choose: its programs, where nobody has begun it.
        part: which units are this process's own.
        num_parts: how many processes the units should do for.

    Raises:
        ContradictionError: the folder has another sweep, or one that is not shared.
        ValueError: its manifest is damaged.
        OSError: it cannot be written.
    """
    if sweep_in(folder) is None:
        begin_shared(folder, _described(asked, engine, choose(asked.runs), num_parts).content())
    manifest = sweep_in(folder)
    assert manifest is not None
    if not is_shared(manifest):
        raise ContradictionError(
            f"{folder} holds a sweep that one process trains: parts and workers need a folder of their own"
        )
    record = _same(folder, record_of(folder, manifest), asked, engine)
    is_here = was_made_here(folder, manifest, record, len(asked.runs))
    keys = [unit.key for unit in record.units]
    own = dealt({unit.key: unit.program.predicted_run_seconds for unit in record.units}, part)
    ended, left, by_index = [], [], {run.index: run for run in asked.runs}
    for key, unit in zip(keys, record.units, strict=True):
        like = by_index[unit.program.runs[0]].like
        found = ended_of(folder, manifest, unit, like) if unit.is_done else None
        if found is not None:
            ended.append(found)
        elif key in own:
            left.append(unit)
    planned = with_groups([unit.program for unit in left], asked.runs)
    if is_here:
        for unit, (group, program) in zip(left, planned, strict=True):
            check_identity(folder, unit, group, engine.identity(group, program.recipe))
    there = {id(unit) for unit in left}
    units = tuple(unit._replace(runs=(), file=None) if id(unit) in there else unit for unit in record.units)
    return Begun(ended, planned, {}, SharedKeeper(folder, record._replace(units=units), ended))


def _described(asked: Asked, engine: Engine, planned: Planned, num_parts: int) -> Record:
    """The sweep in units, each with what its numbers depend on."""
    is_given = asked.exact or asked.plan is not None
    programs = cut_all([program for _, program in planned], asked.runs, num_parts, is_given)
    units = [
        Unit(program, engine.identity(group, program.recipe)._asdict())
        for group, program in with_groups(programs, asked.runs)
    ]
    return asked.record(engine)._replace(units=tuple(units))


def _same(folder: Path, kept: Record, asked: Asked, engine: Engine) -> Record:
    """The record of the folder as that of the sweep which is asked for.

    Raises:
        ContradictionError: it is another sweep, or one of other axes: its units stay what they are.
    """
    record = extended(kept, asked.record(engine), str(folder))
    if len(asked.runs) != kept.plan.num_runs:
        raise ContradictionError(
            f"{folder} holds {kept.plan.num_runs} runs that several processes share, and "
            f"{len(asked.runs)} are asked for: its axes cannot get further values; choose another folder"
        )
    if asked.plan is not None and _by_recipe(asked.plan.groups) != _by_recipe(
        [unit.program for unit in kept.units]
    ):
        raise ContradictionError(f"{folder} follows another plan than the one given: leave plan out to go on")
    return record


def _by_recipe(programs: Sequence[Program]) -> dict[Recipe, list[int]]:
    """The runs that each recipe moves, however they are cut."""
    found: dict[Recipe, list[int]] = defaultdict(list)
    for program in programs:
        found[program.recipe] += program.runs
    return {recipe: sorted(runs) for recipe, runs in found.items()}
