"""The units of a sweep at work: compiled in threads, run as they are ready, halved where memory runs out."""

import dataclasses
import importlib
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

import jax

from jaxgd.machine.devices import free_bytes
from jaxgd.machine.switches import with_settings_of_caller
from jaxgd.sweeps.engine.clock import _CLOCK_CALLS, _CLOCK_PART, _seconds_alone
from jaxgd.sweeps.engine.driver import run_unit
from jaxgd.sweeps.engine.programs import Ready, prepare
from jaxgd.sweeps.lanes import Sources
from jaxgd.sweeps.planning.forms import largest_batch, only_group
from jaxgd.sweeps.planning.planner import Unit
from jaxgd.sweeps.planning.plans import PlannedGroup
from jaxgd.sweeps.results.dataset import LaneResults
from jaxgd.sweeps.runs import Run
from jaxgd.training.problems.coupling import check_coupling
from jaxgd.training.progress import Progress


@dataclasses.dataclass
class Done:
    """A unit that has run: its plan with the seconds it took, and each run's results."""

    planned: PlannedGroup
    results: list[tuple[Run, LaneResults]]
    seconds_per_update: dict[int, float]
    clock_seconds: float


def run_units(
    units: Sequence[Unit], devices: Sequence[Any], sources: Sources, shown: Progress, clock: bool
) -> Iterator[Done]:
    """Each unit, or part of one, with its results, in the order in which their programs are ready."""
    pool = ThreadPoolExecutor(max(1, min(len(units), os.cpu_count() or 1)))
    try:
        make_ready = with_settings_of_caller(
            lambda unit: prepare(unit.group, unit.planned.recipe, devices, sources)
        )
        futures: dict[Future[Ready], Unit] = {pool.submit(make_ready, unit): unit for unit in units}
        # While the programs compile: what they are given, and what the result will be made of.
        sources.make([run for unit in units for run in unit.group.runs])
        _check_coupling([unit.group.runs[0] for unit in units], sources)
        importlib.import_module("xarray")
        for future in as_completed(futures):
            yield from _run_in_memory(future.result, futures[future], devices, sources, shown, clock)
    finally:
        # Where the sweep ends early, Ctrl-C need not wait for the program that is compiling.
        pool.shutdown(wait=False, cancel_futures=True)


def _check_coupling(runs: Sequence[Run], sources: Sources) -> None:
    """Raise ValueError if a run's problem does not say that its examples are coupled."""
    for run in runs:
        size = getattr(run.trainer.batch_size, "value", None)
        check_coupling(run.trainer.problem, sources.params(run), size)


def _run_in_memory(
    make_ready: Callable[[], Ready],
    unit: Unit,
    devices: Sequence[Any],
    sources: Sources,
    shown: Progress,
    clock: bool,
) -> Iterator[Done]:
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
    width = min(recipe.width, recipe.lanes // 2)
    lanes = recipe.lanes // 2 // width * width
    runs = [run for run in unit.group.runs if run.index not in done]
    warnings.warn(f"out of memory with {recipe.lanes} lanes on a device: going on with {lanes}", stacklevel=2)
    smaller = dataclasses.replace(
        planned,
        runs=tuple(run.index for run in runs),
        recipe=recipe._replace(lanes=lanes, width=width),
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
) -> Done:
    """The unit with what it took, and the seconds of an update of each of its batch sizes, alone."""
    planned = dataclasses.replace(
        unit.planned, compile_seconds=ready.compile_seconds, run_seconds=run_seconds
    )
    if not clock:
        return Done(planned, results, {}, 0.0)
    begun = time.perf_counter()
    if not ready.recipe.is_alone:
        recipe = ready.recipe._replace(kind="map", lanes=1, width=1)
        ready = prepare(unit.group, recipe, devices, sources)
    members = unit.group.runs
    sizes = [largest_batch(run.trainer) for run in members]
    part = _CLOCK_PART * run_seconds / len(set(sizes)) / _CLOCK_CALLS
    of_size = {size: _seconds_alone(ready, sizes.index(size), part) for size in dict.fromkeys(sizes)}
    per_update = {run.index: of_size[size] for run, size in zip(members, sizes, strict=True)}
    return Done(planned, results, per_update, time.perf_counter() - begun)
