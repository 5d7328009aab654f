"""Numbers as pytree leaves: what an optimizer or a schedule holds, checked when it is built."""

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.arguments import shown, unknown
from jaxgd.optim.trees.equality import identity
from jaxgd.optim.trees.paths import Parted
from jaxgd.pytrees import Static, as_static


def check_number(
    argument: str, value: Any, is_allowed: Callable, allowed: str = "", below_0: str = ""
) -> None:
    """Raise ValueError unless every element of a concrete `value` is finite and allowed.

    Args:
        argument: its name.
        value: the number or array.
        is_allowed: of an array, where it is.
        allowed: the same in words.
        below_0: what else to say of a number below 0.
    """
    if isinstance(value, Tracer) or (isinstance(value, float) and math.isfinite(value) and is_allowed(value)):
        return
    array = np.asarray(value)
    good = np.isfinite(array) & is_allowed(array)
    if not good.all():
        shown = array if array.ndim == 0 else array[~good][0]
        expected = f"finite and {allowed}" if allowed else "finite"
        hint = below_0 if shown < 0 and np.isfinite(shown) else ""
        raise ValueError(f"{argument} must be {expected}, got {shown}{hint}")


def as_number(argument: str, value: Any) -> Any:
    """`value` as a pytree leaf: a concrete scalar becomes np.float64: all spellings share a program."""
    if isinstance(value, Tracer):
        return value
    if type(value) is float:
        return np.float64(value)
    kind = getattr(value, "dtype", None) or (np.dtype(int) if type(value) is int else None)
    if kind is None or not (jnp.issubdtype(kind, jnp.integer) or jnp.issubdtype(kind, jnp.floating)):
        hint = "; a number has no quotes" if isinstance(value, str) else ""
        raise TypeError(f"{argument} must be a number, an array or a schedule, got {shown(value)}{hint}")
    if np.ndim(value) == 0:
        return np.float64(value)
    return value if jnp.issubdtype(kind, jnp.floating) else np.asarray(value, np.float64)


@dataclass(frozen=True, kw_only=True)
class Role:
    """What an argument is; by itself a plain one: a number, an array or a function as given, True or False.

    is_complement: stored as one minus itself, taken in float64: in float32, 1 - 0.99999 is off by 1e-3.
    is_count: a number of updates, compared with counts exactly. hides_zero: 0 is not shown.
    """

    is_complement: bool = False
    is_count: bool = False
    hides_zero: bool = False

    def store(self, name: str, value: Any) -> Any:
        """The pytree child that holds `value`, checked: a leaf, a schedule, a Static or a tuple of those."""
        if isinstance(value, bool):
            return Static(value)
        return stored_function(value) if callable(value) else as_number(name, value)


def check_schedule(argument: str, value: Any) -> None:
    """Raise TypeError unless the function can be called with a count of updates alone."""
    if isinstance(value, Parametric):
        return
    try:
        signature = inspect.signature(value)
    except ValueError:  # one of C's without a signature
        return
    try:
        signature.bind(0)
    except TypeError:
        name = getattr(value, "__name__", None) or shown(value)
        names = f"({', '.join(signature.parameters)})"
        raise TypeError(
            f"{argument} must be a number, an array or a schedule of the number of updates, schedule(step); "
            f"{name} takes {names}: call it with those, if it is what makes the schedule"
        ) from None


def stored_function(value: Any) -> Any:
    """The pytree child that holds a function: a schedule as it is, any other as structure."""
    return value if isinstance(value, Parametric) else as_static(value)


PLAIN = Role()


class Complemented(NamedTuple):
    """A decay rate and one minus it, which is what is stored."""

    rate: Any
    complement: Any


class Hyperparameters(dict):
    """Stored hyperparameters by name, read as attributes in the form in which they were given.

    `h.b2` is 0.999 where `h.one_minus_b2` is the leaf that is stored, if `b2` is declared a `Decay`.
    """

    def __init__(self, values: Any = (), roles: Mapping[str, Role] | None = None):
        super().__init__(values)
        self._roles = roles or {}

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return show(self, name)
        stored = name.removeprefix("one_minus_")
        if stored in self and _role(self, stored).is_complement:
            return self[stored]
        raise AttributeError(unknown("hyperparameter", name, self))


def show(h: Hyperparameters, name: str) -> Any:
    """The value of a hyperparameter as a person gave it."""
    stored = h[name]
    if isinstance(stored, Static):
        return stored.value
    return _rate_of(stored) if _role(h, name).is_complement and _is_real(stored) else stored


