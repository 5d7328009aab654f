"""The planner: which runs share a program, how each program runs its lanes, and why."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.optim.hyperparameters import one_of
from jaxgd.sweeps.costs import Work, compile_seconds, run_seconds, work_of
from jaxgd.sweeps.grid import Point, check_names, checked_axes, points
from jaxgd.sweeps.groups import Group, Run, group_runs, make_runs, warn_of_closures
from jaxgd.sweeps.plans import Plan, PlannedGroup, versions
from jaxgd.sweeps.preparation import Inputs, Sources, compile_for, is_compiled
from jaxgd.sweeps.recipes import Recipe, default_kind, fitting_lanes, free_bytes, num_bytes
from jaxgd.sweeps.variants import can_generalize, can_merge, families, largest_batch, merged, only_group
from jaxgd.training.fitting import check_epochs
from jaxgd.training.trainers import Trainer

# What merging has to save, as a ratio and in seconds: apart, a lane has the bits of the run alone.
_GAIN, _SAVED_SECONDS = 1.2, 2.0
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
    if merge is not None and not isinstance(merge, bool | int):
        raise TypeError(f"merge must be None, False or a number of examples, got {merge!r}")
    if merge is True or (merge not in (None, False) and merge < 1):
        raise ValueError(f"merge must be None, False or a number of examples from 1 on, got {merge!r}")
    if kind is not None:
        one_of("kind", kind, ("map", "vmap"))
    if lanes is not None and (isinstance(lanes, bool) or not isinstance(lanes, int) or lanes < 1):
        raise ValueError(f"lanes must be a whole number, 1 or more, or None, got {lanes!r}")
    if exact and (merge or kind == "vmap" or generalize or lanes not in (None, 1)):
        raise ValueError(
            "exact=True runs one lane at a time, unmerged: it takes no other merge, kind or lanes"
        )
    return Options(False, "map", 1, False, True) if exact else Options(merge, kind, lanes, generalize)


def plan_of(units: Sequence[Unit], num_runs: int, epochs: int, devices: Sequence[Any]) -> Plan:
    """The plan that these units are."""
    return Plan(tuple(unit.planned for unit in units), epochs, device_name(devices), versions(), num_runs)


def device_name(devices: Sequence[Any]) -> str:
    """Such as "2 x cpu"."""
    return f"{len(devices)} x {devices[0].device_kind}"


def make_units(runs: Sequence[Run], devices: Sequence[Any], sources: Sources, options: Options) -> list[Unit]:
    """The units of a sweep, the longest first, so that others compile while they run."""
    weigher, groups = _Weigher(devices, sources, options), group_runs(runs)
    warn_of_closures(groups)
    chosen = weigher.best(groups, False)
    is_open = options.generalize is not False and len(groups) > len(set(map(largest_of_group, groups)))
    if options.generalize and not all(can_generalize(group.runs[0].trainer) for group in groups):
        raise ValueError(
            "generalize=True needs optimizers of the family, without masks or dtypes of their own"
        )
    if options.generalize or (is_open and all(can_generalize(group.runs[0].trainer) for group in groups)):
        together = weigher.best(groups, True)
        apart, merging = weigher.seconds(chosen), weigher.seconds(together)
        if options.generalize or _pays(apart, merging):
            reason = f"; optimizers apart {apart:.2g} s in all, merged {merging:.2g} s"
            chosen = [dataclasses.replace(planned, reason=planned.reason + reason) for planned in together]
    chosen.sort(key=lambda planned: planned.predicted_run_seconds, reverse=True)
    return [unit_of(planned, runs) for planned in chosen]


def _pays(apart: float, merged: float) -> bool:
    """Whether merging saves enough."""
    return merged * _GAIN <= apart and merged + _SAVED_SECONDS <= apart


def largest_of_group(group: Group) -> int:
    """Its batch size."""
    return largest_batch(group.runs[0].trainer)


def units_of_plan(saved: Plan, runs: Sequence[Run], devices: Sequence[Any]) -> list[Unit]:
    """The units of a saved plan for these runs.

    Raises:
        ValueError: the plan is one of other runs or of other devices.
    """
    if sorted(index for planned in saved.groups for index in planned.runs) != list(range(len(runs))):
        raise ValueError(f"plan is one of {saved.num_runs} runs, the sweep has {len(runs)}")
    if any(planned.recipe.devices != len(devices) for planned in saved.groups):
        raise ValueError(f"plan is one for {saved.device}, the sweep would run on {device_name(devices)}")
    return [unit_of(planned, runs) for planned in saved.groups]


def unit_of(planned: PlannedGroup, runs: Sequence[Run]) -> Unit:
    """The unit of these planned runs of a sweep."""
    recipe, by_index = planned.recipe, {run.index: run for run in runs}
    members = [merged(by_index[index], recipe.microbatch, recipe.generalized) for index in planned.runs]
    return Unit(only_group(members), planned)


class _Weigher:
    """Weighs forms of a sweep's groups against each other."""

    def __init__(self, devices: Sequence[Any], sources: Sources, options: Options):
        self.devices, self.sources, self.options = devices, sources, options
        self.kind = options.kind or default_kind(devices)
        self._works: dict[Any, Work] = {}

    def seconds(self, planned: Sequence[PlannedGroup]) -> float:
        """Predicted seconds of a sweep with nothing compiled and of another one after it.

        The cores share compiling and running. What is compiled already does not count: the same sweep has to
        give the same numbers again.
        """
        cores = os.cpu_count() or 1
        compiles = [each.predicted_compile_seconds for each in planned]
        running = sum(each.predicted_run_seconds for each in planned)
        cold = (sum(compiles) + running * len(self.devices)) / max(cores, len(self.devices))
        return max(max(compiles), cold) + running

    def best(self, groups: Sequence[Group], is_generalized: bool) -> list[PlannedGroup]:
        """The cheapest form of each family of groups, all together."""
        found = families(groups, is_generalized)
        return [planned for family in found for planned in self._best_of(family, is_generalized)]

    def _best_of(self, family: Sequence[Group], is_generalized: bool) -> list[PlannedGroup]:
        """The groups, which differ in batch size at most, in the cheapest of the forms that are open."""
        sizes = sorted(set(map(largest_of_group, family)))
        if len(sizes) == 1 or not can_merge(family[0].runs[0].trainer):
            return [
                self._explained(each, "nothing to merge") for each in self._form(family, None, is_generalized)
            ]
        if self.options.merge is not None:
            forms = [self._form(family, self.options.merge or None, is_generalized)]
            return [self._explained(each, "as asked for") for each in forms[0]]
        forms = [self._form(family, micro, is_generalized) for micro in (None, *sizes[:-1])]
        times = [self.seconds(form) for form in forms]
        best = int(np.argmin(times))
        best = best if _pays(times[0], times[best]) else 0
        reason = (
            f"apart {times[0]:.2g} s for a cold and a warm sweep, batch sizes merged {min(times[1:]):.2g} s"
        )
        return [self._explained(each, reason) for each in forms[best]]

    def _explained(self, planned: PlannedGroup, reason: str) -> PlannedGroup:
        return dataclasses.replace(planned, reason=reason)

    def _form(self, family: Sequence[Group], micro: int | None, is_generalized: bool) -> list[PlannedGroup]:
        """Groups of batch sizes of at least `micro` in one program, each smaller size in its own."""
        parts: dict[Any, list[Group]] = {}
        for group in family:
            size = largest_of_group(group)
            is_merged = micro is not None and size >= micro
            parts.setdefault("merged" if is_merged else (size, group.structure), []).append(group)
        if is_generalized:  # of one size, all optimizers
            parts = _by_size(parts)
        return [
            self._planned(part, micro if len(set(map(largest_of_group, part))) > 1 else None, is_generalized)
            for part in parts.values()
        ]

    def _planned(self, part: Sequence[Group], micro: int | None, is_generalized: bool) -> PlannedGroup:
        runs = [run for group in part for run in group.runs]
        if micro is None and not is_generalized:
            group = part[0]
        else:  # what is the same in all runs is told from the first and the last of each group
            ends = [run for group in part for run in (group.runs[0], group.runs[-1])]
            group = only_group([merged(run, micro, is_generalized) for run in ends])
        inputs = Inputs(group, self.sources)
        work = self._work(group.runs[0], inputs)
        firsts = [merged(group.runs[0], micro, is_generalized) for group in part]
        running = sum(
            len(group.runs) * run_seconds(work, first.trainer, self.sources.epochs, is_generalized)
            for group, first in zip(part, firsts, strict=True)
        ) / len(self.devices)
        recipe = self._recipe(inputs, len(runs), micro, is_generalized, running)
        return PlannedGroup(
            optimizer=_names([run.trainer.optimizer for run in runs]),
            batch_size=", ".join(map(str, sorted(set(map(largest_of_group, part))))),
            runs=tuple(sorted(run.index for run in runs)),
            recipe=recipe,
            reason="",
            predicted_compile_seconds=compile_seconds(work, micro is not None, is_generalized),
            predicted_run_seconds=running,
            predicted_bytes=int(_lane_bytes(inputs) * recipe.lanes + num_bytes(inputs.shared)),
        )

    def _work(self, run: Run, inputs: Inputs) -> Work:
        leaves, structure = jax.tree.flatten(run.trainer.problem)
        key = structure, tuple(map(np.shape, leaves))
        if key not in self._works:
            params = jax.tree.map(
                lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), inputs.shapes(1).params
            )
            self._works[key] = work_of(run.trainer, params)
        return self._works[key]

    def _recipe(
        self, inputs: Inputs, num_lanes: int, micro: int | None, is_generalized: bool, seconds: float
    ) -> Recipe:
        devices = self.devices
        choose = functools.partial(fitting_lanes, self.kind, num_lanes, devices)
        lanes = self.options.lanes or choose(_lane_bytes(inputs), num_bytes(inputs.shared))
        is_quick = devices[0].platform == "cpu" and seconds < _SHORT_SECONDS
        recipe = Recipe(self.kind, lanes, len(devices), micro, is_generalized, is_quick)
        if self.kind == "vmap" and self.options.lanes is None:
            free = free_bytes(devices)
            if free and lanes * _lane_bytes(inputs) > _MEASURED_PART * free:
                recipe = recipe._replace(lanes=choose(*self._measured_bytes(inputs, recipe)))
        other = recipe._replace(quick=not is_quick)
        is_other = is_compiled(inputs, other, devices) and not is_compiled(inputs, recipe, devices)
        return other if is_other else recipe

    def _measured_bytes(self, inputs: Inputs, recipe: Recipe) -> tuple[float, float]:
        """Bytes of a lane and of what all share, from programs of one lane and of two."""
        one, two = (
            _program_bytes(compile_for(inputs, recipe._replace(lanes=lanes), self.devices))
            for lanes in (1, 2)
        )
        return two - one, max(0, 2 * one - two)


def _by_size(parts: Mapping[Any, Sequence[Group]]) -> dict[Any, list[Group]]:
    """Parts of one batch size together, whatever their optimizers."""
    together: dict[Any, list[Group]] = {}
    for key, part in parts.items():
        together.setdefault(key if key == "merged" else key[0], []).extend(part)
    return together


def _names(optimizers: Sequence[Any]) -> str:
    """The optimizer's text, or the names of several without their numbers."""
    texts = list(dict.fromkeys(map(repr, optimizers)))
    return texts[0] if len(texts) == 1 else ", ".join(dict.fromkeys(text.split("(")[0] for text in texts))


def _lane_bytes(inputs: Inputs) -> int:
    """Bytes that a lane needs: inputs, its parameters and states twice over, and an update's temporaries."""
    one = inputs.shapes(1)
    return num_bytes(one) + 7 * num_bytes(one.params)


def _program_bytes(program: Any) -> int:
    """Memory that a program needs on a device."""
    memory = program.memory_analysis()
    kept = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    return kept + memory.temp_size_in_bytes
