"""`sweep`: every point of a grid trained, a program for each group of like trainers."""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

import jax
import numpy as np

from jaxgd.sweeps.grid import Group, Point, Run, check_names, checked_axes, group_runs, make_runs, points
from jaxgd.sweeps.preparation import Ready, Sources, prepare
from jaxgd.sweeps.programs import LaneResults, Recipe, whole_run, with_settings_of_caller
from jaxgd.sweeps.result import Plan, PlannedGroup, SweepResult, assemble
from jaxgd.training.fitting import check_epochs
from jaxgd.training.progress import Progress
from jaxgd.training.trainers import Trainer

# Seconds that one call of a program aims at, so that progress shows and Ctrl-C is heard.
_CALL_SECONDS = 0.5


def sweep(
    make_trainer: Callable[[Point], Trainer],
    axes: Mapping[str, Sequence[Any]],
    epochs: int,
    *,
    progress: bool | Callable[[int, int, str], None] = True,
) -> SweepResult:
    """The result of training at every point of a grid.

    Trainers of one tree structure are lanes of one program: learning rates, seeds and every other number cost
    no further compile. What changes the structure (the optimizer, the activation, a Python-int batch size)
    makes a program of its own; programs compile in threads while others run. Lanes are spread over all
    devices. Each seed's initial parameters and epoch orders are made once and shared by its lanes.

    Args:
        make_trainer: called with each point, `hp.learning_rate` or `hp["learning_rate"]`, returns a trainer.
        axes: the values of each axis, by name. `seed` s gives a run `jax.random.key(s)`, 0 without that axis.
        epochs: 1 or more.
        progress: show a bar once the sweep has taken two seconds; or a function of
            `(runs done, runs in all, text)`.

    Raises:
        ValueError, TypeError: an empty axis, a value twice, a name that the result uses, or what
            `make_trainer` raises; before anything compiles.

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
    runs = make_runs(make_trainer, points(lists))
    check_names(lists, runs[0].trainer)
    for run in runs:
        check_epochs(epochs, run.trainer.problem.num_examples)
    devices = jax.devices()
    # The longest groups go first, and the others compile while they run.
    groups = sorted(group_runs(runs), key=lambda group: group.updates_per_epoch, reverse=True)
    with Progress(progress, len(runs), sum(_examples(run, epochs) for run in runs), "runs") as shown:
        finished = list(_run_groups(groups, epochs, devices, shown))
    seconds = time.perf_counter() - begun
    _warn_of_idle_cores(devices, len(runs), seconds)
    return assemble(
        lists, runs, [r for _, results in finished for r in results], Plan([p for p, _ in finished], seconds)
    )


def _examples(run: Run, epochs: int) -> int:
    return epochs * run.trainer.problem.num_examples


def _run_groups(
    groups: list[Group], epochs: int, devices: Sequence[Any], shown: Progress
) -> Iterator[tuple[PlannedGroup, list[tuple[Run, LaneResults]]]]:
    sources = Sources(epochs)
    pool = ThreadPoolExecutor(max(1, min(len(groups), os.cpu_count() or 1)))
    try:
        make_ready = with_settings_of_caller(prepare)
        futures: list[Future[Ready]] = [pool.submit(make_ready, group, devices, sources) for group in groups]
        sources.make([run for group in groups for run in group.runs])  # while the programs compile
        for future in as_completed(futures):
            ready = future.result()
            started = time.perf_counter()
            results = list(_run_group(ready, devices, epochs, shown))
            yield _planned(ready, time.perf_counter() - started), results
    finally:
        # Where the sweep ends early, Ctrl-C need not wait for the program that is compiling.
        pool.shutdown(wait=False, cancel_futures=True)


def _planned(ready: Ready, run_seconds: float) -> PlannedGroup:
    trainer = ready.group.runs[0].trainer
    return PlannedGroup(
        repr(trainer.optimizer),
        ", ".join(map(str, sorted({int(run.trainer.examples_per_batch) for run in ready.group.runs}))),
        len(ready.group.runs),
        ready.recipe,
        ready.compile_seconds,
        run_seconds,
    )


def _run_group(
    ready: Ready, devices: Sequence[Any], epochs: int, shown: Progress
) -> Iterator[tuple[Run, LaneResults]]:
    """Each run of the group with its results; calls take as many lanes as fit into about half a second."""
    recipe, runs = ready.recipe, ready.group.runs
    shared_sharding = ready.program.input_shardings[0][0]
    shared = jax.device_put(ready.inputs.shared, shared_sharding) if ready.inputs.shared else []
    done, width = 0, recipe.lanes if recipe.kind == "vmap" else 1
    while done < len(runs):
        lanes, counts = _assign(done, min(len(runs) - done, width * recipe.devices), recipe)
        started = time.perf_counter()
        results = jax.device_get(ready.program(shared, ready.inputs.gather(lanes), counts, whole_run(epochs)))
        seconds = time.perf_counter() - started
        for place, lane in enumerate(lanes):
            if place % recipe.lanes < counts[place // recipe.lanes]:
                yield runs[lane], jax.tree.map(lambda x, place=place: x[place], results)
        done += int(counts.sum())
        shown.advance(int(counts.sum()), int(counts.sum()) * _examples(runs[0], epochs))
        if recipe.kind == "map":
            width = max(1, min(recipe.lanes, int(width * _CALL_SECONDS / max(seconds, 1e-3)), 2 * width))


def _assign(first: int, count: int, recipe: Recipe) -> tuple[list[int], np.ndarray]:
    """Which lane is in which place, and how many each device runs: dealt out in turn, places filled up."""
    dealt = [list(range(first + device, first + count, recipe.devices)) for device in range(recipe.devices)]
    filled = [lane for mine in dealt for lane in mine + [first] * (recipe.lanes - len(mine))]
    return filled, np.array([len(mine) for mine in dealt], np.int32)


def _warn_of_idle_cores(devices: Sequence[Any], num_runs: int, seconds: float) -> None:
    cores = os.cpu_count() or 1
    if devices[0].platform == "cpu" and len(devices) < min(cores, num_runs) and seconds > 5:
        warnings.warn(
            f"the sweep ran on {len(devices)} of {cores} cores: put "
            f'jax.config.update("jax_num_cpu_devices", {cores}) before the first use of JAX',
            stacklevel=3,
        )
