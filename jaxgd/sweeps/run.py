"""`sweep`: every point of a grid trained, a program for each group of like trainers."""

import dataclasses
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

import jax
import numpy as np

from jaxgd.sweeps.assembly import LaneResults, assemble
from jaxgd.sweeps.clock import LaneAlone
from jaxgd.sweeps.grid import Point, checked_axes
from jaxgd.sweeps.groups import Run
from jaxgd.sweeps.planner import (
    Options,
    Unit,
    checked_runs,
    device_name,
    make_units,
    plan_of,
    units_of_plan,
)
from jaxgd.sweeps.plans import Plan, PlannedGroup, versions
from jaxgd.sweeps.preparation import Ready, Sources, prepare
from jaxgd.sweeps.programs import with_settings_of_caller
from jaxgd.sweeps.recipes import free_bytes
from jaxgd.sweeps.result import SweepResult
from jaxgd.sweeps.units import run_unit
from jaxgd.sweeps.variants import largest_batch, only_group
from jaxgd.training.progress import Progress
from jaxgd.training.trainers import Trainer

# Timing updates alone takes about this part of the time that running took, and no less than one call.
_CLOCK_PART = 0.05
_CLOCK_CALLS = 3


def sweep(
    make_trainer: Callable[[Point], Trainer],
    axes: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    epochs: int,
    *,
    progress: bool | Callable[[int, int, str], None] = True,
    plan: Plan | None = None,
    exact: bool = False,
    explain: bool = False,
    clock: bool = True,
) -> SweepResult:
    """The result of training at every point of a grid, or of a list of points.

    Trainers of one tree structure are lanes of one program: learning rates, seeds and every other number cost
    no further compile. What changes the structure (the optimizer, the activation, a Python-int batch size)
    makes a program of its own, unless the planner finds it cheaper to merge batch sizes or optimizers;
    programs compile in threads while others run. Lanes are spread over all devices, and one that ends makes
    room for the next. Each seed's initial parameters and epoch orders are made once and shared by its lanes.

    What a lane computes depends on its recipe (see `result.plan`) and not on the lanes beside it, their order
    or how the sweep was cut. Between recipes float32 results differ by rounding, which training amplifies.

    Args:
        make_trainer: called with each point, `hp.learning_rate` or `hp["learning_rate"]`, returns a trainer.
        axes: the values of each axis, by name; or a list of points, mappings from names to values, which make
            one axis `point`. The values of an axis may be such points too: their names vary together. `seed`
            s gives a run `jax.random.key(s)`, 0 without that name.
        epochs: 1 or more.
        progress: show a bar once the sweep has taken two seconds; or a function of
            `(runs done, runs in all, text)`.
        plan: one from `jaxgd.plan`, or of an earlier result, to be followed; None to choose.
        exact: give every run the bits of the jitted run alone (on a CPU): one lane at a time, nothing merged.
        explain: print the plan before it is followed, and why it was chosen.
        clock: time updates of each program alone, for the coordinate `seconds`; takes about a twentieth of
            the time of the sweep.

    Raises:
        ValueError, TypeError: an empty axis, a value twice, a name that the result uses, a plan for another
            sweep, or what `make_trainer` raises; before anything compiles.
        MemoryError: not even one lane on each device fits. Where fewer fit than were planned, the sweep goes
            on with half as many, and its plan says so.

    Example:
        >>> import jaxgd
        >>> problem = jaxgd.classification(jaxgd.linear(64, 10), *jaxgd.datasets.load("digits"))
        >>> result = jaxgd.sweep(
        ...     lambda hp: jaxgd.trainer(problem, jaxgd.sgd(hp.learning_rate), hp.batch_size),
        ...     {"batch_size": ["full", 32], "learning_rate": [0.01, 0.1], "seed": [0, 1]},
        ...     epochs=2,
        ... )
        >>> result.dataset.valid_accuracy.dims
        ('batch_size', 'learning_rate', 'seed', 'epoch')
    """
    begun = time.perf_counter()
    lists = checked_axes(axes)
    runs = checked_runs(make_trainer, lists, epochs)
    devices, sources = jax.devices(), Sources(epochs)
    units = _units(runs, devices, sources, plan, exact)
    planned = plan_of(units, len(runs), epochs, devices)
    if explain:
        print(planned, file=sys.stderr)  # noqa: T201
    examples = epochs * sum(run.trainer.problem.num_examples for run in runs)
    with Progress(progress, len(runs), examples, "runs") as shown:
        done = list(_run_units(units, devices, sources, shown, clock))
    seconds = time.perf_counter() - begun
    _warn_of_idle_cores(devices, len(runs), seconds)
    clocks = sum(part.clock_seconds for part in done)
    groups = tuple(part.planned for part in done)
    followed = dataclasses.replace(planned, groups=groups, seconds=seconds, clock_seconds=clocks)
    results = {run.index: results for part in done for run, results in part.results}
    per_update = {index: seconds for part in done for index, seconds in part.seconds_per_update.items()}
    dataset = assemble(
        lists,
        runs,
        [results[run.index] for run in runs],
        [per_update[run.index] for run in runs] if clock else None,
        followed,
    )
    states = [(results[run.index].params, results[run.index].model_state) for run in runs]
    return SweepResult(dataset, followed, lists, states)


