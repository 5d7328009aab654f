"""Static data in pytrees, compared by what it does rather than by identity."""

import functools
import sys
import types
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type, np.dtype, np.generic)


@jax.tree_util.register_pytree_node_class
class Static:
    """A pytree node without leaves that carries any Python object as structure.

    Two functions built separately are equal if they have the same code, defaults, closure and referenced
    globals, so that `optax.clip(1.0)` written twice is one tree structure and hence one compiled program.
    The referenced globals are read when the `Static` is made: a constant or a function that is redefined
    afterwards gives a different structure, never a stale program. Arrays are compared by identity.
    """

    __slots__ = ("__weakref__", "_fingerprint", "value")  # jax.jit keeps weak references to functions

    def __init__(self, value: Any):
        self.value = value.value if isinstance(value, Static) else value
        self._fingerprint = _fingerprint(self.value, ())

    def __call__(self, *args, **kwargs):
        """What the wrapped function returns."""
        return self.value(*args, **kwargs)

    def __eq__(self, other):
        return self is other or (isinstance(other, Static) and self._fingerprint == other._fingerprint)

    def __hash__(self):
        return hash(self._fingerprint)

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
        return tuple(_tracers(self._fingerprint))


class _Identity:
    """A hashable stand-in for an object that is equal to nothing but itself."""

    __slots__ = ("object",)

    def __init__(self, obj):
        self.object = obj

    def __eq__(self, other):
        return isinstance(other, _Identity) and self.object is other.object

    def __hash__(self):
        return id(self.object)


def _fingerprint(value: Any, seen: tuple[int, ...]) -> Any:
    """Hashable description of `value`; `seen` holds the functions being described, to end cycles."""
    if isinstance(value, _PLAIN):
        return type(value), repr(value) if isinstance(value, float | complex | np.generic) else value
    describe = functools.partial(_fingerprint, seen=(*seen, id(value)))
    if id(value) in seen:
        return "cycle", seen.index(id(value))
    if isinstance(value, Static):
        return value._fingerprint
    if isinstance(value, tuple | list):
        return type(value), tuple(map(describe, value))
    if isinstance(value, dict):
        return dict, tuple((describe(k), describe(v)) for k, v in value.items())
    if isinstance(value, set | frozenset):
        return type(value), frozenset(map(describe, value))
    if isinstance(value, functools.partial):
        return type(value), describe(value.func), describe(value.args), describe(value.keywords)
    if isinstance(value, types.MethodType):
        return "method", describe(value.__func__), describe(value.__self__)
    if isinstance(value, types.FunctionType) and not _is_importable(value):
        return _describe_function(value, describe)
    return value if _compares_by_value(value) else _Identity(value)


def _describe_function(function: types.FunctionType, describe) -> Any:
    names = sorted(_global_names(function.__code__) & function.__globals__.keys())
    return (
        "function",
        function.__code__,
        describe(function.__defaults__),
        describe(function.__kwdefaults__),
        tuple(describe(_contents(cell)) for cell in function.__closure__ or ()),
        tuple((name, describe(function.__globals__[name])) for name in names),
    )


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is bound later
        return None


def _global_names(code: types.CodeType) -> set[str]:
    inner = (_global_names(const) for const in code.co_consts if isinstance(const, types.CodeType))
    return set(code.co_names).union(*inner)


def _is_importable(function: types.FunctionType) -> bool:
    """Whether it is the function of that name in an imported module; those of `__main__` may be redefined."""
    if function.__module__ == "__main__" or function.__closure__:
        return False
    return getattr(sys.modules.get(function.__module__), function.__name__, None) is function


def _compares_by_value(value: Any) -> bool:
    """Whether the type promises value equality, as a frozen dataclass or a Flax Linen module does."""
    if type(value).__eq__ is object.__eq__ or isinstance(value, np.ndarray | jax.Array):
        return False
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _tracers(fingerprint: Any):
    if isinstance(fingerprint, _Identity) and isinstance(fingerprint.object, Tracer):
        yield fingerprint.object
    elif isinstance(fingerprint, tuple | frozenset):
        for part in fingerprint:
            yield from _tracers(part)
