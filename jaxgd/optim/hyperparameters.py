"""Numbers as pytree leaves: what an optimizer or a schedule holds, checked when it is built."""

import functools
from collections.abc import Callable
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.arguments import unknown
from jaxgd.optim.trees.equality import identity
from jaxgd.optim.trees.paths import Parted
from jaxgd.pytrees import Static, as_static

# A decay rate is stored as one minus itself, taken in float64: in float32, 1 - 0.99999 is off by 1e-3.
COMPLEMENTED = frozenset({"b1", "b2", "decay", "rho"})

# Numbers of updates, compared with counts exactly.
UPDATES = frozenset({"transition_steps", "transition_begin", "decay_steps", "warmup_steps", "boundaries"})

_FRACTION = (lambda x: (x >= 0) & (x < 1), "at least 0 and below 1")
_POSITIVE = (lambda x: x > 0, "above 0")
_ANY = (lambda x: x == x, "")
_VALUES = ("value", "init_value", "peak_value", "end_value", "alpha", "exponent", "power")
_RANGES: dict[str, tuple[Callable, str]] = {
    **dict.fromkeys(("b1", "b2", "decay", "rho", "momentum"), _FRACTION),
    **dict.fromkeys((*_VALUES, *UPDATES), _ANY),
    **dict.fromkeys(("decay_steps", "div_factor", "final_div_factor"), _POSITIVE),
}
_SWITCHES = frozenset(
    {
        "nesterov",
        "eps_in_sqrt",
        "centered",
        "bias_correction",
        "bias_correction_mu",
        "bias_correction_nu",
        "staircase",
    }
)
_ZERO_BY_DEFAULT = frozenset({"eps_root", "initial_scale", "transition_begin"})
_SCHEDULED = frozenset({"learning_rate", "weight_decay", "schedules"})
_SEQUENCES = frozenset({"boundaries", "scales", "schedules"})
_NOT_NEGATIVE = (lambda x: x >= 0, "0 or more")


def check_number(argument: str, value: Any, allowed: Callable, description: str) -> None:
    """Raise ValueError unless every element of a concrete `value` is finite and `allowed`."""
    if isinstance(value, Tracer):
        return
    array = np.asarray(value)
    good = np.isfinite(array) & allowed(array)
    if not good.all():
        shown = array if array.ndim == 0 else array[~good][0]
        expected = f"finite and {description}" if description else "finite"
        is_ascent = argument == "learning_rate" and shown < 0 and np.isfinite(shown)
        hint = "; for ascent use chain(adam(r), scale(-1.0)), r above 0" if is_ascent else ""
        raise ValueError(f"{argument} must be {expected}, got {shown}{hint}")


def as_number(argument: str, value: Any) -> Any:
    """`value` as a pytree leaf: a concrete scalar becomes np.float64: all spellings share a program."""
    if isinstance(value, Tracer):
        return value
    kind = getattr(value, "dtype", None) or (np.dtype(type(value)) if type(value) in (int, float) else None)
    if kind is None or not (jnp.issubdtype(kind, jnp.integer) or jnp.issubdtype(kind, jnp.floating)):
        raise TypeError(f"{argument} must be a number, an array or a schedule, got {value!r}")
    if np.ndim(value) == 0:
        return np.float64(value)
    return value if jnp.issubdtype(kind, jnp.floating) else np.asarray(value, np.float64)


def store(name: str, value: Any, optional: frozenset[str] | None = None) -> Any:
    """The pytree child that holds hyperparameter `name`: a leaf, a schedule, a Static or None.

    Args:
        name: says how the value is stored and what is allowed.
        value: as a person gave it.
        optional: the names that may be None. None means that anything may be None, True or a schedule.
    """
    if value is None and (optional is None or name in optional):
        return None
    if name.endswith("_dtype"):
        return Static(_dtype(name, value))
    if name.endswith("mask"):
        return Static(value)
    if name in _SEQUENCES and type(value) is tuple:
        return tuple(store(name, item, optional) for item in value)
    if name in _SWITCHES or (isinstance(value, bool) and optional is None):
        return Static(_switch(name, value))
    if callable(value) and (optional is None or name in _SCHEDULED):
        return value if isinstance(value, Parametric) else as_static(value)
    leaf = as_number(name, value)
    check_number(name, leaf, *_RANGES.get(name, _NOT_NEGATIVE))
    if name in UPDATES and _needs_int32(leaf):
        return np.int32(leaf)
    return 1 - leaf if name in COMPLEMENTED else leaf


