"""From axes to lanes: the points of a grid, their trainers, and groups that share a program."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.optim.hyperparameters import unknown
from jaxgd.training.history import COUNTS, measured_names
from jaxgd.training.trainers import Trainer


class Point(Mapping):
    """One point of a grid: its values as `hp.name` or `hp["name"]`."""

    def __init__(self, values: Mapping[str, Any]):
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise KeyError(unknown("axis", name, self._values))
        return self._values[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(unknown("axis", name, self.__dict__.get("_values", {})))
        return self._values[name]

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)

    def __repr__(self):
        return f"({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"


class Run(NamedTuple):
    """One lane: its place in the grid, its trainer, and its seed."""

    index: int
    trainer: Trainer
    seed: int


class Group(NamedTuple):
    """Runs whose trainers have one tree structure, so that one program serves them all.

    structure: of a trainer. shared: leaves that are the same array in every run, by position among the
    leaves. lanes: the other leaves of each run.
    """

    structure: Any
    runs: list[Run]
    shared: dict[int, Any]
    lanes: list[list[Any]]

    @property
    def updates_per_epoch(self) -> float:
        """Updates that its runs make in an epoch, all together."""
        run = self.runs[0].trainer
        return len(self.runs) * run.problem.num_examples / float(np.min(run.examples_per_batch))

    def trainer(self, lane: Sequence[Any], shared: Sequence[Any]) -> Trainer:
        """The trainer with these lane leaves and these shared leaves."""
        leaves: list[Any] = list(lane)
        for position, leaf in zip(self.shared, shared, strict=True):
            leaves.insert(position, leaf)
        return jax.tree.unflatten(self.structure, leaves)


def checked_axes(axes: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """The axes as lists.

    Raises:
        ValueError: no axis, an empty one, a value given twice, a seed outside 0 to 2**32 - 1.
    """
    if not axes:
        raise ValueError('axes must have at least one entry, such as {"learning_rate": [0.01, 0.1]}')
    lists = {}
    for name, values in axes.items():
        if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
            raise TypeError(f"axis {name!r} must be a list of values, got {values!r}")
        values = list(np.asarray(values) if hasattr(values, "__array__") else values)
        if not values:
            raise ValueError(f"axis {name!r} is empty: give it at least one value")
        labels = [label(value) for value in values]
        twice = {str(value) for value in labels if labels.count(value) > 1}
        if twice:
            raise ValueError(f"axis {name!r} has values twice: {', '.join(sorted(twice))}")
        lists[name] = values
    for seed in lists.get("seed", ()):
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
            raise ValueError(f"axis 'seed' must hold whole numbers from 0 to 2**32 - 1, got {seed!r}")
    return lists


def label(value: Any) -> Any:
    """A value as a coordinate: numbers and strings as they are, anything else by its name."""
    if isinstance(value, bool | int | float | str | np.generic):
        return value.item() if isinstance(value, np.generic) else value
    return getattr(value, "__name__", None) or repr(value)


def points(axes: Mapping[str, Sequence[Any]]) -> list[Point]:
    """The grid's points, the last axis varying fastest."""
    return [Point(dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values())]


def make_runs(make_trainer: Callable[[Point], Trainer], grid: Sequence[Point]) -> list[Run]:
    """The run of every point. Arrays of equal content become one array, so data made anew is held once."""
    interned: dict[Any, Any] = {}
    seen: dict[int, Any] = {}

    def intern(leaf):
        if np.ndim(leaf) == 0 or not isinstance(leaf, np.ndarray | jax.Array):
            return leaf
        if id(leaf) not in seen:
            content = np.asarray(leaf)
            key = (content.shape, str(content.dtype), hash(content.tobytes()))
            seen[id(leaf)] = (leaf, interned.setdefault(key, leaf))  # holding it keeps its id taken
        return seen[id(leaf)][1]

    runs = []
    for index, point in enumerate(grid):
        trainer = make_trainer(point)
        if not isinstance(trainer, Trainer):
            raise TypeError(f"make_trainer must return a jaxgd.trainer(...), got {trainer!r} at {point}")
        trainer = jax.tree.map(intern, trainer)
        for given in list(seen):
            if seen[given][0] is not seen[given][1]:
                del seen[given]  # a copy that nothing holds any more: its id may be used again
        runs.append(Run(index, trainer, int(point["seed"]) if "seed" in point else 0))
    return runs


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """The groups, in the order of their first runs."""
    by_program: dict[Any, list[Run]] = {}
    for run in runs:
        leaves, structure = jax.tree.flatten(run.trainer)
        by_program.setdefault((structure, tuple(_kind(leaf) for leaf in leaves)), []).append(run)
    return [_group(structure, members) for (structure, _), members in by_program.items()]


def _kind(leaf: Any) -> Any:
    return np.shape(leaf), str(jax.numpy.result_type(leaf))


def _group(structure: Any, runs: list[Run]) -> Group:
    rows = [jax.tree.leaves(run.trainer) for run in runs]
    shared = {
        position: leaf
        for position, leaf in enumerate(rows[0])
        if np.ndim(leaf) > 0 and all(row[position] is leaf for row in rows)
    }
    lanes = [[leaf for position, leaf in enumerate(row) if position not in shared] for row in rows]
    return Group(structure, runs, shared, lanes)


def check_names(axes: Mapping[str, Any], trainer: Trainer) -> None:
    """Raise ValueError if an axis is named like a variable of the result, or names one batch size twice."""
    taken = {"epoch", "status", "stopped_at", *COUNTS, *measured_names(trainer)}
    for name in axes:
        if name in taken:
            raise ValueError(f"axis {name!r} has the name of a result variable; call it something else")
    sizes, num = axes.get("batch_size", ()), trainer.problem.num_examples
    if any(isinstance(size, str) for size in sizes) and num in sizes:
        raise ValueError(f"axis 'batch_size' has values twice: 'full' is {num} examples")