def _units(
    runs: Sequence[Run], devices: Sequence[Any], sources: Sources, plan: Plan | None, exact: bool
) -> list[Unit]:
    if plan is None:
        return make_units(
            runs, devices, sources, Options(False, "map", 1, False, True) if exact else Options()
        )
    if not isinstance(plan, Plan):
        raise TypeError(f"plan must be a jaxgd.plan(...), got {plan!r}")
    if exact:
        raise ValueError("exact=True makes a plan of its own: give one of plan and exact")
    if plan.epochs != sources.epochs:
        raise ValueError(f"plan is one of {plan.epochs} epochs, the sweep has {sources.epochs}")
    now = (device_name(devices), versions())
    if (plan.device, dict(plan.versions)) != now:
        warnings.warn(
            f"the plan was made on {plan.device} with {dict(plan.versions)}, this is {now[0]} with {now[1]}: "
            "results may differ in their last bits",
            stacklevel=3,
        )
    return units_of_plan(plan, runs, devices)


@dataclasses.dataclass
class _Done:
    """A unit that has run: its plan with the seconds it took, and each run's results."""

    planned: PlannedGroup
    results: list[tuple[Run, LaneResults]]
    seconds_per_update: dict[int, float]
    clock_seconds: float


def _run_units(
    units: Sequence[Unit], devices: Sequence[Any], sources: Sources, shown: Progress, clock: bool
) -> Iterator[_Done]:
    pool = ThreadPoolExecutor(max(1, min(len(units), os.cpu_count() or 1)))
    try:
        make_ready = with_settings_of_caller(
            lambda unit: prepare(unit.group, unit.planned.recipe, devices, sources)
        )
        futures: dict[Future[Ready], Unit] = {pool.submit(make_ready, unit): unit for unit in units}
        sources.make([run for unit in units for run in unit.group.runs])  # while the programs compile
        for future in as_completed(futures):
            yield from _run_in_memory(future.result, futures[future], devices, sources, shown, clock)
    finally:
        # Where the sweep ends early, Ctrl-C need not wait for the program that is compiling.
        pool.shutdown(wait=False, cancel_futures=True)


