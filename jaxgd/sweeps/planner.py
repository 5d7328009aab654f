"""The planner: which runs share a program, how each program runs its lanes, and why."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.optim.hyperparameters import one_of
from jaxgd.sweeps.costs import Work, compile_seconds, run_seconds, work_of
from jaxgd.sweeps.grid import Point, check_names, checked_axes, points
from jaxgd.sweeps.groups import Group, Run, make_runs, warn_of_closures
from jaxgd.sweeps.plans import Plan, PlannedGroup, versions
from jaxgd.sweeps.preparation import Inputs, Sources, compile_for, is_compiled
from jaxgd.sweeps.recipes import Recipe, default_kind, fitting_lanes, free_bytes, num_bytes
from jaxgd.sweeps.variants import batch_sizes, can_generalize, can_merge, families, merged, only_group
from jaxgd.training.fitting import check_epochs
from jaxgd.training.trainers import Trainer

# A merged optimizer holds five parameter copies: it has to save as much as this.
_GENERALIZE_GAIN = 1.2
# Below so many seconds of running on a device, a quicker compile saves more than slower code costs.
_SHORT_SECONDS = 5.0
# Lanes at once that may need more than this part of the free memory are measured before there are many.
_MEASURED_PART = 0.1


class Options(NamedTuple):
    """What of the plan is given, not chosen: see `plan`."""

    merge: int | bool | None = None
    kind: str | None = None
    lanes: int | None = None
    generalize: bool | None = None
    exact: bool = False


class Unit(NamedTuple):
    """A program to be: its group and what is planned for it."""

    group: Group
    planned: PlannedGroup


def plan(
    make_trainer: Callable[[Point], Trainer],
    axes: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    epochs: int,
    *,
    merge: int | bool | None = None,
    kind: str | None = None,
    lanes: int | None = None,
    generalize: bool | None = None,
    exact: bool = False,
) -> Plan:
    """The plan that `sweep` would follow, which prints as text; nothing is compiled on a CPU.

    Give it to `sweep(..., plan=...)`. What is None here is chosen for the least total time.

    Args:
        make_trainer: as in `sweep`.
        axes: as in `sweep`.
        epochs: as in `sweep`.
        merge: False for a program for each batch size; a number of examples for one program for all batch
            sizes of at least that many, in micro-batches of it.
        kind: "map", lanes one after the other on each device, or "vmap", all at once.
        lanes: how many a device holds, 1 or more.
        generalize: whether optimizers of the family share a program (see `jaxgd.generalize`).
        exact: every run has the bits of the jitted run alone, on a CPU: one lane at a time, nothing merged.

    Raises:
        ValueError, TypeError: as in `sweep`, and an option out of range.
    """
    options = checked_options(merge, kind, lanes, generalize, exact)
    runs = checked_runs(make_trainer, checked_axes(axes), epochs)
    devices = jax.devices()
    return plan_of(make_units(runs, devices, Sources(epochs), options), len(runs), epochs, devices)


def checked_runs(make_trainer: Callable, axes: Mapping[str, Sequence[Any]], epochs: int) -> list[Run]:
    """The run of every point of checked axes, checked against the names and the length of a sweep."""
    runs = make_runs(make_trainer, points(axes))
    check_names(axes, runs[0].trainer)
    for run in runs:
        check_epochs(epochs, run.trainer.problem.num_examples)
    return runs


def checked_options(merge: Any, kind: Any, lanes: Any, generalize: Any, exact: bool) -> Options:
    """The options of a plan.

    Raises:
        ValueError: one is out of range, or contradicts `exact`.
    """
    if merge is not None and not isinstance(merge, bool | int | np.integer):
        raise TypeError(f"merge must be None, False or a number of examples, got {merge!r}")
    if merge is True or (merge not in (None, False) and merge < 1):
        raise ValueError(f"merge must be None, False or a number of examples from 1 on, got {merge!r}")
    if kind is not None:
        one_of("kind", kind, ("map", "vmap"))
    if lanes is not None and (isinstance(lanes, bool) or not isinstance(lanes, int) or lanes < 1):
        raise ValueError(f"lanes must be a whole number, 1 or more, or None, got {lanes!r}")
    if exact and (merge or kind == "vmap" or generalize or lanes not in (None, 1)):
        raise ValueError("exact=True runs one lane at a time, unmerged: it takes no other merge, kind or lanes")
    return Options(False, "map", 1, False, True) if exact else Options(merge, kind, lanes, generalize)


def plan_of(units: Sequence[Unit], num_runs: int, epochs: int, devices: Sequence[Any]) -> Plan:
    """The plan that these units are."""
    return Plan(tuple(unit.planned for unit in units), epochs, device_name(devices), versions(), num_runs)


def device_name(devices: Sequence[Any]) -> str:
    """Such as "2 x cpu"."""
    return f"{len(devices)} x {devices[0].device_kind}"


def make_units(
    runs: Sequence[Run], devices: Sequence[Any], sources: Sources, options: Options
) -> list[Unit]:
    """The units of a sweep, the longest first, so that others compile while they run."""
    maker = _Maker(devices, sources, options)
    alone = [unit for family in families(runs) for unit in maker.best_of_family(family, False)]
    units, reason = alone, ""
    if options.generalize is not False and all(can_generalize(run.trainer) for run in runs):
        together = _generalized(maker, runs)
        gain = maker.seconds(alone) / maker.seconds(together)
        if options.generalize or (len(together) < len(alone) and gain >= _GENERALIZE_GAIN):
            units, reason = together, f"; optimizers merged: {gain:.1f} times less in all"
    elif options.generalize:
        raise ValueError("generalize=True needs optimizers of the family, without masks or dtypes of their own")
    units = [unit._replace(planned=_explained(unit.planned, reason)) for unit in units]
    warn_of_closures([unit.group for unit in units])
    return sorted(units, key=lambda unit: unit.planned.predicted_run_seconds, reverse=True)


def units_of_plan(saved: Plan, runs: Sequence[Run], devices: Sequence[Any]) -> list[Unit]:
    """The units of a saved plan for these runs.

    Raises:
        ValueError: the plan is one of other runs or of other devices.
    """
    if saved.num_runs != len(runs) or sorted(i for g in saved.groups for i in g.runs) != list(range(len(runs))):
        raise ValueError(f"plan is one of {saved.num_runs} runs, the sweep has {len(runs)}")
    units = []
    for planned in saved.groups:
        if planned.recipe.devices != len(devices):
            raise ValueError(f"plan is one for {saved.device}, the sweep would run on {device_name(devices)}")
        recipe = planned.recipe
        members = [merged(runs[i], recipe.microbatch, recipe.generalized) for i in planned.runs]
        units.append(Unit(only_group(members), planned))
    return units


def _explained(planned: PlannedGroup, more: str) -> PlannedGroup:
    return planned if not more else PlannedGroup(**{**vars(planned), "reason": planned.reason + more})


def _generalized(maker: "_Maker", runs: Sequence[Run]) -> list[Unit]:
    """The units with the optimizers merged."""
    stand_ins = [merged(run, None, True) for run in runs]
    by_index = {run.index: run for run in runs}
    found = families(stand_ins)
    return [
        unit
        for family in found
        for unit in maker.best_of_family([by_index[run.index] for run in family], True)
    ]


class _Maker:
    """Makes units and weighs them."""

    def __init__(self, devices: Sequence[Any], sources: Sources, options: Options):
        self.devices, self.sources, self.options = devices, sources, options
        self.kind = options.kind or default_kind(devices)
        self._works: dict[Any, Work] = {}

    def seconds(self, units: Sequence[Unit]) -> float:
        """Predicted seconds of units in all: the cores share compiling and running."""
        cores = os.cpu_count() or 1
        compiles = [unit.planned.predicted_compile_seconds for unit in units]
        runs = sum(unit.planned.predicted_run_seconds for unit in units) * len(self.devices)
        return max(max(compiles), (sum(compiles) + runs) / max(cores, len(self.devices)))

    def best_of_family(self, runs: Sequence[Run], is_generalized: bool) -> list[Unit]:
        """The units of runs that differ in batch size at most, in the cheapest of the forms that are open."""
        sizes = batch_sizes(runs)
        whole = len(sizes) == 1 or not can_merge(runs[0].trainer)
        micros = [None, *sizes[:-1]] if self.options.merge is None and not whole else [None if whole else self.options.merge or None]
        forms = [self._form(runs, micro, is_generalized) for micro in micros]
        times = [self.seconds(form) for form in forms]
        best = int(np.argmin(times))
        if len(forms) > 1:
            other = min(times[1:]) if best == 0 else times[0]
            what = "merged" if best == 0 else "a program each"
            reason = f"batch sizes {'apart' if best == 0 else 'merged'}: {times[best]:.2g} s in all, {what} {other:.2g} s"
        else:
            reason = "nothing to merge" if whole else "as asked for"
        return [unit._replace(planned=_explained(unit.planned, reason)) for unit in forms[best]]

    def _form(self, runs: Sequence[Run], micro: int | None, is_generalized: bool) -> list[Unit]:
        """Batch sizes of at least `micro` in one unit, each smaller one in its own."""
        by_size: dict[Any, list[Run]] = {}
        for run in runs:
            size = int(np.max(run.trainer.examples_per_batch))
            is_merged = micro is not None and size >= micro
            key = "merged" if is_merged else jax.tree.structure(run.trainer.batch_size)
            by_size.setdefault(key, []).append(run)
        return [
            self._unit(members, micro if key == "merged" and len(batch_sizes(members)) > 1 else None, is_generalized)
            for key, members in by_size.items()
        ]

    def _unit(self, runs: Sequence[Run], micro: int | None, is_generalized: bool) -> Unit:
        members = [merged(run, micro, is_generalized) for run in runs]
        group, first = only_group(members), members[0]
        inputs = Inputs(group, self.sources)
        work = self._work(first, inputs)
        alone = sum(
            run_seconds(work, run.trainer, self.sources.epochs, is_generalized) for run in members
        )
        recipe = self._recipe(inputs, micro, is_generalized, alone / len(self.devices))
        compiling = 0.0
        if not is_compiled(inputs, recipe, self.devices):
            compiling = compile_seconds(work, micro is not None, is_generalized)
        names = dict.fromkeys(repr(run.trainer.optimizer) for run in runs)
        texts = dict.fromkeys(name.split("(")[0] for name in names) if len(names) > 1 else names
        planned = PlannedGroup(
            optimizer=", ".join(texts),
            batch_size=", ".join(map(str, batch_sizes(runs))),
            runs=tuple(run.index for run in runs),
            recipe=recipe,
            reason="",
            predicted_compile_seconds=compiling,
            predicted_run_seconds=alone / len(self.devices),
            predicted_bytes=int(self._lane_bytes(inputs) * recipe.lanes + num_bytes(inputs.shared)),
        )
        return Unit(group, planned)

    def _work(self, run: Run, inputs: Inputs) -> Work:
        leaves, structure = jax.tree.flatten(run.trainer.problem)
        key = structure, tuple(map(np.shape, leaves))
        if key not in self._works:
            params = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), inputs.shapes(1).params)
            self._works[key] = work_of(run.trainer, params)
        return self._works[key]

    def _lane_bytes(self, inputs: Inputs) -> int:
        """Bytes that a lane needs: its inputs, what it is, and temporaries for an update, about as much."""
        return num_bytes(inputs.shapes(1)) + 3 * num_bytes(inputs.shapes(1).params) * 2

    def _recipe(self, inputs: Inputs, micro: int | None, is_generalized: bool, seconds: float) -> Recipe:
        devices, num = self.devices, len(inputs.group.runs)
        choose = functools.partial(fitting_lanes, self.kind, num, devices)
        fixed = num_bytes(inputs.shared)
        lanes = self.options.lanes or choose(self._lane_bytes(inputs), fixed)
        is_quick = devices[0].platform == "cpu" and seconds < _SHORT_SECONDS
        recipe = Recipe(self.kind, lanes, len(devices), micro, is_generalized, is_quick)
        if self.kind == "vmap" and self.options.lanes is None:
            free = free_bytes(devices)
            if free and lanes * self._lane_bytes(inputs) > _MEASURED_PART * free:
                recipe = recipe._replace(lanes=choose(*self._measured_bytes(inputs, recipe)))
        other = recipe._replace(quick=not is_quick)
        compiled = is_compiled(inputs, other, devices) and not is_compiled(inputs, recipe, devices)
        return other if compiled else recipe

    def _measured_bytes(self, inputs: Inputs, recipe: Recipe) -> tuple[float, float]:
        """Bytes of a lane and of what all share, from programs of one lane and of two."""
        one, two = (
            _program_bytes(compile_for(inputs, recipe._replace(lanes=lanes), self.devices)) for lanes in (1, 2)
        )
        return two - one, max(0, 2 * one - two)


def _program_bytes(program: Any) -> int:
    """Memory that a program needs on a device."""
    memory = program.memory_analysis()
    kept = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    return kept + memory.temp_size_in_bytes
