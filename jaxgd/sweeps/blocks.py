"""What runs give: blocks of runs, as arrays with a leading axis over them."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np


class StackedStates(Sequence):
    """`(params, model_state)` of each of so many runs, as trees of arrays with a leading axis over them."""

    def __init__(self, trees: tuple[Any, Any], count: int):
        self.trees, self._count = trees, count

    def __len__(self):
        return self._count

    def __getitem__(self, row):
        row = range(self._count)[row]
        return jax.tree.map(lambda x: x[row], self.trees)


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """Runs of one program that have ended, as arrays with a leading axis over them.

    Attributes:
        places: of each in the grid, int[runs].
        history: arrays [runs, epochs] by name.
        status: codes of how each ended, int[runs].
        stopped_at: int[runs].
        kept_epoch: the epoch (from 1) that each state is of, -1 if it is the last, int[runs]; None where no
            rule chooses one.
        states: `(params, model_state)` of each, made when it is asked for.
    """

    places: np.ndarray
    history: Mapping[str, np.ndarray]
    status: np.ndarray
    stopped_at: np.ndarray
    kept_epoch: np.ndarray | None
    states: Sequence

    def __len__(self):
        return len(self.places)


class Part(NamedTuple):
    """Some rows of a sequence of states, and the places in the grid that these runs have."""

    places: np.ndarray
    rows: np.ndarray
    states: Sequence


class StatesOfRuns(Sequence):
    """The state of every run of a sweep, made when it is asked for; None of one that has not ended.

    Attributes:
        parts: which states there are.
    """

    def __init__(self, parts: Iterable[Part], count: int):
        self.parts = list(parts)
        self._part_of, self._row_of = np.full(count, -1), np.zeros(count, int)
        for number, part in enumerate(self.parts):
            self._part_of[part.places], self._row_of[part.places] = number, part.rows

    def __len__(self):
        return len(self._part_of)

    def __getitem__(self, index):
        place = range(len(self))[index]
        number = self._part_of[place]
        return None if number < 0 else self.parts[number].states[int(self._row_of[place])]


def states_of(blocks: Iterable[Block], count: int) -> StatesOfRuns:
    """The states of so many runs, of which the blocks have some."""
    parts = (Part(block.places, np.arange(len(block)), block.states) for block in blocks)
    return StatesOfRuns(parts, count)


def in_order(blocks: Iterable[Block], places: Sequence[int]) -> Block:
    """The runs at these places, all of which blocks of one program have, as one block in this order."""
    wanted, parts = np.asarray(places), []
    order = np.argsort(wanted)
    for block in blocks:
        found = np.searchsorted(wanted, block.places, sorter=order)
        at = order[np.minimum(found, len(wanted) - 1)]
        rows = np.flatnonzero(wanted[at] == block.places)
        parts += [(block, Part(at[rows], rows, block.states))] if len(rows) else []
    back = np.argsort(np.concatenate([part.places for _, part in parts]))

    def column(of):
        return np.concatenate([of(block)[part.rows] for block, part in parts])[back]

    first = parts[0][0]
    return Block(
        places=wanted,
        history={name: column(lambda block, name=name: block.history[name]) for name in first.history},
        status=column(lambda block: block.status),
        stopped_at=column(lambda block: block.stopped_at),
        kept_epoch=None if first.kept_epoch is None else column(lambda block: block.kept_epoch),
        states=StatesOfRuns((part for _, part in parts), len(wanted)),
    )
