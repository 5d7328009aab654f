"""Gradient transformations that are pytrees of their hyperparameters and drop into Optax."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.core import Tracer

from jaxgd.optim.hyperparameters import Hyperparameters, Parametric
from jaxgd.optim.static import Static

apply_updates = optax.apply_updates


class Kind(NamedTuple):
    """What is static about a transform: its name and the two functions of its hyperparameters.

    init_fn: `(hyperparameters, params) -> state`.
    update_fn: `(hyperparameters, updates, state, params, **extra) -> (updates, state)`.
    optional: the hyperparameters that may be None; None means that all may be.
    """

    name: str
    init_fn: Callable
    update_fn: Callable
    optional: frozenset[str] | None = None

    def __str__(self):
        return self.name


@jax.tree_util.register_pytree_with_keys_class
class Transform(Parametric, optax.GradientTransformationExtraArgs):
    """A gradient transformation `(init, update)` that is a pytree of its hyperparameters.

    It is an `optax.GradientTransformationExtraArgs`, so it works wherever Optax's transforms do, and its
    leaves are its numbers, so it can be an argument of a jitted function (a new learning rate compiles
    nothing), be stacked and vmapped, and be differentiated by.

    Example:
        >>> import jaxgd
        >>> jaxgd.adam(1e-2)
        adam(learning_rate=0.01, b1=0.9, b2=0.999, eps=1e-08)
        >>> jaxgd.adam(1e-2).replace(learning_rate=0.1).learning_rate
        np.float64(0.1)
    """

    _kind: Kind

    @classmethod
    def _rebuild(cls, kind, values):
        init = functools.partial(kind.init_fn, values)
        update = functools.partial(kind.update_fn, values)
        self = tuple.__new__(cls, (init, update))
        self._kind, self._values = kind, values
        return self

    def as_optax(self) -> optax.GradientTransformationExtraArgs:
        """A plain Optax transform with the same numbers, for code that treats every leaf as a parameter."""
        return optax.GradientTransformationExtraArgs(self.init, self.update)

    # A NamedTuple copies itself through these two; the copy has other functions, so it is a plain transform.
    @classmethod
    def _make(cls, iterable):
        return optax.GradientTransformationExtraArgs(*iterable)

    def _replace(self, **changes):
        return self.as_optax()._replace(**changes)


class Chain(Transform):
    """Transforms applied one after the other. An attribute is that of the only part that has it."""

    @property
    def transforms(self) -> tuple:
        """The parts, in the order in which they are applied."""
        return tuple(part.value if isinstance(part, Static) else part for part in self._values.values())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._values[self._owner(name)], name)

    def replace(self, **changes: Any) -> "Chain":
        """A copy with hyperparameters of its parts changed; each name must belong to exactly one part."""
        values = Hyperparameters(self._values)
        for name, value in changes.items():
            position = self._owner(name)
            values[position] = values[position].replace(**{name: value})
        return self._rebuild(self._kind, values)

    def _owner(self, name: str) -> str:
        parts = [(position, part) for position, part in self._values.items() if isinstance(part, Transform)]
        owners = [position for position, part in parts if hasattr(part, name)]
        if len(owners) != 1:
            found = "no part" if not owners else f"{len(owners)} parts"
            raise AttributeError(f"{found} of {self!r} has a hyperparameter {name!r}")
        return owners[0]

    def __repr__(self):
        return f"chain({', '.join(_part_text(part) for part in self._values.values())})"


jax.tree_util.register_pytree_with_keys_class(Chain)


def _part_text(part: Any) -> str:
    if not isinstance(part, Static):
        return repr(part)
    name = getattr(part.value.update, "__qualname__", "optax transform")
    return name.split(".<locals>")[0]


def chain(*transforms: optax.GradientTransformation) -> Chain:
    """The transform that applies each of `transforms` in turn, as `optax.chain` does, and is still a pytree.

    Its state is the tuple of their states. Foreign Optax transforms may be among them; they are structure.
    """
    for position, transform in enumerate(transforms):
        if not (isinstance(transform, tuple) and hasattr(transform, "update") and hasattr(transform, "init")):
            raise TypeError(
                f"argument {position} of chain must be a gradient transformation, got {transform!r}"
            )
    parts = {str(i): t if isinstance(t, Transform) else Static(t) for i, t in enumerate(transforms)}
    return Chain._rebuild(_CHAIN, Hyperparameters(parts))


def _parts(values) -> list[optax.GradientTransformationExtraArgs]:
    parts = (part.value if isinstance(part, Static) else part for part in values.values())
    return [optax.with_extra_args_support(part) for part in parts]


def _init_chain(values, params):
    return tuple(part.init(params) for part in _parts(values))


def _update_chain(values, updates, state, params=None, **extra):
    new_state = []
    for part, part_state in zip(_parts(values), state, strict=True):
        updates, part_state = part.update(updates, part_state, params, **extra)
        new_state.append(part_state)
    return updates, tuple(new_state)


_CHAIN = Kind("chain", _init_chain, _update_chain)


def stack(items: Sequence[Any]) -> tuple[Any, Any]:
    """`(stacked, in_axes)`: pytrees of one structure as one pytree of lanes, ready for `jax.vmap`.

    Every number gets a leading axis of length `len(items)`. Arrays that hold the same values in all items,
    such as the data of one problem, are shared: their entry in `in_axes` is None.

    Args:
        items: optimizers or trainers with equal tree structures and leaf shapes.

    Raises:
        ValueError: no items, or items whose structures differ.
    """
    if not items:
        raise ValueError("stack needs at least one item, got none")
    structures = [jax.tree.structure(item) for item in items]
    for position, structure in enumerate(structures):
        if structure != structures[0]:
            raise ValueError(
                f"stack needs items of one tree structure; item {position} differs from item 0: "
                f"{items[position]!r} and {items[0]!r}"
            )
    columns = list(zip(*(jax.tree.leaves(item) for item in items), strict=True))
    shared = [_is_shared(column) for column in columns]
    leaves = [
        column[0] if same else stack_leaves(column) for column, same in zip(columns, shared, strict=True)
    ]
    unflatten = functools.partial(jax.tree.unflatten, structures[0])
    return unflatten(leaves), unflatten([None if same else 0 for same in shared])


def _is_shared(column: Sequence[Any]) -> bool:
    if np.ndim(column[0]) == 0 or any(isinstance(leaf, Tracer) for leaf in column):
        return False
    distinct = {id(leaf): leaf for leaf in column}.values()
    return all(leaf is column[0] or np.array_equal(leaf, column[0]) for leaf in distinct)


def stack_leaves(column: Sequence[Any]) -> Any:
    """The leaves of one place along a new leading axis: in NumPy where they are NumPy's, so in float64."""
    if all(isinstance(leaf, np.ndarray | np.generic) for leaf in column):
        return np.stack(column)
    return jax.numpy.stack(column)
