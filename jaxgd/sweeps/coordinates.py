"""The values of an axis as coordinates: plain Python values of their own kinds, and how two are compared."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_PLAIN = (type(None), bool, int, float, str)
# Bits of the fraction of Python's floats.
_DOUBLE = 52


def label(value: Any) -> Any:
    """A value as a coordinate: None, a bool, a number or a text as it is; anything else by its name.

    A number of NumPy's or JAX's, an array without dimensions too, is Python's number; one of less than 64
    bits the shortest decimal that rounds to it: `np.float32(0.001)` is 0.001.
    """
    if type(value) in _PLAIN:
        return value
    scalar = as_scalar(value)
    if isinstance(scalar, np.generic):
        if not jnp.issubdtype(scalar.dtype, np.floating):
            return scalar.item()
        return float(scalar) if _precision(scalar) >= _DOUBLE else _shortest(scalar)
    if isinstance(value, int | float | str):
        return value
    return getattr(value, "__name__", None) or repr(value)


def as_scalar(value: Any) -> Any:
    """An array without dimensions as a scalar of NumPy's; anything else as it is."""
    is_array = isinstance(value, np.ndarray | jax.Array) and value.ndim == 0
    if not is_array or jnp.issubdtype(value.dtype, jax.dtypes.extended):
        return value
    return np.asarray(value)[()]


def _shortest(scalar: Any) -> float:
    """The shortest decimal that rounds to a number of few bits."""
    if scalar.dtype.isbuiltin == 1:
        return float(str(scalar))
    exact, kind = float(scalar), scalar.dtype.type  # NumPy prints another library's numbers in full
    texts = (float(f"{exact:.{digits}g}") for digits in range(1, 9))
    return next((short for short in texts if kind(short) == scalar), exact)


def _precision(scalar: Any) -> int:
    """Bits of the fraction; Python's numbers count as double."""
    is_short = isinstance(scalar, np.generic) and jnp.issubdtype(scalar.dtype, np.floating)
    return min(jnp.finfo(scalar.dtype).nmant, _DOUBLE) if is_short else _DOUBLE


def coordinate(values: Sequence[Any]) -> np.ndarray:
    """The labels of values as an array: of numbers, of bools or of texts where all are, else of objects.

    An object array keeps the kind of each value.
    """
    labels = [label(value) for value in values]
    kinds = {float if type(entry) is int else type(entry) for entry in labels}
    if len(kinds) == 1 and kinds <= {bool, float, complex, str}:
        array = np.array(labels)
        if all(map(_is_same, labels, array.tolist())):  # not where NumPy rounds, or cuts a text
            return array
    array = np.empty(len(labels), object)
    array[:] = labels
    return array


def kept(values: np.ndarray) -> Any:
    """The values in a form in which xarray keeps them: of a bare object array it turns None into NaN."""
    if values.dtype != object or values.ndim != 1:
        return values
    import pandas

    return pandas.Index(values, dtype=object)


def entry_at(coord: Any, place: int) -> Any:
    """The entry at a place of a coordinate along one axis, as Python's value."""
    entry = coord.values[place]
    return entry.item() if isinstance(entry, np.generic) else entry


def matches(values: Sequence[Any], asked: Any) -> list[bool]:
    """Which of the values are the one that is asked for.

    By their labels; if none is, in the coarser precision of the two: 0.001 is `np.float32(0.001)`.
    """
    wanted = label(asked)
    exact = [_is_same(label(value), wanted) for value in values]
    return exact if any(exact) else [_is_same_coarsely(value, asked) for value in values]


def _is_same(one: Any, other: Any) -> bool:
    return bool(one == other) or (one != one and other != other)


def _is_same_coarsely(value: Any, asked: Any) -> bool:
    """Whether two numbers are the same finite one in the coarser precision of the two."""
    coarser = min((as_scalar(value), as_scalar(asked)), key=_precision)
    numbers = [label(value), label(asked)]
    is_real = all(isinstance(x, int | float) and not isinstance(x, bool) for x in numbers)
    if not is_real or _precision(coarser) >= _DOUBLE:
        return False
    with np.errstate(over="ignore"):
        one, other = (coarser.dtype.type(as_scalar(x)) for x in (value, asked))
    return bool(np.isfinite(one) and one == other)
