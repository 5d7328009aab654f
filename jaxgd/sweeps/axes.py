"""From axes to points: the axes of a sweep checked, and every point of their grid."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxgd.arguments import as_integer, unknown
from jaxgd.sweeps.coordinates import label

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


def differ(one: Point, other: Point, name: str) -> bool:
    """Whether two points have different values of this name, without reading them for a trainer."""
    return label(one._values[name]) != label(other._values[name])


def checked_axes(axes: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The axes as lists; a list of points becomes one axis, `point`.

    Raises:
        ValueError: no axis, an empty one, a value or a point given twice, a seed outside 0 to 2**32 - 1,
            linked values whose names differ or are those of other axes.
    """
    if isinstance(axes, list | tuple):
        axes = {POINT: axes}
    if not isinstance(axes, Mapping):
        raise TypeError(f"axes must be a mapping from names to values, or a list of points, got {axes!r}")
    if not axes:
        raise ValueError('axes must have at least one entry, such as {"learning_rate": [0.01, 0.1]}')
    lists = {name: _checked_axis(name, values) for name, values in axes.items()}
    _check_linked(lists)
    for name, values in columns(lists).items():
        for seed in values if name == "seed" else ():
            count = as_integer(seed)
            if count is None or not 0 <= count < 2**32:
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
    values = list(np.asarray(values) if hasattr(values, "__array__") else values)
    if not values:
        raise ValueError(f"axis {name!r} is empty: give it at least one value")
    twice = [] if is_linked(values) else _twice([label(value) for value in values])
    if twice:
        raise ValueError(f"axis {name!r} has values twice: {', '.join(map(str, twice))}")
    return values


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

    def merged(values):
        named = zip(axes, values, strict=True)
        parts = (value if isinstance(value, Mapping) else {name: value} for name, value in named)
        return Point({name: value for part in parts for name, value in part.items()})

    return [merged(values) for values in itertools.product(*axes.values())]
