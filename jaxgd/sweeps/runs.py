"""The runs of a sweep: what `make_trainer` gives for each point of the axes."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.machine.compiling import own_programs
from jaxgd.pytrees import Static
from jaxgd.sweeps.axes import Point, columns, differ, points
from jaxgd.training.carrying import COUNTS
from jaxgd.training.fitting import check_epochs, fresh_run
from jaxgd.training.starts import check_start
from jaxgd.training.states import Moving, TrainState, moving_part
from jaxgd.training.trainers import Trainer, measured_names


class Run(NamedTuple):
    """One lane: its place in the grid, its trainer, its seed, and what it goes on from.

    start: parameters, optimizer's and model's state on the host, None for a run from initial parameters.
    """

    index: int
    trainer: Trainer
    seed: int
    start: Moving | None = None


def make_runs(make_trainer: Callable[[Point], Trainer], grid: Sequence[Point]) -> list[Run]:
    """The run of every point. Arrays of equal content become one array, so data made anew is held once.

    Raises:
        TypeError: `make_trainer` returns something else than a trainer.
        ValueError: state that functions of a trainer read was changed after it was made.
        Exception: what it raises, with the point at which it did.
    """
    interned: dict[Any, Any] = {}
    seen: dict[int, Any] = {}

    def intern(leaf):
        if not isinstance(leaf, np.ndarray | jax.Array) or np.ndim(leaf) == 0:
            return leaf
        if id(leaf) not in seen:
            content = np.asarray(leaf)
            key = (content.shape, str(content.dtype), hash(content.tobytes()))
            seen[id(leaf)] = (leaf, interned.setdefault(key, leaf))  # holding it keeps its id taken
        return seen[id(leaf)][1]

    runs, held = [], set()
    for index, point in enumerate(grid):
        trainer = _made(make_trainer, point)
        # A `Static` is taken for a leaf here, to be checked.
        leaves, structure = jax.tree.flatten(trainer, is_leaf=lambda node: isinstance(node, Static))
        nodes = [leaf for leaf in leaves if isinstance(leaf, Static) and leaf.reading.places]
        for node in nodes:
            node.check()
        held.update(nodes)
        interned_leaves = [intern(leaf) for leaf in leaves]
        if any(new is not leaf for new, leaf in zip(interned_leaves, leaves, strict=True)):
            trainer = jax.tree.unflatten(structure, interned_leaves)
        for given in list(seen):
            if seen[given][0] is not seen[given][1]:
                del seen[given]  # a copy that nothing holds any more: its id may be used again
        runs.append(Run(index, trainer, int(point["seed"]) if "seed" in point else 0))
    for node in held:  # programs are traced from now on: what a run reads must not be another's
        node.check()
    _warn_of_unread(grid, runs)
    return runs


def _made(make_trainer: Callable[[Point], Trainer], point: Point) -> Trainer:
    try:
        trainer = make_trainer(point)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{error} (from make_trainer at {point})") from error
    except Exception as error:
        error.add_note(f"make_trainer raised this at {point}")
        raise
    if not isinstance(trainer, Trainer):
        raise TypeError(f"make_trainer must return a jaxgd.trainer(...), got {trainer!r} at {point}")
    return trainer


def _warn_of_unread(grid: Sequence[Point], runs: Sequence[Run]) -> None:
    """Warn of names that make_trainer never looked at and that change nothing."""
    read = set().union(*(point.read for point in grid)) | {"seed"}
    for name in set(grid[0]) - read:
        other = next(
            (run for point, run in zip(grid, runs, strict=True) if differ(point, grid[0], name)), None
        )
        if other and jax.tree.structure(other.trainer) == jax.tree.structure(runs[0].trainer):
            warnings.warn(
                f"make_trainer never uses axis {name!r}: the runs along it are all the same", stacklevel=5
            )


def measured_in(runs: Sequence[Run]) -> list[str]:
    """The names of what the runs measure, each once."""
    return list(dict.fromkeys(name for run in runs for name in measured_names(run.trainer)))


def check_names(axes: Mapping[str, Sequence[Any]], trainer: Trainer) -> None:
    """Raise ValueError if an axis is named like a variable of the result, or names one batch size twice."""
    taken = {"epoch", "status", "stopped_at", "kept_epoch", "seconds", *COUNTS, *measured_names(trainer)}
    for name in {*axes, *columns(axes)}:
        if name in taken:
            raise ValueError(f"axis {name!r} has the name of a result variable; call it something else")
    sizes, num = axes.get("batch_size", ()), trainer.problem.num_examples
    if any(isinstance(size, str) for size in sizes) and num in sizes:
        raise ValueError(f"axis 'batch_size' has values twice: 'full' is {num} examples")


def checked_runs(
    make_trainer: Callable, axes: Mapping[str, Sequence[Any]], epochs: Any, start: Any = None
) -> tuple[list[Run], int]:
    """The run of every point of checked axes, and the epochs; names and length checked against each other."""
    grid = points(axes)
    runs = make_runs(make_trainer, grid)
    check_names(axes, runs[0].trainer)
    epochs = max(check_epochs(epochs, run.trainer.problem.num_examples) for run in runs)
    return runs if start is None else _with_starts(runs, grid, start, epochs), epochs


def _with_starts(runs: Sequence[Run], grid: Sequence[Point], start: Any, epochs: int) -> list[Run]:
    """The runs with what each goes on from: one state for all, or what a function gives for each point."""
    found: dict[Any, Any] = {}  # by structure and state; holding the states keeps their ids taken
    made = []
    for run, point in zip(runs, grid, strict=True):
        state = start(point) if callable(start) else start
        key = jax.tree.structure(run.trainer), id(state)
        if key not in found:
            found[key] = state, _checked_start(run, state, point, epochs)
        made.append(run._replace(start=found[key][1]))
    return made


def _checked_start(run: Run, state: Any, point: Point, epochs: int) -> Moving:
    if not isinstance(state, TrainState):
        raise TypeError(
            "start must be a state, such as fit(...).state, or a function that gives one for each point, got "
            f"{type(state).__name__} at {point}"
        )
    key = jax.random.key(run.seed)
    try:
        with own_programs():
            check_start(state, run.trainer, key, fresh_run(run.trainer, key, epochs))
    except ValueError as error:
        raise ValueError(f"{error} (from start at {point})") from None
    return jax.device_get(moving_part(state)._replace(rules=()))
