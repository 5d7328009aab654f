"""Arithmetic that was traced, done by Python on every lane's own numbers."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal

# Primitives of which Python's operator gives the very bits that the same operator of Python gave before.
_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "abs": operator.abs,
    "pow": operator.pow,
}
# Whole numbers beyond it are no floats.
_LARGEST = 2**53


class UnsupportedError(Exception):
    """A number came about in a way that Python's arithmetic need not give the bits of."""


class Arithmetic:
    """What a traced function does with its numbers, which are float64 and int64 without dimensions."""

    def __init__(self, traced: ClosedJaxpr):
        self.jaxpr = traced.jaxpr
        self._made_by = {var: step for step in self.jaxpr.eqns for var in step.outvars}
        self._constants = dict(zip(self.jaxpr.constvars, traced.consts, strict=True))

    def depends(self, place: int) -> bool:
        """Whether a result depends on the arguments."""
        return not self._behind(place).isdisjoint(self.jaxpr.invars)

    def has_powers(self, place: int) -> bool:
        """Whether a result is one of powers, which Python's and JAX's operators round in different ways."""
        steps = (self._made_by[var] for var in self._behind(place) if var in self._made_by)
        return any("pow" in step.primitive.name for step in steps)

    def _behind(self, place: int) -> set[Any]:
        """The variables that a result comes from."""
        met, left = set(), [self.jaxpr.outvars[place]]
        while left:
            var = left.pop()
            if not isinstance(var, Literal) and var not in met:
                met.add(var)
                left += self._made_by[var].invars if var in self._made_by else []
        return met

    def numbers(self, place: int, arguments: Sequence[Sequence[Any]]) -> list[Any]:
        """A result for each lane, of the arguments of each, as Python's operators give it.

        Raises:
            UnsupportedError: it needs something else than these, or is not a finite number.
        """
        known = dict(zip(self.jaxpr.invars, map(list, arguments), strict=True))
        try:
            numbers = self._value(self.jaxpr.outvars[place], known, len(arguments[0]))
        except ArithmeticError as error:
            raise UnsupportedError(str(error)) from error
        if not all(map(_is_sound, numbers)):
            raise UnsupportedError("not finite, or too large")
        return numbers

    def _value(self, var: Any, known: dict[Any, list[Any]], lanes: int) -> list[Any]:
        """What a variable is in each lane."""
        if isinstance(var, Literal):
            return [_as_python(var.val)] * lanes
        if var in self._constants:
            return [_as_python(self._constants[var])] * lanes
        if var not in known:
            step = self._made_by[var]
            known[var] = _result(step, [self._value(one, known, lanes) for one in step.invars])
        return known[var]


def _result(step: JaxprEqn, operands: list[list[Any]]) -> list[Any]:
    name = step.primitive.name
    if name in _OPERATORS:
        return list(map(_OPERATORS[name], *operands))
    if name == "integer_pow":
        return [number ** step.params["y"] for number in operands[0]]
    if name == "convert_element_type" and _is_kept(step):
        return operands[0]  # Python converts a whole number when it meets a float
    if name == "min" and _kind(step.outvars[0]) == "i":
        return list(map(min, *operands))
    raise UnsupportedError(name)


def _is_kept(step: JaxprEqn) -> bool:
    """Whether a conversion keeps the number: to float64, or of a whole number that stays one."""
    dtype = step.params["new_dtype"]
    return dtype == np.float64 or (_kind(step.invars[0]) == dtype.kind == "i")


def _kind(var: Any) -> str:
    return var.aval.dtype.kind


def _as_python(constant: Any) -> Any:
    """A constant of the trace as the number that it was."""
    dtype = getattr(constant, "dtype", np.dtype(type(constant)))
    if np.ndim(constant) or dtype not in (np.float64, np.int64):
        raise UnsupportedError(f"a constant of {dtype}")
    return np.asarray(constant).item()


def _is_sound(number: Any) -> bool:
    """Whether it is a finite float or a whole number that is a float too."""
    if isinstance(number, (int, np.integer)):
        return bool(-_LARGEST <= number <= _LARGEST)
    return isinstance(number, float) and math.isfinite(number)
