"""The planner: which runs share a program, and the plan as a whole."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from jaxgd.arguments import as_integer, one_of
from jaxgd.machine.devices import device_name
from jaxgd.machine.host import versions
from jaxgd.machine.switches import own_programs
from jaxgd.sweeps.axes import Point, checked_axes
from jaxgd.sweeps.groups import Group, group_runs, warn_of_closures
from jaxgd.sweeps.lanes import Sources
from jaxgd.sweeps.planning.forms import Form, can_generalize, merged, only_group, sizes_of
from jaxgd.sweeps.planning.plans import Plan, PlannedGroup
from jaxgd.sweeps.planning.weighing import EXACT, Options, Weigher, largest_of_group, pays
from jaxgd.sweeps.runs import Run, checked_runs
from jaxgd.training.trainers import Trainer


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
    width: int | None = None,
    generalize: bool | None = None,
    exact: bool = False,
    clock: bool = True,
) -> Plan:
    """The plan that `sweep` would follow, which prints as text; nothing is compiled on a CPU.

    Give it to `sweep(..., plan=...)`. What is None here is chosen for the least total time.

    Args:
        make_trainer: as in `sweep`.
        axes: as in `sweep`.
        epochs: as in `sweep`.
        merge: False for a program for each batch size; True for one program with a loop for each, lanes one
            after the other; a number of examples for one program with one loop for all batch sizes of at
            least that many, in micro-batches of it.
        kind: "map", lanes one after the other on each device, or "vmap", all at once.
        lanes: how many a device holds, 1 or more.
        width: how many of those in turn move at once, 1 or more, a divisor of `lanes`. Short steps of small
            models take less time so, and from 2 on a lane has not the bits of the run alone.
        generalize: whether optimizers of the family share a program (see `jaxgd.generalize`).
        exact: every run has the bits of the jitted run alone, on a CPU: one lane at a time, nothing merged.
        clock: as in `sweep`: lanes that move at once need a further program for it.

    Raises:
        ValueError, TypeError: as in `sweep`, and an option out of range.
    """
    options = checked_options(merge, kind, lanes, width, generalize, exact)._replace(clock=clock)
    runs, epochs = checked_runs(make_trainer, checked_axes(axes), epochs)
    devices = jax.devices()
    with own_programs():
        return plan_of(make_units(runs, devices, Sources(epochs), options), len(runs), epochs, devices)


def checked_options(merge: Any, kind: Any, lanes: Any, width: Any, generalize: Any, exact: bool) -> Options:
    """The options of a plan.

    Raises:
        ValueError: one is out of range, or contradicts `exact`.
    """
    if merge is not None and not isinstance(merge, bool):
        merge = _checked_merge(merge)
    if kind is not None:
        one_of("kind", kind, ("map", "vmap"))
    lanes, width = _count_or_none("lanes", lanes), _count_or_none("width", width)
    if (width or 1) > 1 and (kind == "vmap" or (lanes or width) % width):
        raise ValueError(
            f"width must divide lanes, of kind 'map', got width={width}, lanes={lanes}, kind={kind!r}"
        )
    if exact and (merge or kind == "vmap" or generalize or not {lanes, width} <= {None, 1}):
        raise ValueError(
            "exact=True runs one lane at a time, unmerged: it takes no other merge, kind, lanes or width"
        )
    return EXACT if exact else Options(merge, kind, lanes, generalize, width)


def _checked_merge(merge: Any) -> int:
    count = as_integer(merge)
    if count is None:
        raise TypeError(f"merge must be None, True, False or a number of examples, got {merge!r}")
    if count < 1:
        raise ValueError(f"merge must be None, True, False or a number of examples from 1 on, got {count}")
    return count


def _count_or_none(name: str, value: Any) -> int | None:
    count = None if value is None else as_integer(value)
    if value is not None and (count is None or count < 1):
        raise ValueError(f"{name} must be a whole number, 1 or more, or None, got {value!r}")
    return count


def plan_of(units: Sequence[Unit], num_runs: int, epochs: int, devices: Sequence[Any]) -> Plan:
    """The plan that these units are."""
    return Plan(tuple(unit.planned for unit in units), epochs, device_name(devices), versions(), num_runs)


def make_units(runs: Sequence[Run], devices: Sequence[Any], sources: Sources, options: Options) -> list[Unit]:
    """The units of a sweep, the longest first, so that others compile while they run."""
    weigher, groups = Weigher(devices, sources, options), group_runs(runs)
    warn_of_closures(groups)
    chosen = weigher.best(groups, False)
    is_open = options.generalize is not False and len(groups) > len(set(map(largest_of_group, groups)))
    is_family = all(can_generalize(group.runs[0].trainer.optimizer) for group in groups)
    if options.generalize and not is_family:
        raise ValueError(
            "generalize=True needs optimizers of the family, without masks or dtypes of their own"
        )
    if options.generalize or (is_open and is_family):
        together = weigher.best(groups, True)
        apart, merging = weigher.seconds(chosen), weigher.seconds(together)
        if options.generalize or pays(apart, merging):
            reason = f"; optimizers apart {apart:.2g} s in all, merged {merging:.2g} s"
            chosen = [dataclasses.replace(each, reason=each.reason + reason) for each in together]
    chosen.sort(key=lambda planned: planned.predicted_run_seconds, reverse=True)
    return _units_of(chosen, runs, groups)


def units_of_plan(saved: Plan, runs: Sequence[Run], devices: Sequence[Any]) -> list[Unit]:
    """The units of a saved plan for these runs.

    Raises:
        ValueError: the plan is one of other runs or of other devices.
    """
    if sorted(index for planned in saved.groups for index in planned.runs) != list(range(len(runs))):
        raise ValueError(f"plan is one of {saved.num_runs} runs, the sweep has {len(runs)}")
    if any(planned.recipe.devices != len(devices) for planned in saved.groups):
        raise ValueError(f"plan is one for {saved.device}, the sweep would run on {device_name(devices)}")
    return _units_of(saved.groups, runs)


def _units_of(
    planned_groups: Sequence[PlannedGroup], runs: Sequence[Run], groups: Sequence[Group] = ()
) -> list[Unit]:
    """The units of planned groups; `groups` are those of runs as they were made, where that is known."""
    by_index, units = {run.index: run for run in runs}, []
    made = {tuple(run.index for run in group.runs): group for group in groups}
    for planned in planned_groups:
        members, recipe = [by_index[index] for index in planned.runs], planned.recipe
        form = Form(recipe.microbatch, sizes_of(members) if recipe.branches else None, recipe.generalized)
        if form != Form() or planned.runs not in made:
            made[planned.runs] = only_group([merged(run, form) for run in members])
        units.append(Unit(made[planned.runs], planned))
    return units