def _needs_int32(leaf: Any) -> bool:
    """Whether it is a whole number that float32 rounds, which it would be as an argument of a program."""
    if not isinstance(leaf, np.float64) or not leaf.is_integer():
        return False
    return bool(abs(leaf) < 2**31 and np.float32(leaf) != leaf)


def check_known(name: str, value: Any, is_optimizer: bool) -> None:
    """Check a number of another library's transform where its name says what is allowed of an optimizer's."""
    if name in _RANGES or name in _SCHEDULED:
        check_number(name, value, *(_RANGES.get(name, _NOT_NEGATIVE) if is_optimizer else _ANY))


def _dtype(name: str, value: Any) -> Any:
    try:
        return jax.dtypes.canonicalize_dtype(value.value if isinstance(value, Static) else value)
    except TypeError:
        raise TypeError(f"{name} must be a dtype, got {value!r}") from None


def _switch(name: str, value: Any) -> bool:
    value = value.value if isinstance(value, Static) else value
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def show(name: str, stored: Any) -> Any:
    """The value of hyperparameter `name` as a person gave it."""
    if isinstance(stored, Static):
        return stored.value
    if name not in COMPLEMENTED or not _is_real(stored):
        return stored
    rate = 1 - stored
    if not isinstance(rate, np.ndarray | np.floating):
        return rate
    # 1 - (1 - 0.1) is 0.09999999999999998: fifteen decimals give back the number that was typed, if it had
    # no more of them. What is shown has to give back what is stored.
    rounded = rate.round(15)
    return np.where(1 - rounded == stored, rounded, rate)[()]


def _is_real(stored: Any) -> bool:
    """Whether it is a number: any object may stand in a leaf's place while it passes through a tree map."""
    is_array = isinstance(stored, np.ndarray | np.generic | jax.Array)
    return isinstance(stored, float) or (is_array and jnp.issubdtype(stored.dtype, jnp.floating))


class Hyperparameters(dict):
    """Stored hyperparameters by name, read as attributes in the form in which they were given.

    `h.b2` is 0.999 where `h.one_minus_b2` is the leaf that is stored.
    """

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return show(name, self[name])
        if name.removeprefix("one_minus_") in COMPLEMENTED & self.keys():
            return self[name.removeprefix("one_minus_")]
        raise AttributeError(unknown("hyperparameter", name, self))


