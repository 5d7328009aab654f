"""What an argument of an optimizer or a schedule is: said by its annotation, never guessed from its name.

`Rate`, `Decay` and the others are annotations. They say how an argument is checked, stored and shown.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import jax
import numpy as np
import optax

from jaxgd.aliases import Number, NumberOrSchedule, WholeNumber
from jaxgd.arguments import bound, whole_number
from jaxgd.optim.hyperparameters import PLAIN, Role, as_number, check_number, check_schedule, stored_function
from jaxgd.pytrees import Static

_RANGES: dict[str, Callable] = {
    "": np.isfinite,
    "0 or more": lambda x: x >= 0,
    "above 0": lambda x: x > 0,
    "at least 0 and below 1": lambda x: (x >= 0) & (x < 1),
}


@dataclass(frozen=True)
class _Number(Role):
    """A number or an array in a range, by its words; or, where it `may_be_scheduled`, a schedule."""

    allowed: str = ""
    may_be_scheduled: bool = False
    below_0: str = ""

    def store(self, name, value):
        if self.may_be_scheduled and callable(value):
            check_schedule(name, value)
            return stored_function(value)
        leaf = as_number(name, value)
        check_number(name, leaf, _RANGES[self.allowed], self.allowed, self.below_0)
        if self.is_count and _needs_int32(leaf):
            return np.int32(leaf)
        return 1 - leaf if self.is_complement else leaf


def _needs_int32(leaf: Any) -> bool:
    """Whether it is a whole number that float32 rounds, which it would be as an argument of a program."""
    is_whole = isinstance(leaf, np.float64) and leaf.is_integer()
    return is_whole and bool(abs(leaf) < 2**31 and np.float32(leaf) != leaf)


@dataclass(frozen=True)
class _Several(Role):
    """A tuple of arguments of one role."""

    of: Role = PLAIN

    def store(self, name, value):
        if not np.iterable(value):
            raise TypeError(f"{name} must be a list or a tuple, got {value!r}")
        return tuple(self.of.store(name, item) for item in value)


class _Structure(Role):
    def store(self, name, value):
        return Static(value)


class _Switch(_Structure):
    def store(self, name, value):
        switch = Static(value)
        if not isinstance(switch.value, bool):
            raise TypeError(f"{name} must be True or False, got {value!r}")
        return switch


class _TwoOrMore(_Structure):
    def store(self, name, value):
        return Static(whole_number(name, Static(value).value, 2))


class _Dtype(_Structure):
    def store(self, name, value):
        try:
            return Static(jax.dtypes.canonicalize_dtype(Static(value).value))
        except TypeError:
            raise TypeError(f"{name} must be a dtype, got {value!r}") from None


_OR_MORE, _FRACTION = "0 or more", "at least 0 and below 1"
_ASCENT = "; for ascent use chain(adam(r), scale(-1.0)), r above 0"

Finite = Annotated[Number, _Number()]
NotNegative = Annotated[Number, _Number(_OR_MORE)]
Positive = Annotated[Number, _Number("above 0")]
Fraction = Annotated[Number, _Number(_FRACTION)]
# A fraction that is stored as one minus itself; `h.b1` and `h.one_minus_b1` are both exact.
Decay = Annotated[Any, _Number(_FRACTION, is_complement=True)]
# Numbers, 0 or more, or schedules. A rate has Optax's name for these: programs that read it know by that.
Rate = Annotated[optax.ScalarOrSchedule, _Number(_OR_MORE, may_be_scheduled=True, below_0=_ASCENT)]
Strength = Annotated[NumberOrSchedule, _Number(_OR_MORE, may_be_scheduled=True)]
# 0 or more, where 0 is off and is not shown.
Offset = Annotated[Number, _Number(_OR_MORE, hides_zero=True)]
# Numbers of updates: of any sign; above 0; before something begins.
NumUpdates = Annotated[Number, _Number(is_count=True)]
Length = Annotated[Number, _Number("above 0", is_count=True)]
Delay = Annotated[Number, _Number(is_count=True, hides_zero=True)]
# Tuples.
Schedules = Annotated[Sequence[Callable], _Several(of=_Number(_OR_MORE, may_be_scheduled=True))]
Boundaries = Annotated[Sequence[Number], _Several(of=_Number(is_count=True), is_count=True)]
Scales = Annotated[Sequence[Number], _Several(of=_Number(_OR_MORE))]
# What is structure: True or False; into how many pieces, 2 or more; a dtype; a tree, or a function of the
# parameters that gives one.
Switch = Annotated[bool, _Switch()]
Pieces = Annotated[WholeNumber, _TwoOrMore()]
Dtype = Annotated[Any, _Dtype()]
Mask = Annotated[Any, _Structure()]


def role_of(annotation: Any) -> Role:
    """The role that an annotation says, also one with `| None`; a plain argument's if it says none."""
    if isinstance(annotation, Role):
        return annotation
    for part in (annotation, *typing.get_args(annotation)):
        roles = [one for one in getattr(part, "__metadata__", ()) if isinstance(one, Role)]
        if roles:
            return roles[0]
    return PLAIN


class Declaring:
    """Base of kinds, which say what their arguments are.

    arguments: the role of each; a name that is not there is a plain argument.
    optional: the names that may be None; None means that all may be.
    """

    arguments: Mapping[str, Role]
    optional: frozenset[str] | None

    def store(self, name: str, value: Any) -> Any:
        """The pytree child that holds argument `name`, checked; None where that is allowed."""
        if value is None and (self.optional is None or name in self.optional):
            return None
        return self.arguments.get(name, PLAIN).store(name, value)


class Formula(Declaring):
    """The kind of what is declared as one function, with signature, docstring and computation together.

    `check`, if given, is a function of the hyperparameters that raises where they do not go together. A
    pickled kind is that of the same function again, so that structures stay equal.
    """

    def __init__(self, body: Callable, num_inputs: int = 0, name: str | None = None, check: Any = None):
        self.body, self.check, self.name = body, check, name or getattr(body, "__name__", repr(body))
        self.parameters = list(inspect.signature(body).parameters.values())[num_inputs:]
        said = {parameter.name: parameter.annotation for parameter in self.parameters}
        self.arguments = {key: role_of(one) for key, one in said.items()}
        self.optional = frozenset(key for key, one in said.items() if type(None) in typing.get_args(one))

    def __str__(self):
        return self.name

    def __reduce__(self):
        return _kind_of, (self.builder,)

    def builder_of(self, build: Callable[..., Any], made: type) -> Any:
        """The function that a person calls: it binds the arguments and builds what is made of them."""
        shown = [known.replace(annotation=_type_of(known.annotation)) for known in self.parameters]
        signature = inspect.Signature(shown, return_annotation=made)

        @functools.wraps(self.body)
        def builder(*args, **kwargs):
            given = bound(f"{self.name}()", signature, args, kwargs)
            given.apply_defaults()
            return build(self, **given.arguments)

        self.builder: Any = builder
        self.builder.__signature__, self.builder.kind = signature, self
        self.builder.__annotations__ = {known.name: known.annotation for known in shown} | {"return": made}
        return builder


def _kind_of(builder: Any) -> Formula:
    return builder.kind


def _type_of(annotation: Any) -> Any:
    """The type in an annotation that says a role: what a person or a type checker is to read."""
    return _type_of(typing.get_args(annotation)[0]) if role_of(annotation) is not PLAIN else annotation
