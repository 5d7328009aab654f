"""Static data in pytrees, compared by what it does rather than by identity."""

import dataclasses
import functools
import inspect
from collections.abc import Sequence
from typing import Any, ClassVar, Self, dataclass_transform

import jax
import numpy as np
from jax.core import Tracer

from jaxgd.fingerprints.readings import Reading, forget_old_traces
from jaxgd.fingerprints.walk import Described, is_importable
from jaxgd.references import referred


@jax.tree_util.register_pytree_node_class
class Static(Described):
    """A pytree node without leaves that carries any Python object as structure.

    Two functions built separately are equal if they have the same code, defaults and closure and read the
    same state, so that `optax.clip(1.0)` written twice is one tree structure and hence one compiled program.
    That state is read when the `Static` is made: globals, entries of dicts and lists, and of objects, classes
    and modules the attributes that the code names. A constant or a function that is redefined afterwards
    gives a different structure, and a call of the older one is an error: never a stale program. Arrays are
    compared by identity, those of NumPy by content too (large ones by a sample). Installed packages are taken
    for constant.
    """

    __slots__ = ("__weakref__", "_hash", "_now", "value")  # jax.jit keeps weak references to functions

    def __init__(self, value: Any):
        self.value = value.value if isinstance(value, Static) else value
        self.reading = value.reading if isinstance(value, Static) else Reading(self.value)
        self._now, self._hash = self.reading, None

    def __call__(self, *args, **kwargs):
        """What the wrapped function returns.

        Raises:
            ValueError: the state that it reads has changed since.
        """
        self.check()
        forget_old_traces(self.reading.jitted)
        result = self.value(*args, **kwargs)
        if not self._now.is_same():
            self._now = Reading(self.value)  # what it changes itself, a count of its calls, is its own affair
        return result

    def check(self) -> None:
        """Raise ValueError if the state that the wrapped function reads has changed since this was made."""
        if self._now.is_same():
            return
        now = Reading(self.value)
        if now.fingerprint != self._now.fingerprint:
            raise ValueError(
                f"{self._now.change}: a trainer keeps to the values with which it was made, so make it anew "
                "after a change, and where trainers are made first and run later (as in sweep) close over a "
                "value for each, or bind it: jax.tree_util.Partial(loss, value)"
            )
        self._now = now

    @property
    def __signature__(self) -> inspect.Signature:
        """That of the wrapped function."""
        return inspect.signature(self.value)

    def __eq__(self, other):
        if self is other:
            return True
        return isinstance(other, Static) and self.reading.fingerprint == other.reading.fingerprint

    def __hash__(self):
        if self._hash is None:
            self._hash = hash(self.reading.fingerprint)
        return self._hash

    def __repr__(self):
        return getattr(self.value, "__name__", None) or repr(self.value)

    def __reduce__(self):
        return Static, (referred(self.value),)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self  # nothing in here may change, and a copied array would no longer be the same array

    def tree_flatten(self):
        """No children: all of it is structure."""
        return (), self

    @classmethod
    def tree_unflatten(cls, static, children):
        """The same object."""
        return static

    @property
    def tracers(self) -> tuple[Tracer, ...]:
        """The JAX tracers that the wrapped functions close over."""
        return self.reading.tracers


@jax.tree_util.register_pytree_node_class
class Bound(functools.partial):
    """A function, a `Static`, with arguments bound to it whose numbers and arrays are leaves."""

    def tree_flatten(self):
        """All of it as children."""
        return (self.func, self.args, self.keywords), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        """The function with these arguments."""
        function, args, keywords = children
        return cls(function, *args, **keywords)


def as_static(function: Any) -> Any:
    """`function` as a pytree: structure, but for the arguments that a `jax.tree_util.Partial` binds."""
    if not isinstance(function, jax.tree_util.Partial):
        return function if isinstance(function, Static | Bound) else Static(function)
    if is_importable(function.func):
        return function
    return Bound(Static(function.func), *function.args, **function.keywords)


def statics(tree: Any) -> list[Static]:
    """Every `Static` in a tree."""
    nodes = jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, Static))
    return [node for node in nodes if isinstance(node, Static)]


def kind_of(leaf: Any) -> Any:
    """What leaves have in common that are data to one program: shape, and dtype or Python's type."""
    return np.shape(leaf), getattr(leaf, "dtype", type(leaf))


def shape_of(tree: Any) -> Any:
    """Structure, shapes and dtypes of a tree, and the width of JAX's floats: what its traces depend on."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(map(kind_of, leaves)), jax.dtypes.canonicalize_dtype(float)


def check_unchanged(tree: Any) -> None:
    """Raise ValueError if a function in a tree reads state that has changed since the tree was made."""
    for static in statics(tree):
        static.check()


@dataclass_transform(frozen_default=True)
class PyTree:
    """Base of frozen dataclasses that are pytrees: numbers and arrays in their fields are leaves.

    What is structure is wrapped in `Static`. Building an object checks it; passing one through a tree map
    does not, since there its leaves may be anything.
    """

    _keys: ClassVar[dict[str, Any]]

    def __init_subclass__(cls):
        dataclasses.dataclass(frozen=True, repr=False, eq=False)(cls)
        names = [field.name for field in dataclasses.fields(cls)]  # pyright: ignore[reportArgumentType]
        cls._keys = {name: jax.tree_util.GetAttrKey(name) for name in names}
        jax.tree_util.register_pytree_with_keys_class(cls)

    def tree_flatten_with_keys(self):
        """The fields as children under their names."""
        return tuple((key, getattr(self, name)) for name, key in self._keys.items()), None

    def tree_flatten(self):
        """The fields as children."""
        return tuple([getattr(self, name) for name in self._keys]), None

    @classmethod
    def tree_unflatten(cls, aux, children):
        """The object with these fields, unchecked."""
        self = object.__new__(cls)
        for name, child in zip(cls._keys, children, strict=True):
            object.__setattr__(self, name, child)
        return self

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked as when it was built."""
        return dataclasses.replace(self, **changes)  # pyright: ignore[reportArgumentType]


def as_function(function: Any) -> Any:
    """`function` as a pytree: one that has leaves of its own stays, any other becomes structure."""
    return function if isinstance(function, PyTree) else as_static(function)


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
