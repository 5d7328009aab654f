"""Trainers as they are made: checked, flattened once, and kept as rows of cohorts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.pytrees import Static, kind_of
from jaxgd.sweeps.cohorts import Cohort, Row
from jaxgd.training.trainers import Trainer


class MadeAt(NamedTuple):
    """Where a trainer is kept: in which cohort, by its number, and in which row of that."""

    cohort: int
    row: int


class Interned:
    """Arrays of equal content, for each the one that came first."""

    def __init__(self):
        self._by_content: dict[Any, Any] = {}
        self._seen: dict[int, Any] = {}  # holding them keeps their ids taken
        self._copies: list[int] = []

    def __call__(self, leaf: Any) -> Any:
        """The first array of this content; what is no array, or has no dimensions, as it is."""
        if not isinstance(leaf, np.ndarray | jax.Array) or np.ndim(leaf) == 0:
            return leaf
        if id(leaf) not in self._seen:
            content = np.asarray(leaf)
            key = (content.shape, str(content.dtype), hash(content.tobytes()))
            first = self._by_content.setdefault(key, leaf)
            self._seen[id(leaf)] = (leaf, first)
            self._copies += [id(leaf)] if first is not leaf else []
        return self._seen[id(leaf)][1]

    def forget_copies(self) -> None:
        """Let go of copies that nothing holds any more: their ids may be used again."""
        for copy in self._copies:
            del self._seen[copy]
        self._copies.clear()


class TakenApart(NamedTuple):
    """A trainer taken apart.

    key: equal for trainers of one structure whose leaves are of the same kinds. leaves: interned.
    """

    key: Any
    leaves: list[Any]


class Making:
    """The cohorts of trainers that are made one after the other."""

    def __init__(self):
        self._intern = Interned()
        self._numbers: dict[Any, int] = {}
        self._structures: list[Any] = []
        self._rows: list[list[list[Any]]] = []
        self._held: set[Static] = set()

    def parts(self, trainer: Trainer) -> TakenApart:
        """The trainer, checked and taken apart.

        Raises:
            ValueError: state that one of its functions reads was changed after it was made.
        """
        # A `Static` is taken for a leaf here, to be checked.
        nodes, outer = jax.tree.flatten(trainer, is_leaf=lambda node: isinstance(node, Static))
        for node in nodes:
            if isinstance(node, Static) and node.reading.places:
                node.check()
                self._held.add(node)
        leaves = [node if isinstance(node, Static) else self._intern(node) for node in nodes]
        self._intern.forget_copies()
        key = outer, tuple(leaf if isinstance(leaf, Static) else kind_of(leaf) for leaf in leaves)
        return TakenApart(key, [leaf for leaf in leaves if not isinstance(leaf, Static)])

    def add(self, trainer: Trainer) -> MadeAt:
        """Where the trainer, checked, is kept from now on."""
        key, leaves = self.parts(trainer)
        number = self._numbers.setdefault(key, len(self._rows))
        if number == len(self._rows):
            self._structures.append(jax.tree.structure(trainer))
            self._rows.append([])
        self._rows[number].append(leaves)
        return MadeAt(number, len(self._rows[number]) - 1)

    def rows(self, places: Sequence[MadeAt]) -> list[Row]:
        """The trainers at these places as rows, when all are made.

        Raises:
            ValueError: as above: programs are traced from now on, and what a run reads must not be another's.
        """
        for node in self._held:
            node.check()
        made = [Cohort.of(*each) for each in zip(self._structures, self._rows, strict=True)]
        return [Row(made[place.cohort], place.row) for place in places]
