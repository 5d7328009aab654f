"""Static data in pytrees, compared by what it does rather than by identity."""

import functools
import inspect
from typing import Any

import jax
from jax.core import Tracer

from jaxgd.fingerprints.readings import Reading, forget_old_traces
from jaxgd.fingerprints.walk import Described, is_importable


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
        return Static, (self.value,)

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


def check_unchanged(tree: Any) -> None:
    """Raise ValueError if a function in a tree reads state that has changed since the tree was made."""
    for static in statics(tree):
        static.check()
