"""What a folder has of a sweep that is asked for, and whether that is the same sweep."""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.results.records import Record, Unit


class ContradictionError(ValueError):
    """The folder has another sweep than the one that is asked for; its text names what differs."""


def extended(kept: Record, asked: Record, folder: str) -> Record:
    """The record of a sweep that is asked for, with the units that a folder has of it.

    Axes may have got further values: their runs are in no unit yet.

    Args:
        kept: what the folder says.
        asked: without units.
        folder: its name, for errors.

    Raises:
        ContradictionError: it is another sweep.
    """
    for name, old, new in _differences(kept, asked):
        raise ContradictionError(
            f"{folder} holds another sweep: {name} was {_short(old)} there, and is {_short(new)} now"
            f"{_REASONS.get(name, '')}; --replace (replace=True) begins anew, another folder keeps both"
        )
    places = _places(kept.axes, asked.axes)
    units = tuple(_moved(unit, places) for unit in kept.units)
    kept_parts = {name: getattr(kept.plan, name) for name in ("seconds", "clock_seconds", "constants")}
    spent = dataclasses.replace(asked.plan, **kept_parts)
    return asked._replace(units=units, plan=spent, clock=kept.clock or asked.clock)


def check_plan(record: Record, plan: Plan | None, folder: str) -> None:
    """Raise ContradictionError if a plan is given that is not the one which the folder's sweep follows."""
    followed = {(unit.program.runs, unit.program.recipe) for unit in record.units}
    if plan is not None and {(program.runs, program.recipe) for program in plan.groups} != followed:
        raise ContradictionError(f"{folder} follows another plan than the one given: leave plan out to go on")


_REASONS = {"epochs": " (a schedule made for one length is not a part of that of another)"}


def _differences(kept: Record, asked: Record):
    """`(name, old, new)` of what contradicts, the plainest first."""
    yield from _axes_differences(kept.axes, asked.axes)
    old, new = kept.spec or {}, asked.spec or {}
    for name in {**old, **new}:
        if name not in ("axes", "data", "epochs") and old.get(name) != new.get(name):
            yield f"{name} of its spec", old.get(name), new.get(name)
    for name, one, two in (
        ("epochs", kept.plan.epochs, asked.plan.epochs),
        ("the data's sha256", kept.data, asked.data),
        ("exact", kept.exact, asked.exact),
    ):
        if one != two:
            yield name, one, two


def _axes_differences(kept: Mapping[str, Sequence[Any]], asked: Mapping[str, Sequence[Any]]):
    if list(kept) != list(asked):
        yield "the list of axes", list(kept), list(asked)
        return
    for name, values in kept.items():
        there = set(map(_key, asked[name]))
        if any(_key(value) not in there for value in values):
            yield f"axis {name!r}", values, asked[name]


def _key(value: Any) -> str:
    """A label as text that tells 1 from 1.0 and from True."""
    return json.dumps(value)


def _places(kept: Mapping[str, Sequence[Any]], asked: Mapping[str, Sequence[Any]]) -> np.ndarray:
    """For the place of each run in the kept grid, that in the grid that is asked for."""
    of_axis = []
    for name, values in kept.items():
        place_of = {_key(value): place for place, value in enumerate(asked[name])}
        of_axis.append([place_of[_key(value)] for value in values])
    shape = [len(values) for values in asked.values()]
    indices = np.array(list(itertools.product(*of_axis))).reshape(-1, len(shape))
    return np.ravel_multi_index(tuple(indices.T), shape)


def _moved(unit: Unit, places: np.ndarray) -> Unit:
    """The unit with its runs at their new places."""
    runs = tuple(places[list(unit.program.runs)].tolist())
    ended = tuple(places[list(unit.runs)].tolist()) if unit.runs else ()
    return unit._replace(program=dataclasses.replace(unit.program, runs=runs), runs=ended)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
