"""From points to lanes: the trainer of every point, and groups of trainers that share a program."""

import types
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.pytrees import Static
from jaxgd.sweeps.axes import Point
from jaxgd.sweeps.coordinates import label
from jaxgd.training.trainers import OneOf, Trainer

# So many programs that differ in what one function holds are warned of.
_MANY = 4


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
    def num_examples(self) -> int:
        """The number of training examples."""
        return self.runs[0].trainer.problem.num_examples

    @property
    def updates_per_epoch(self) -> float:
        """Updates, or micro-batches if there are any, that its runs make in an epoch, all together."""
        return sum(steps_per_epoch(run.trainer) for run in self.runs)

    @property
    def place_of_choice(self) -> int | None:
        """Where among a lane's leaves its index among several batch sizes is; None where it has none."""
        places = self.trainer(range(len(self.lanes[0])), [None] * len(self.shared))
        return places.batch_size.index if isinstance(places.batch_size, OneOf) else None

    def trainer(self, lane: Sequence[Any], shared: Sequence[Any]) -> Trainer:
        """The trainer with these lane leaves and these shared leaves."""
        leaves: list[Any] = list(lane)
        for position, leaf in zip(self.shared, shared, strict=True):
            leaves.insert(position, leaf)
        return jax.tree.unflatten(self.structure, leaves)


def steps_per_epoch(trainer: Trainer) -> float:
    """How many gradients an epoch takes."""
    micro = trainer.microbatch.value
    size = float(np.min(trainer.examples_per_batch)) if micro is None else micro
    return trainer.problem.num_examples / size


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
            (run for point, run in zip(grid, runs, strict=True) if _differs(point, grid[0], name)), None
        )
        if other and jax.tree.structure(other.trainer) == jax.tree.structure(runs[0].trainer):
            warnings.warn(
                f"make_trainer never uses axis {name!r}: the runs along it are all the same", stacklevel=5
            )


def _differs(point: Point, first: Point, name: str) -> bool:
    return label(point._values[name]) != label(first._values[name])


def group_runs(runs: Iterable[Run]) -> list[Group]:
    """The groups, in the order of their first runs."""
    by_program: dict[Any, list[tuple[Run, list[Any]]]] = {}
    for run in runs:
        leaves, structure = jax.tree.flatten(run.trainer)
        by_program.setdefault((structure, tuple(map(_kind, leaves))), []).append((run, leaves))
    return [_group(structure, members) for (structure, _), members in by_program.items()]


def _kind(leaf: Any) -> Any:
    return np.shape(leaf), getattr(leaf, "dtype", type(leaf))


def _group(structure: Any, members: Sequence[tuple[Run, list[Any]]]) -> Group:
    runs, rows = [run for run, _ in members], [leaves for _, leaves in members]
    shared = {
        position: leaf
        for position, leaf in enumerate(rows[0])
        if np.ndim(leaf) > 0 and all(row[position] is leaf for row in rows)
    }
    lanes = [[leaf for position, leaf in enumerate(row) if position not in shared] for row in rows]
    return Group(structure, runs, shared, lanes)


def warn_of_closures(groups: Sequence[Group]) -> None:
    """Warn if many groups differ in nothing but what one function holds: those values could be arguments."""
    if len(groups) < _MANY:
        return
    functions = [_functions(group.runs[0].trainer) for group in groups]
    places = {place for row in functions for place in row}
    for place in places:
        codes = {row[place].__code__ for row in functions if place in row}
        held = {Static(row[place]) for row in functions if place in row}
        if len(held) >= _MANY and len(codes) == 1:
            code = codes.pop()
            warnings.warn(
                f"{len(held)} programs differ only in what the function {code.co_name} "
                f"({code.co_filename}, line {code.co_firstlineno}) holds: make the value a number of the "
                "optimizer, or bind it with jax.tree_util.Partial, and they are one",
                stacklevel=4,
            )


def _functions(trainer: Trainer) -> dict[str, types.FunctionType]:
    """The functions that are structure of a trainer, by their path."""
    nodes = jax.tree_util.tree_flatten_with_path(trainer, is_leaf=lambda node: isinstance(node, Static))[0]
    return {
        jax.tree_util.keystr(path): node.value
        for path, node in nodes
        if isinstance(node, Static) and isinstance(node.value, types.FunctionType)
    }
