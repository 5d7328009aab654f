"""A sweep in a folder: begun there, or gone on with from what the folder has."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.sweeps.cohorts import cohorts_of
from jaxgd.sweeps.engine.driver import Ended, Snapshot
from jaxgd.sweeps.engine.execution import Engine
from jaxgd.sweeps.engine.identity import ProgramIdentity
from jaxgd.sweeps.folders.checkpoints import checkpoint_names, snapshot_of
from jaxgd.sweeps.folders.keeper import Keeper
from jaxgd.sweeps.folders.opening import ContradictionError, check_plan, extended
from jaxgd.sweeps.folders.shared_keeper import SharedKeeper
from jaxgd.sweeps.groups import Group
from jaxgd.sweeps.lanes.inputs import Inputs
from jaxgd.sweeps.planning.planner import Planned, plan_of, with_groups
from jaxgd.sweeps.planning.plans import Plan, Recipe
from jaxgd.sweeps.results.records import Record, Unit, is_record, labels_of, record_of, saved_runs
from jaxgd.sweeps.results.units import SavedRuns
from jaxgd.sweeps.runs import Run, measured_in
from jaxgd.sweeps.store.files import damage_named, damage_of
from jaxgd.sweeps.store.folder import has_saved_result, read_file
from jaxgd.sweeps.store.manifest import MANIFEST, read_manifest
from jaxgd.training.problems.problem import Problem
from jaxgd.training.trainers import Trainer


class Asked(NamedTuple):
    """The sweep that is asked for. plan: given to be followed, or None. clock: whether updates are timed."""

    axes: Mapping[str, Sequence[Any]]
    runs: Sequence[Run]
    spec: Mapping[str, Any] | None
    exact: bool
    plan: Plan | None
    clock: bool

    def record(self, engine: Engine) -> Record:
        """How a manifest describes it, without units."""
        epochs, runs = engine.sources.epochs, self.runs
        return Record(
            plan=dataclasses.replace(
                plan_of([], len(runs), epochs, engine.devices, self.plan), seconds=0.0, clock_seconds=0.0
            ),
            axes=labels_of(self.axes),
            num_examples=runs[0].num_examples,
            measured=measured_in(runs),
            data=data_of(runs),
            clock=self.clock,
            exact=self.exact,
            spec=self.spec,
            units=(),
        )


def data_of(runs: Sequence[Run]) -> list[str]:
    """The SHA-256 of the splits of each problem; functions have what they read among their constants."""
    if runs[0].num_examples is None:
        return []
    problems: dict[Any, Problem] = {}  # by their cohort and what of it they share, in the order of the runs
    rows = [run.row for run in runs]
    alike = {id(one): one.distinct(lambda trainer: _splits(trainer.problem)) for one in cohorts_of(rows)}
    for cohort, place in rows:
        firsts, which = alike[id(cohort)]
        if (key := (id(cohort), which[place])) not in problems:
            problems[key] = cohort.tree(int(firsts[which[place]])).problem
    found = {tuple(map(id, jax.tree.leaves(_splits(each)))): each for each in problems.values()}
    return list(dict.fromkeys(problem.data_sha256 for problem in found.values()))


def _splits(problem: Problem) -> tuple[Any, Any, Any]:
    return problem.train, problem.valid, problem.test


class Begun(NamedTuple):
    """What there is of a sweep.

    ended: what has ended before. planned: what is left. snapshots: where programs of that stand, by the
    places of their runs. keeper: the sink that keeps it, None where there is no folder.
    """

    ended: list[Ended]
    planned: Planned
    snapshots: dict[tuple[int, ...], Snapshot]
    keeper: Keeper | SharedKeeper | None = None


class KeptUnit(NamedTuple):
    """A unit of the folder, after it was looked at. ended: its runs that have."""

    unit: Unit
    group: Group
    ended: Ended
    snapshot: Snapshot | None = None


def go_on(
    folder: Path, replace: bool, asked: Asked, engine: Engine, choose: Callable[[Sequence[Run]], Planned]
) -> Begun:
    """The sweep that is asked for, gone on with from what the folder has.

    Args:
        folder: which this process alone writes to.
        replace: begin anew, whatever the folder has.
        asked: the sweep.
        engine: that will train.
        choose: programs for runs that no program of the folder has.

    Raises:
        ContradictionError: the folder has another sweep.
        ValueError: its manifest is damaged.
    """
    manifest, record = None if replace else sweep_in(folder), asked.record(engine)
    if manifest:
        record = extended(record_of(folder, manifest), record, str(folder))
        check_plan(record, asked.plan, str(folder))
    found = _found(folder, manifest, record, asked.runs, engine) if manifest else []
    known = {place for each in found for place in each.unit.program.runs}
    new = [run for run in asked.runs if run.index not in known]
    added = choose(new) if new else []
    units = (*(each.unit for each in found), *(Unit(program) for _, program in added))
    begun = [(each.group, each.unit.program) for each in found if not each.unit.is_done]
    snapshots = {each.unit.program.runs: each.snapshot for each in found if each.snapshot is not None}
    entries, ended = _entries(manifest["files"], units) if manifest else {}, [each.ended for each in found]

    def identity(program):
        return engine.identity(with_groups([program], asked.runs)[0][0], program.recipe)

    keeper = Keeper(folder, record._replace(units=units), entries, ended, identity)
    return Begun(ended, [*begun, *added], snapshots, keeper)


def _entries(files: Mapping[str, Any], units: Sequence[Unit]) -> dict[str, Any]:
    """What the manifest says of the files that the units still have."""
    named = {name for unit in units for name in (unit.file, unit.checkpoint)}
    return {name: entry for name, entry in files.items() if name in named}


def _found(
    folder: Path, manifest: Mapping[str, Any], record: Record, runs: Sequence[Run], engine: Engine
) -> list[KeptUnit]:
    """What the folder has of each unit, whose code and numbers are compared with those of now."""
    is_here = was_made_here(folder, manifest, record, len(runs))
    grouped = with_groups([unit.program for unit in record.units], runs)
    found = []
    for unit, (group, _) in zip(record.units, grouped, strict=True):
        if is_here and unit.identity:
            check_identity(folder, unit, group, engine.identity(group, unit.program.recipe))
        found.append(_looked_at(folder, manifest, unit, group, engine))
    return found


def was_made_here(folder: Path, manifest: Mapping[str, Any], record: Record, num_runs: int) -> bool:
    """Whether a sweep was begun on a machine like this one; if not, a warning says so.

    Raises:
        ContradictionError: it was not, and some of so many runs are left.
    """
    made_on, here = _machine(manifest["plan"]), _machine(record.content())
    places = {place for unit in record.units if unit.is_done for place in unit.runs}
    if made_on != here and len(places) < num_runs:
        raise ContradictionError(
            f"{folder} was made on {made_on}, this is {here}: bits would differ; --replace (replace=True) "
            "begins anew, another folder keeps both"
        )
    if made_on != here:
        warnings.warn(
            f"{folder} was made on {made_on}, this is {here}: whether the code is the same was not compared",
            stacklevel=6,
        )
    return made_on == here


def _machine(content: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(content["versions"].items()))
    return f"{content['device']} with {versions}"


def check_identity(folder: Path, unit: Unit, group: Group, now: ProgramIdentity) -> None:
    """Raise ContradictionError if a unit would not give the same numbers any more; its runs are those now."""
    with damage_named(folder / MANIFEST):
        changed = ProgramIdentity(**(unit.identity or {})).difference(now)
    if changed:
        program, first = unit.program, group.first
        own = repr(first.optimizer if isinstance(first, Trainer) else first).partition("(")[0]
        others = "that are not those of now" if own in program.optimizer else f"and those of now are of {own}"
        raise ContradictionError(
            f"{folder} holds runs of {program.name}, {others}: what has changed is "
            f"{changed}; --replace (replace=True) begins anew, another folder keeps both"
        )


def _looked_at(
    folder: Path, manifest: Mapping[str, Any], unit: Unit, group: Group, engine: Engine
) -> KeptUnit:
    """What the folder has of a unit; what is damaged is left out, to be trained again."""
    ended = ended_of(folder, manifest, unit, group.runs[0].like)
    if ended is None:
        return KeptUnit(Unit(unit.program), group, Ended())
    if unit.is_done:
        return KeptUnit(unit, group, ended)
    unit, snapshot = _standing(folder, manifest, unit, group, engine)
    return KeptUnit(unit, group, ended, snapshot)


def ended_of(folder: Path, manifest: Mapping[str, Any], unit: Unit, like: Any) -> Ended | None:
    """What has ended of a unit; None, and a warning, where its file is damaged."""
    try:
        saved = saved_runs(folder, manifest, unit, like)
    except (ValueError, FileNotFoundError) as error:
        warnings.warn(f"{damage_of(error)}: its {len(unit.runs)} runs are trained again", stacklevel=7)
        return None
    if saved is None:
        return Ended()
    took = unit.program if unit.is_done else None
    return Ended(saved.block, took=took, seconds_per_update=_seconds(unit, saved))


def _seconds(unit: Unit, saved: SavedRuns) -> dict[int, float]:
    per_update = saved.seconds_per_update
    return {} if per_update is None else dict(zip(unit.runs, per_update.tolist(), strict=True))


def _standing(
    folder: Path, manifest: Mapping[str, Any], unit: Unit, group: Group, engine: Engine
) -> tuple[Unit, Snapshot | None]:
    """The unit and where it stands; without a checkpoint with those runs done that have ended."""
    inputs, recipe = engine.inputs(group), unit.program.recipe
    if unit.checkpoint is not None:
        try:
            path, arrays, about = read_file(folder, manifest, unit.checkpoint, checkpoint_names)
            with damage_named(path):
                return unit, snapshot_of(arrays, about, inputs, recipe, unit.runs)
        except (ValueError, FileNotFoundError) as error:
            warnings.warn(f"{damage_of(error)}: runs under way begin again", stacklevel=7)
            unit = unit._replace(checkpoint=None)
    return unit, _empty(unit, inputs, recipe) if unit.runs else None


def _empty(unit: Unit, inputs: Inputs, recipe: Recipe) -> Snapshot:
    """A driver without lanes in its slots, that has done what the unit has."""
    shapes, lane_of = jax.tree.leaves(inputs.slots(0)), {}
    for lane, run in enumerate(inputs.group.runs):
        lane_of[run.index] = lane
    done = np.array([lane_of[place] for place in unit.runs])
    nowhere, begun = np.full(recipe.slots, -1), np.zeros(recipe.slots, int)
    return Snapshot([np.zeros(leaf.shape, leaf.dtype) for leaf in shapes], nowhere, begun, 0, done)


def sweep_in(folder: Path) -> Mapping[str, Any] | None:
    """The manifest of the sweep that the folder keeps, None where it holds none.

    Raises:
        ContradictionError: it holds a result that was saved at once.
    """
    manifest = read_manifest(folder)
    if is_record(manifest):
        return manifest
    if manifest is not None or has_saved_result(folder):
        raise ContradictionError(
            f"{folder} holds a result that was saved when it was finished, and cannot go on with: choose "
            "another folder, or --replace (replace=True) to begin anew"
        )
    return None