class Parametric(Parted):
    """Base of pytrees that are a named kind (static) and its hyperparameters (children).

    Attributes are hyperparameters as given (`adam(1e-3).b2` is 0.999). A decay rate is stored as its
    complement, under `one_minus_b2`: that leaf is what `jax.grad` differentiates by, so the derivative by b2
    is minus it.

    Two of them are equal if their kind, structure and concrete numbers are; see `identity`.
    """

    _kind: Any
    _values: Hyperparameters

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._values, name)

    @property
    def _names(self):
        return self._values

    def _part(self, name: str) -> Any:
        return getattr(self._values, name)

    def _with_part(self, name: str, value: Any) -> Any:
        if name not in self._values:
            raise TypeError(unknown("hyperparameter", name, self._values))
        stored = {name: store(name, value, self._kind.optional)}
        return self._rebuild(self._kind, Hyperparameters(self._values | stored))

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise AttributeError(f"{self._kind} cannot be changed in place; use replace({name}=...)")
        super().__setattr__(name, value)

    @functools.cached_property
    def _identity(self) -> tuple:
        return identity(self)

    def __eq__(self, other):
        if isinstance(other, Parametric):
            return self is other or self._identity == other._identity
        return False if isinstance(other, tuple) else NotImplemented

    def __ne__(self, other):  # a tuple has one of its own
        return not self == other

    def __hash__(self):
        return hash(self._identity)

    @classmethod
    def build(cls, kind: Any, **hyperparameters: Any) -> Any:
        """The object of this kind, its hyperparameters checked."""
        stored = {name: store(name, value, kind.optional) for name, value in hyperparameters.items()}
        return cls._rebuild(kind, Hyperparameters(stored))

    @classmethod
    def _rebuild(cls, kind: Any, values: Hyperparameters) -> Any:
        self = object.__new__(cls)
        self._kind, self._values = kind, values
        return self

    def __reduce__(self):
        return type(self)._rebuild, (self._kind, Hyperparameters(self._values))

    def tree_flatten_with_keys(self):
        """Children under their names, a complemented one under `one_minus_<name>`."""
        keys = (jax.tree_util.GetAttrKey(self._leaf_name(name)) for name in self._values)
        children = zip(keys, self._values.values(), strict=True)
        return tuple(children), (type(self), self._kind, tuple(self._values))

    def _leaf_name(self, name: str) -> str:
        return f"one_minus_{name}" if name in COMPLEMENTED else name

    def tree_flatten(self):
        """Children without their names."""
        return tuple(self._values.values()), (type(self), self._kind, tuple(self._values))

    @classmethod
    def tree_unflatten(cls, aux, children):
        """The object with these children, unchecked: anything may pass through a tree map."""
        _, kind, names = aux
        return cls._rebuild(kind, Hyperparameters(zip(names, children, strict=True)))

    def __repr__(self):
        shown = (_shown(name, value) for name, value in self._values.items())
        numbers = (f"{name}={text(value)}" for name, value in shown if not _is_off(name, value))
        return f"{self._kind}({', '.join(numbers)})"


def _shown(name: str, stored: Any) -> tuple[str, Any]:
    """Name and value for `repr`: a complement that is none of a decay rate (a gradient, say) as stored."""
    value = show(name, stored)
    if name not in COMPLEMENTED or not _is_real(value) or isinstance(value, Tracer):
        return name, value
    return (name, value) if np.all((value >= 0) & (value < 1)) else (f"one_minus_{name}", stored)


def _is_off(name: str, value: Any) -> bool:
    """Whether `repr` leaves it out: a feature that is switched off, as it is by default."""
    is_zero = isinstance(value, float) and value == 0
    return value is None or value is False or (is_zero and name in _ZERO_BY_DEFAULT)


def text(value: Any) -> str:
    """A hyperparameter in the form in which it can be typed again, arrays shortened."""
    if type(value) is tuple:
        return f"[{', '.join(map(text, value))}]"
    if isinstance(value, Tracer) or not isinstance(value, np.ndarray | np.generic | jax.Array):
        return getattr(value, "__name__", None) or repr(value)
    if np.ndim(value) == 0 and jnp.issubdtype(value.dtype, jnp.integer):
        return str(int(value))
    if np.ndim(value) == 0:
        digits = 12 if value.dtype == np.float64 else 7
        return f"{float(value):.{digits}g}" if jnp.issubdtype(value.dtype, jnp.number) else str(value)
    return np.array2string(np.asarray(value), separator=", ", threshold=8)


def number(name: str, value: Any, allowed: str, is_allowed: Any) -> Any:
    """A rule's number as a leaf: checked and a float64 if concrete, a tracer as it is.

    Raises:
        ValueError, TypeError: a value that `is_allowed` refuses, or that is no number.
    """
    return value if isinstance(value, Tracer) else checked_number(name, value, allowed, is_allowed)


def checked_number(name: str, value: Any, allowed: str, is_allowed: Any) -> np.ndarray:
    """The value as float64, in which every count up to `NEVER` is exact."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        if not isinstance(value, Integral):
            raise TypeError(f"{name} must be {allowed}, got {value!r}") from None
        array = np.asarray(np.inf if int(value) > 0 else -np.inf)  # beyond float64
    if isinstance(value, bool) or not np.all(is_allowed(array)):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return array