def _run_in_memory(
    make_ready: Callable[[], Ready],
    unit: Unit,
    devices: Sequence[Any],
    sources: Sources,
    shown: Progress,
    clock: bool,
) -> Iterator[_Done]:
    """The unit's runs; those that did not fit into memory again, half as many at once."""
    results: list[tuple[Run, LaneResults]] = []
    started = time.perf_counter()
    try:
        ready = make_ready()
        started = time.perf_counter()
        for run, result in run_unit(ready, unit.planned.predicted_run_seconds, shown):
            results.append((run, result))
        run_seconds = time.perf_counter() - started
        yield _timed(unit, ready, results, run_seconds, devices, sources, clock)
        return
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        smaller = _halved(unit, {run.index for run, _ in results}, devices, error)
    if results:
        planned = dataclasses.replace(
            unit.planned, runs=tuple(run.index for run, _ in results), compile_seconds=ready.compile_seconds
        )
        finished = Unit(only_group([run for run, _ in results]), planned)
        yield _timed(finished, ready, results, time.perf_counter() - started, devices, sources, clock)

    def again():
        return prepare(smaller.group, smaller.planned.recipe, devices, sources)

    yield from _run_in_memory(again, smaller, devices, sources, shown, clock)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "resource_exhausted" in text or "out of memory" in text


def _halved(unit: Unit, done: set[int], devices: Sequence[Any], error: BaseException) -> Unit:
    """The runs that are not done, half as many at once.

    Raises:
        MemoryError: there was only one.
    """
    recipe, planned = unit.planned.recipe, unit.planned
    if recipe.lanes == 1:
        raise MemoryError(
            f"one run of batch {planned.batch_size}, {planned.optimizer}, needs about "
            f"{planned.predicted_bytes:,} bytes on each device, {free_bytes(devices):,} are free: use a "
            "smaller batch size, or micro-batches (trainer(..., microbatch=...))"
        ) from error
    lanes = recipe.lanes // 2
    runs = [run for run in unit.group.runs if run.index not in done]
    warnings.warn(f"out of memory with {recipe.lanes} lanes on a device: going on with {lanes}", stacklevel=2)
    smaller = dataclasses.replace(
        planned,
        runs=tuple(run.index for run in runs),
        recipe=recipe._replace(lanes=lanes),
        reason=f"halved: out of memory with {recipe.lanes} lanes",
        predicted_bytes=planned.predicted_bytes // 2,
    )
    return Unit(only_group(runs), smaller)


def _timed(
    unit: Unit,
    ready: Ready,
    results: list[tuple[Run, LaneResults]],
    run_seconds: float,
    devices: Sequence[Any],
    sources: Sources,
    clock: bool,
) -> _Done:
    """The unit with what it took, and the seconds of an update of each of its batch sizes, alone."""
    planned = dataclasses.replace(
        unit.planned, compile_seconds=ready.compile_seconds, run_seconds=run_seconds
    )
    if not clock:
        return _Done(planned, results, {}, 0.0)
    begun = time.perf_counter()
    if ready.recipe.kind != "map":  # all at once, none is alone
        recipe = ready.recipe._replace(kind="map", lanes=1)
        ready = prepare(unit.group, recipe, devices, sources)
    members = unit.group.runs
    sizes = [largest_batch(run.trainer) for run in members]
    part = _CLOCK_PART * run_seconds / len(set(sizes)) / _CLOCK_CALLS
    of_size = {size: _seconds_alone(ready, sizes.index(size), part) for size in dict.fromkeys(sizes)}
    per_update = {run.index: of_size[size] for run, size in zip(members, sizes, strict=True)}
    return _Done(planned, results, per_update, time.perf_counter() - begun)


def _seconds_alone(ready: Ready, run: int, seconds: float) -> float:
    lane = LaneAlone(ready, run)
    lane.calibrate(seconds)
    return float(np.median([lane.seconds_per_update() for _ in range(_CLOCK_CALLS)]))


def _warn_of_idle_cores(devices: Sequence[Any], num_runs: int, seconds: float) -> None:
    cores = os.cpu_count() or 1
    if devices[0].platform == "cpu" and len(devices) < min(cores, num_runs) and seconds > 5:
        warnings.warn(
            f"the sweep ran on {len(devices)} of {cores} cores: put "
            f'jax.config.update("jax_num_cpu_devices", {cores}) before the first use of JAX',
            stacklevel=3,
        )
