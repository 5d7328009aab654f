"""The clock of a sweep that has ended: its updates timed alone, for the coordinate `seconds`."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxgd.machine.compiling import own_programs
from jaxgd.machine.interrupts import Interrupts
from jaxgd.sweeps.axes import Point, points
from jaxgd.sweeps.engine.execution import Engine
from jaxgd.sweeps.engine.timed import timed_programs
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.results.dataset import attributes, seconds_of
from jaxgd.sweeps.runs import devices_of, make_runs
from jaxgd.training.trainers import Trainer

if TYPE_CHECKING:
    import xarray


def with_clock(
    dataset: "xarray.Dataset",
    plan: Plan,
    axes: Mapping[str, Sequence[Any]],
    make_trainer: Callable[[Point], Trainer],
) -> tuple["xarray.Dataset", Plan]:
    """Dataset and plan of a result with what was measured now, and how long that took.

    Raises:
        ValueError: `make_trainer` makes other trainers than the sweep had.
    """
    runs = make_runs(make_trainer, points(axes))
    engine = Engine(devices_of(runs), plan.epochs)
    with own_programs():
        timed = list(timed_programs(engine, plan.groups, runs, Interrupts()))
    per_update = {place: seconds for each in timed for place, seconds in each.per_update.items()}
    took = sum(each.took for each in timed)
    clock = (plan.seconds or 0.0) + took, (plan.clock_seconds or 0.0) + took
    plan = dataclasses.replace(plan, seconds=clock[0], clock_seconds=clock[1])
    dims = (*dataset["status"].dims, "epoch")
    updates = dataset["updates"].transpose(*dims).values
    seconds = seconds_of(updates, [per_update[run.index] for run in runs])
    dataset = dataset.assign_coords(seconds=(dims, seconds))
    return dataset.assign_attrs(attributes(plan)), plan


def missing_trainers(plan: Plan, spec: Mapping[str, Any] | None) -> str:
    """What to do where a result has no trainers."""
    if not any(program.batch_size for program in plan.groups):
        return "this is the result of a function: clocked() times the updates of trainers"
    text = "a result that was loaded has no trainers to time: give them, as result.clocked(make_trainer)"
    if spec is None:
        return text
    return f"{text}, with jaxgd.specs.runs.runs_of(result).make_trainer for those of its spec"
