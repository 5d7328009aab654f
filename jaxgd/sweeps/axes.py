"""Axes: what a person gives, the points of their grid, and their values as labels and coordinates."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.arguments import NUM_SEEDS, as_integer, shown, unknown

# The axis of points that are given as a list.
POINT = "point"


class Point(Mapping):
    """One point of a grid: its values as `hp.name` or `hp["name"]`. It notes which of them are read."""

    def __init__(self, values: Mapping[str, Any]):
        self._values = dict(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise KeyError(unknown("axis", name, self._values))
        self.read.add(name)
        return self._values[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(unknown("axis", name, self.__dict__.get("_values", {})))
        return self[name]

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)

    def __contains__(self, name):
        return name in self._values

    def __repr__(self):
        return f"({', '.join(f'{name}={label(value)!r}' for name, value in self._values.items())})"


def values_of(point: Point) -> dict[str, Any]:
    """The values of a point by name, which are not read for a trainer."""
    return point._values


def differ(one: Point, other: Point, name: str) -> bool:
    """Whether two points have different values of this name."""
    return label(values_of(one)[name]) != label(values_of(other)[name])


def checked_axes(axes: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The axes as lists; a list of points becomes one axis, `point`.

    Raises:
        ValueError: no axis, an empty one, a value or a point given twice, a seed outside 0 to 2**32 - 1,
            linked values whose names differ or are those of other axes.
        TypeError: what is no list of values, numbers that are written as texts, PRNG keys.
    """
    if isinstance(axes, list | tuple):
        if axes and not isinstance(axes[0], Mapping):
            raise TypeError(
                "axes must be a mapping from names to values, or a list of points, such as "
                f'{{"learning_rate": 0.1}}, got a list with {shown(axes[0])}'
            )
        axes = {POINT: axes}
    if not isinstance(axes, Mapping):
        raise TypeError(
            f"axes must be a mapping from names to values, or a list of points, got {shown(axes)}"
        )
    if not axes:
        raise ValueError('axes must have at least one entry, such as {"learning_rate": [0.01, 0.1]}')
    lists = {name: _checked_axis(name, values) for name, values in axes.items()}
    _check_linked(lists)
    for name, values in columns(lists).items():
        for seed in values if name == "seed" else ():
            count = as_integer(seed)
            if count is None or not 0 <= count < NUM_SEEDS:
                raise ValueError(
                    f"axis 'seed' must hold whole numbers from 0 to 2**32 - 1, got {label(seed)!r}"
                )
    return lists


def _checked_axis(name: str, values: Any) -> list[Any]:
    if not isinstance(name, str):
        raise TypeError(f"axes must have names that are strings, got {name!r}")
    is_single = isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__")
    if is_single or getattr(values, "ndim", 1) == 0:
        raise TypeError(f"axis {name!r} must be a list of values, got {values!r}")
    if isinstance(values, set | frozenset):
        raise TypeError(f"axis {name!r} must be a list of values, got a set, which has no order: sorted(...)")
    is_array = hasattr(values, "__array__") and not _has_keys(values)
    values = list(np.asarray(values) if is_array else values)
    if not values:
        raise ValueError(f"axis {name!r} is empty: give it at least one value")
    _check_kinds(name, values)
    twice = [] if is_linked(values) else _twice([label(value) for value in values])
    if twice:
        raise ValueError(f"axis {name!r} has values twice: {', '.join(map(str, twice))}")
    return values


def _has_keys(value: Any) -> bool:
    """Whether it is an array of PRNG keys, or one."""
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def _check_kinds(name: str, values: list[Any]) -> None:
    """Raise TypeError if the values are PRNG keys, or numbers that are written as texts."""
    if any(_has_keys(value) for value in values):
        raise TypeError(
            f"axis {name!r} holds PRNG keys: give seeds as axis 'seed', such as range({len(values)}); seed s "
            "gives its runs jax.random.key(s)"
        )
    if all(isinstance(value, str) and _is_number(value) for value in values):
        texts = ", ".join(repr(str(value)) for value in values[:2])
        raise TypeError(f"axis {name!r} holds texts that are numbers, {texts}: give numbers, without quotes")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _twice(entries: Sequence[Any]) -> list[Any]:
    """Those that are there more than once."""
    return [entry for entry, count in Counter(entries).items() if count > 1]


def _check_linked(lists: Mapping[str, list[Any]]) -> None:
    taken = set(lists)
    for name, values in lists.items():
        if not is_linked(values):
            continue
        for value in values:
            if not isinstance(value, Mapping) or set(value) != set(values[0]):
                raise ValueError(
                    f"axis {name!r} must hold points with the same names, got {values[0]!r} and {value!r}"
                )
        if twice := taken & set(values[0]):
            raise ValueError(f"axis {name!r} has points with the name of another axis: {sorted(twice)}")
        taken |= set(values[0])
        rows = [tuple((key, label(value[key])) for key in values[0]) for value in values]
        twice = _twice(rows)
        if twice:
            raise ValueError(f"axis {name!r} has points twice: {', '.join(str(dict(row)) for row in twice)}")


def is_linked(values: Sequence[Any]) -> bool:
    """Whether an axis holds points: several names that vary together."""
    return isinstance(values[0], Mapping)


def columns(axes: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """The values under every name that a point has, in the order of the axis that they are on."""
    found: dict[str, list[Any]] = {}
    for axis, values in axes.items():
        if is_linked(values):
            found |= {name: [value[name] for value in values] for name in values[0]}
        else:
            found[axis] = list(values)
    return found


def points(axes: Mapping[str, Sequence[Any]]) -> list[Point]:
    """The grid's points, the last axis varying fastest; linked values under their own names."""
    alone = {axis: [{axis: value} for value in values] for axis, values in axes.items()}
    parts = [values if is_linked(values) else alone[axis] for axis, values in axes.items()]
    return [
        Point({name: value for part in row for name, value in part.items()})
        for row in itertools.product(*parts)
    ]


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
