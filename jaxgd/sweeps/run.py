"""`sweep`: every point of a grid trained, a program for each group of like trainers."""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.sweeps.grid import Group, Point, Run, check_names, checked_axes, group_runs, make_runs, points
from jaxgd.sweeps.programs import (
    LaneInputs,
    LaneResults,
    Recipe,
    abstract,
    build_program,
    choose_recipe,
    with_settings_of_caller,
)
from jaxgd.sweeps.progress import Progress
from jaxgd.sweeps.result import Plan, PlannedGroup, SweepResult, assemble
from jaxgd.training.batching import epoch_orders
from jaxgd.training.fitting import check_epochs, initial_params
from jaxgd.training.loop import Trainer

# Seconds that one call of a program aims at, so that progress shows and Ctrl-C is heard.
_CALL_SECONDS = 0.5

# Compiled programs by structure, shapes and recipe, so that a second sweep of the same kind compiles nothing.
_COMPILED: dict[Any, Any] = {}
_MAX_COMPILED = 256


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
    groups = sorted(group_runs(runs), key=_cost, reverse=True)
    with Progress(progress, len(runs), sum(_examples(run, epochs) for run in runs)) as shown:
        finished = list(_run_groups(groups, epochs, devices, shown))
    seconds = time.perf_counter() - begun
    _warn_of_idle_cores(devices, len(runs), seconds)
    return assemble(
        lists, runs, [r for _, results in finished for r in results], Plan([p for p, _ in finished], seconds)
    )


def _cost(group: Group) -> float:
    """Updates in all: the longest groups go first, and the others compile while they run."""
    trainer = group.runs[0].trainer
    return len(group.runs) * trainer.problem.num_examples / float(np.min(trainer.examples_per_batch))


def _examples(run: Run, epochs: int) -> int:
    return epochs * run.trainer.problem.num_examples


class _Ready(NamedTuple):
    """A group whose program is compiled."""

    group: Group
    recipe: Recipe
    program: Any
    inputs: "_Inputs"
    compile_seconds: float


def _run_groups(
    groups: list[Group], epochs: int, devices: Sequence[Any], shown: Progress
) -> Iterator[tuple[PlannedGroup, list[tuple[Run, LaneResults]]]]:
    sources = _Sources(epochs)
    with ThreadPoolExecutor(max(1, min(len(groups), os.cpu_count() or 1))) as pool:
        prepare = with_settings_of_caller(_prepare)
        futures: list[Future[_Ready]] = [pool.submit(prepare, g, epochs, devices, sources) for g in groups]
        try:
            for future in as_completed(futures):
                ready = future.result()
                started = time.perf_counter()
                results = list(_run_group(ready, devices, epochs, shown))
                yield _planned(ready, time.perf_counter() - started), results
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def _planned(ready: _Ready, run_seconds: float) -> PlannedGroup:
    trainer = ready.group.runs[0].trainer
    return PlannedGroup(
        repr(trainer.optimizer),
        str(trainer.examples_per_batch),
        len(ready.group.runs),
        ready.recipe,
        ready.compile_seconds,
        run_seconds,
    )


class _Sources:
    """Initial parameters and epoch orders, each made once."""

    def __init__(self, epochs: int):
        self.epochs = epochs
        self._made: dict[Any, Any] = {}

    def params(self, run: Run) -> Any:
        """The run's initial parameters, on the host."""
        leaves, structure = jax.tree.flatten(run.trainer.problem.init)
        key = ("params", structure, tuple(np.asarray(leaf).tobytes() for leaf in leaves), run.seed)
        return self._once(key, lambda: initial_params(run.trainer.problem.init, jax.random.key(run.seed)))

    def orders(self, run: Run) -> Any:
        """The run's epoch orders: int32[epochs, num_examples]."""
        num, sampling = run.trainer.problem.num_examples, run.trainer.order_sampling
        key = ("orders", num, sampling, run.seed if sampling != "sequential" else None)
        return self._once(key, lambda: epoch_orders(jax.random.key(run.seed), 0, self.epochs, num, sampling))

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._made:  # two threads may both make it: the same numbers, so either may stay
            self._made[key] = jax.device_get(make())
        return self._made[key]


class _Inputs:
    """The inputs of a call, gathered from its runs on the host."""

    def __init__(self, group: Group, sources: _Sources):
        self.group, self.sources = group, sources
        self.shared = list(group.shared.values())

    def gather(self, lanes: Sequence[int]) -> LaneInputs:
        """The inputs of these lanes of the group."""
        runs = [self.group.runs[lane] for lane in lanes]
        columns = zip(*(self.group.lanes[lane] for lane in lanes), strict=True)
        seeds = {run.seed: np.asarray(jax.random.key_data(jax.random.key(run.seed))) for run in runs}
        return LaneInputs(
            leaves=[_narrow(np.stack([np.asarray(leaf) for leaf in column])) for column in columns],
            key_data=np.stack([seeds[run.seed] for run in runs]),
            params=jax.tree.map(
                lambda *leaves: np.stack(leaves), *(self.sources.params(run) for run in runs)
            ),
            orders=np.stack([self.sources.orders(run) for run in runs]),
        )


def _narrow(column: np.ndarray) -> np.ndarray:
    """In the dtype in which JAX takes it: a compiled program converts nothing."""
    return column.astype(jax.dtypes.canonicalize_dtype(column.dtype))


def _prepare(group: Group, epochs: int, devices: Sequence[Any], sources: _Sources) -> _Ready:
    started = time.perf_counter()
    inputs = _Inputs(group, sources)
    first = group.runs[0]
    recipe = choose_recipe(sources.params(first), sources.orders(first).nbytes, devices, len(group.runs))
    arguments = abstract(
        (inputs.shared, _widen(inputs.gather([0]), recipe), np.zeros(recipe.devices, np.int32))
    )
    key = (
        group.structure,
        tuple(group.shared),
        epochs,
        recipe,
        tuple(devices),
        str(jax.dtypes.canonicalize_dtype(float)),
        jax.config.jax_default_matmul_precision,  # pyright: ignore[reportAttributeAccessIssue]
        jax.tree.structure(arguments),
    )
    key = (*key, tuple((leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(arguments)))
    if key not in _COMPILED:
        while len(_COMPILED) >= _MAX_COMPILED:
            _COMPILED.pop(next(iter(_COMPILED)))
        _COMPILED[key] = build_program(group, recipe, epochs, devices).lower(*arguments).compile()
    return _Ready(group, recipe, _COMPILED[key], inputs, time.perf_counter() - started)


def _widen(one: LaneInputs, recipe: Recipe) -> LaneInputs:
    total = recipe.lanes * recipe.devices
    return jax.tree.map(lambda x: np.broadcast_to(x, (total, *x.shape[1:])), one)


def _run_group(
    ready: _Ready, devices: Sequence[Any], epochs: int, shown: Progress
) -> Iterator[tuple[Run, LaneResults]]:
    """Each run of the group with its results; calls take as many lanes as fit into about half a second."""
    recipe, runs = ready.recipe, ready.group.runs
    shared_sharding = ready.program.input_shardings[0][0]
    shared = jax.device_put(ready.inputs.shared, shared_sharding) if ready.inputs.shared else []
    done, width = 0, recipe.lanes if recipe.kind == "vmap" else 1
    while done < len(runs):
        lanes, counts = _assign(done, min(len(runs) - done, width * recipe.devices), recipe)
        started = time.perf_counter()
        results = jax.device_get(ready.program(shared, ready.inputs.gather(lanes), counts))
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