def arguments_of(h: Hyperparameters) -> dict[str, Any]:
    """What the function that declares them is called with: as given, decay rates with their complements."""
    shown = {name: show(h, name) for name in h}
    return {
        name: Complemented(value, h[name]) if _role(h, name).is_complement else value
        for name, value in shown.items()
    }


def _role(h: Hyperparameters, name: str) -> Role:
    return h._roles.get(name, PLAIN)


def _rate_of(complement: Any) -> Any:
    rate = 1 - complement
    if not isinstance(rate, np.ndarray | np.floating):
        return rate
    # 1 - (1 - 0.1) is 0.09999999999999998: fifteen decimals give back the number that was typed, if it had
    # no more of them. What is shown has to give back what is stored.
    rounded = rate.round(15)
    return np.where(1 - rounded == complement, rounded, rate)[()]


def _is_real(stored: Any) -> bool:
    """Whether it is a number: any object may stand in a leaf's place while it passes through a tree map."""
    is_array = isinstance(stored, np.ndarray | np.generic | jax.Array)
    return isinstance(stored, float) or (is_array and jnp.issubdtype(stored.dtype, jnp.floating))


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
    def _names(self) -> Iterable[str]:
        return self._values

    def _part(self, name: str) -> Any:
        return getattr(self._values, name)

    def _with_part(self, name: str, value: Any) -> Any:
        if name not in self._values:
            raise TypeError(unknown("hyperparameter", name, self._values))
        return self._rebuild(self._kind, self._values | {name: self._kind.store(name, value)})

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
    def build(cls, kind: Any, /, **hyperparameters: Any) -> Any:
        """The object of this kind, its hyperparameters checked, also together."""
        stored = {name: kind.store(name, value) for name, value in hyperparameters.items()}
        return cls._rebuild(kind, stored)._checked()

    def replace(self, **changes: Any) -> Self:
        """A copy with some parts changed, checked as when it was built."""
        return super().replace(**changes)._checked()

    def _checked(self) -> Self:
        if self._kind.check is not None:
            self._kind.check(self._values)
        return self

    @classmethod
    def _rebuild(cls, kind: Any, values: Any) -> Any:
        self = object.__new__(cls)
        self._kind, self._values = kind, Hyperparameters(values, kind.arguments)
        return self

    def __reduce__(self):
        return type(self)._rebuild, (self._kind, dict(self._values))

    def tree_flatten_with_keys(self):
        """Children under their names, a complemented one under `one_minus_<name>`."""
        keys = (jax.tree_util.GetAttrKey(self._leaf_name(name)) for name in self._values)
        children = zip(keys, self._values.values(), strict=True)
        return tuple(children), (type(self), self._kind, tuple(self._values))

    def _leaf_name(self, name: str) -> str:
        return f"one_minus_{name}" if _role(self._values, name).is_complement else name

    def tree_flatten(self):
        """Children without their names."""
        return tuple(self._values.values()), (type(self), self._kind, tuple(self._values))

    @classmethod
    def tree_unflatten(cls, aux, children):
        """The object with these children, unchecked: anything may pass through a tree map."""
        _, kind, names = aux
        return cls._rebuild(kind, zip(names, children, strict=True))

    def __repr__(self):
        shown = shown_values(self._values)
        return f"{self._kind}({', '.join(f'{name}={text(value)}' for name, value in shown)})"


def shown_values(h: Hyperparameters) -> list[tuple[str, Any]]:
    """Names and values for `repr`, without features that are switched off."""
    return [_shown(h, name) for name in h if not _is_off(h, name)]


def _shown(h: Hyperparameters, name: str) -> tuple[str, Any]:
    """Name and value for `repr`: a complement that is none of a decay rate (a gradient, say) as stored."""
    value = show(h, name)
    if not _role(h, name).is_complement or not _is_real(value) or isinstance(value, Tracer):
        return name, value
    return (name, value) if np.all((value >= 0) & (value < 1)) else (f"one_minus_{name}", h[name])


def _is_off(h: Hyperparameters, name: str) -> bool:
    """Whether `repr` leaves it out: a feature that is switched off, as it is by default."""
    value = show(h, name)
    is_zero = isinstance(value, float) and bool(value == 0)
    return value is None or value is False or (is_zero and _role(h, name).hides_zero)


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
