"""Cohorts: pytrees of one structure, such as trainers, as columns with an entry for each of them."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.pytrees import kind_of

_PYTHON = (bool, int, float, complex)


class LeafColumn:
    """One leaf of many trees.

    values: of numbers an array, one for each tree; of anything else the distinct objects, as a list.
    places: int[trees], where among the objects that of each tree is; None for numbers.
    example: one of the leaves, which says what kind they are.
    """

    __slots__ = ("example", "places", "values")

    def __init__(self, values: Any, places: np.ndarray | None, example: Any):
        self.values, self.places, self.example = values, places, example

    @classmethod
    def of(cls, leaves: Sequence[Any]) -> Self:
        """The column of leaves of one kind."""
        if is_number(leaves[0]):
            try:
                kind = np.int64 if type(leaves[0]) is int else np.asarray(leaves[0]).dtype
                return cls(np.array(leaves, kind), None, leaves[0])
            except OverflowError:  # an int of more than 64 bits
                pass
        values, places = _distinct(leaves)
        return cls(values, places, leaves[0])

    @classmethod
    def constant(cls, leaf: Any, length: int) -> Self:
        """The column of trees that all have this leaf."""
        one = cls.of([leaf])
        return one.take(np.zeros(length, int))

    @classmethod
    def joined(cls, columns: Sequence[Self]) -> Self:
        """Columns of one kind, one after the other."""
        if all(column.places is None for column in columns):
            return cls(np.concatenate([column.values for column in columns]), None, columns[0].example)
        if any(column.places is None for column in columns):  # ints of which some have more than 64 bits
            return cls.of([column[row] for column in columns for row in range(len(column))])
        values, distinct = _distinct(value for column in columns for value in column.values)
        begins = np.cumsum([0] + [len(column.values) for column in columns])
        places = [distinct[begin + column.places] for begin, column in zip(begins, columns, strict=False)]
        return cls(values, np.concatenate(places), columns[0].example)

    def __len__(self):
        return len(self.values if self.places is None else self.places)

    def __getitem__(self, row: int) -> Any:
        """The leaf of one tree, as it was given."""
        if self.places is not None:
            return self.values[self.places[row]]
        value = self.values[row]
        if type(self.example) in _PYTHON:
            return value.item()
        return np.array(value) if isinstance(self.example, np.ndarray) else value

    def take(self, rows: np.ndarray) -> Self:
        """The column of these trees."""
        if self.places is None:
            return type(self)(self.values[rows], None, self.example)
        present, places = np.unique(self.places[rows], return_inverse=True)
        values = [self.values[place] for place in present]
        return type(self)(values, places, values[0] if values else self.example)

    def stacked(self, rows: Sequence[int]) -> np.ndarray:
        """The leaves of these trees along a new leading axis, in the dtype that JAX gives them."""
        dtype = jnp.result_type(self.example)
        if self.places is None:
            return self.values[rows].astype(dtype)
        return np.stack([np.asarray(self.values[place]) for place in self.places[rows]], dtype=dtype)

    @property
    def is_shared(self) -> bool:
        """Whether all trees have the very same array."""
        return self.places is not None and len(self.values) == 1 and np.ndim(self.values[0]) > 0

    @property
    def codes(self) -> np.ndarray:
        """uint8[trees, ...], equal for leaves of equal bits, or that are the same object."""
        entries = np.ascontiguousarray(self.values if self.places is None else self.places)
        return entries.view(np.uint8).reshape(len(self), -1)


def is_number(leaf: Any) -> bool:
    """Whether it is one number of Python's or NumPy's."""
    if type(leaf) in _PYTHON:
        return True
    is_single = isinstance(leaf, np.generic) or (type(leaf) is np.ndarray and leaf.ndim == 0)
    return is_single and (leaf.dtype.kind in "biufc" or jnp.issubdtype(leaf.dtype, jnp.number))


def _distinct(leaves: Iterable[Any]) -> tuple[list[Any], np.ndarray]:
    """The distinct objects, and where among them each is."""
    found: dict[int, tuple[int, Any]] = {}
    places = [found.setdefault(id(leaf), (len(found), leaf))[0] for leaf in leaves]
    return [leaf for _, leaf in found.values()], np.array(places, int)


class Cohort:
    """Pytrees of one structure whose leaves are of the same kinds.

    structure: of a tree. columns: one for each leaf.
    """

    def __init__(self, structure: Any, columns: Sequence[LeafColumn], length: int):
        self.structure, self.columns, self.length = structure, list(columns), length

    @classmethod
    def of(cls, structure: Any, rows: Sequence[Sequence[Any]]) -> Self:
        """The cohort of trees whose leaves are given, a row for each tree."""
        return cls(structure, [LeafColumn.of(leaves) for leaves in zip(*rows, strict=True)], len(rows))

    @classmethod
    def joined(cls, cohorts: Sequence[Self]) -> Self:
        """Cohorts of one key, one after the other."""
        columns = [LeafColumn.joined(each) for each in zip(*(one.columns for one in cohorts), strict=True)]
        return cls(cohorts[0].structure, columns, sum(one.length for one in cohorts))

    def tree(self, row: int) -> Any:
        """One of the trees."""
        return jax.tree.unflatten(self.structure, [column[row] for column in self.columns])

    @functools.cached_property
    def first(self) -> Any:
        """The first of the trees."""
        return self.tree(0)

    @functools.cached_property
    def key(self) -> Any:
        """Hashable; equal for cohorts that can be joined."""
        return self.structure, tuple(kind_of(column.example) for column in self.columns)

    @property
    def whole(self) -> Any:
        """A tree with the columns as its leaves."""
        return jax.tree.unflatten(self.structure, self.columns)

    def take(self, rows: Sequence[int]) -> "Cohort":
        """The cohort of these trees."""
        if len(rows) == self.length and np.array_equal(rows, np.arange(self.length)):
            return self
        places = np.asarray(rows, int)
        return Cohort(self.structure, [column.take(places) for column in self.columns], len(rows))

    def distinct(self, part: Callable[[Any], Any]) -> tuple[np.ndarray, np.ndarray]:
        """The first rows of those that are equal in a part of the tree, and where among them each row is."""
        columns = jax.tree.leaves(part(self.whole))
        codes = [column.codes for column in columns]
        codes = [code for code in codes if np.any(code != code[0])]
        if not codes:
            return np.zeros(1, int), np.zeros(self.length, int)
        together = np.ascontiguousarray(np.concatenate(codes, axis=1))
        texts = together.view(f"V{together.shape[1]}").ravel()
        _, rows, places = np.unique(texts, return_index=True, return_inverse=True)
        order = np.argsort(rows)
        return rows[order], np.argsort(order)[places.ravel()]


class Row(NamedTuple):
    """One tree of a cohort."""

    cohort: Cohort
    place: int

    @property
    def tree(self) -> Any:
        """The tree."""
        return self.cohort.first if self.place == 0 else self.cohort.tree(self.place)


def cohorts_of(rows: Iterable[Row]) -> list[Cohort]:
    """The cohorts of rows, each once."""
    return list({id(cohort): cohort for cohort, _ in rows}.values())
