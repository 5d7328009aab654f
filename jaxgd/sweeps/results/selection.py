"""One run of a sweep by its coordinates."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgd.arguments import unknown
from jaxgd.sweeps.axes import columns, label, matches

if TYPE_CHECKING:
    import xarray


def linked_names(dataset: "xarray.Dataset") -> dict[str, str]:
    """The coordinates along an axis of another name, with that axis: those of an axis of points."""
    names = ((str(name), coord) for name, coord in dataset.coords.items() if name not in dataset.dims)
    return {name: str(coord.dims[0]) for name, coord in names if coord.ndim == 1}


def run_index(dataset: "xarray.Dataset", axes: Mapping[str, Sequence[Any]], coords: Mapping[str, Any]) -> int:
    """The place of a run among all runs, the last axis varying fastest.

    Raises:
        ValueError: an axis or a value that the sweep does not have, or an axis that is not given.
    """
    linked = linked_names(dataset)
    for name in coords:
        if name not in axes and name not in linked:
            raise ValueError(unknown("axis", name, [*axes, *linked]))
    places = []
    for axis, values in axes.items():
        names = [axis, *(name for name, along in linked.items() if along == axis)]
        given = {name: coords[name] for name in names if name in coords}
        places.append(_place(dataset, axis, values, given))
    return int(np.ravel_multi_index(places, [len(values) for values in axes.values()]))


def _place(dataset: "xarray.Dataset", axis: str, values: Sequence[Any], given: Mapping[str, Any]) -> int:
    """The place along an axis that has the given coordinates."""
    if not given and len(values) == 1:
        return 0
    matching = list(range(len(values)))
    for name, value in given.items():
        there = places_of(dataset, axis, values, name, value)
        matching = [place for place in matching if place in there]
    if not matching:
        words = " and ".join(f"{name} {label(value)!r}" for name, value in given.items())
        raise ValueError(f"axis {axis!r} has no point with {words}")
    if len(matching) > 1:
        known = dataset[axis].values[matching].tolist()
        raise ValueError(f"params needs a value for axis {axis!r}, one of {known}")
    return matching[0]


def places_of(
    dataset: "xarray.Dataset", axis: str, values: Sequence[Any], name: str, value: Any
) -> list[int]:
    """The places along an axis that have a value under a name, as the axis was given ("full") or is shown.

    Raises:
        ValueError: none has it.
    """
    known = dataset[name].values.tolist()
    named = columns({axis: values})
    found = matches(named[name], value) if name in named else []
    found = found if any(found) else matches(known, value)
    if not any(found):
        raise ValueError(f"axis {name!r} has no value {label(value)!r}; it has {known}")
    return [place for place, is_there in enumerate(found) if is_there]


def as_given(axes: Mapping[str, Sequence[Any]], name: str, shown: Any) -> Any:
    """A coordinate as its axis was given, 8 where the dataset shows 8.0; "full" stays the number shown."""
    return next((given for given in map(label, columns(axes).get(name, ())) if given == shown), shown)
