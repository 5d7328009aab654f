"""The runs of a function: which values of a point are numbers to trace, and which are structure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.pytrees import Static
from jaxgd.sweeps.axes import Point, columns, points, values_of
from jaxgd.sweeps.cohorts import Cohort, Row, is_number
from jaxgd.sweeps.functions.returns import TAKEN
from jaxgd.sweeps.functions.routines import Routine, name_of, names_given
from jaxgd.sweeps.runs import Run
from jaxgd.training.carrying import COUNTS


class FunctionRun(Run):
    """One lane of a function: `made` is the row of a routine."""

    __slots__ = ()

    @property
    def routine(self) -> Routine:
        """Its function with the values of its point."""
        return self.row.tree

    @property
    def num_examples(self) -> int | None:
        """None: nobody knows of a function's examples."""
        return None

    @property
    def measured(self) -> list[str]:
        """The names of what it measures."""
        return self.row.cohort.first.traced.returns.measured

    @property
    def like(self) -> Any:
        """Shapes of its parameters, as a tree of their classes."""
        traced = self.row.cohort.first.traced
        return traced.returns.state_of(traced.shapes)[0]


def function_runs(train: Callable, axes: Mapping[str, Sequence[Any]]) -> tuple[list[FunctionRun], int]:
    """The run of every point of checked axes, and the length of their histories.

    A number is traced where the function can be traced with it; where that needs its value, for a shape or a
    branch of Python's, it is structure, as everything is that is no number.

    Raises:
        TypeError, ValueError: a function that does not take the key and the axes, or returns no dict of
            arrays; histories of different lengths.
        Exception: what the function raises, with the point at which it did.
    """
    given = names_given(train, columns(axes))
    grid = points(axes)
    rows = _Sorting(
        Static(train), [{name: values_of(point)[name] for name in given} for point in grid]
    ).rows()
    seeds = [int(values_of(point).get("seed", 0)) for point in grid]
    runs = [FunctionRun(index, row, seed) for index, (row, seed) in enumerate(zip(rows, seeds, strict=True))]
    firsts = {id(run.row.cohort): (run, point) for run, point in zip(runs[::-1], grid[::-1], strict=True)}
    return runs, _checked_epochs(axes, list(firsts.values())[::-1])


def _checked_epochs(axes: Mapping[str, Sequence[Any]], firsts: Sequence[tuple[FunctionRun, Point]]) -> int:
    """The length of all histories, of one run of each program."""
    name = name_of(firsts[0][0].routine.function.value)
    epochs = firsts[0][0].routine.traced.returns.epochs
    for run, point in firsts:
        returns = run.routine.traced.returns
        if returns.epochs != epochs:
            raise ValueError(
                f"{name} must return histories of one length at all points, got {epochs} at {firsts[0][1]} "
                f"and {returns.epochs} at {point}"
            )
        for axis in {*axes, *columns(axes)}:
            if axis in (*TAKEN, *COUNTS, *returns.measured):
                raise ValueError(f"axis {axis!r} has the name of a result variable; call it something else")
    return epochs


class _Sorting:
    """The points of a grid by what is structure of a function."""

    def __init__(self, function: Static, values: Sequence[Mapping[str, Any]]):
        self.function, self.values = function, values
        self.found: dict[int, Row] = {}

    def rows(self) -> list[Row]:
        """The routine of every point as the row of a cohort."""
        self._make(range(len(self.values)), frozenset())
        return [self.found[member] for member in range(len(self.values))]

    def _make(self, members: Iterable[int], structural: frozenset[str]) -> None:
        """Make the routines of these members, of which what varies is as far as is known these names."""
        parts = defaultdict(list)
        for member in members:
            parts[self._key(member, structural)].append(member)
        for part in parts.values():
            if more := self._untraceable(part[0], structural):
                self._make(part, structural | more)
            else:
                made = [self._routine(member, structural) for member in part]
                cohort = Cohort.of(jax.tree.structure(made[0]), [jax.tree.leaves(one) for one in made])
                self.found |= {member: Row(cohort, place) for place, member in enumerate(part)}

    def _key(self, member: int, structural: frozenset[str]) -> Any:
        """What tells the program of a member from others."""
        values = self.values[member].items()
        return tuple(
            type(value) if _is_traced(value) and name not in structural else Static(value)
            for name, value in values
        )

    def _routine(self, member: int, structural: frozenset[str]) -> Routine:
        values = self.values[member].items()
        numbers = {name: value for name, value in values if _is_traced(value) and name not in structural}
        settings = {name: value for name, value in values if name not in numbers}
        return Routine(self.function, numbers, Static(settings))

    def _untraceable(self, member: int, structural: frozenset[str]) -> frozenset[str]:
        """The names of numbers without whose values the function cannot be traced: none where it can."""
        routine = self._routine(member, structural)
        names = frozenset(routine.numbers)
        if self._can_trace(routine):
            return frozenset()
        alone = {name: self._routine(member, structural | names - {name}) for name in names}
        bad = frozenset(name for name, one in alone.items() if not self._can_trace(one))
        if bad and bad < names:
            return bad
        _check_traceable(self._routine(member, structural | names), Point(self.values[member]))
        return names

    def _can_trace(self, routine: Routine) -> bool:
        try:
            _ = routine.traced
        except Exception:  # whatever it is: with the values it may not happen
            return False
        return True


def _check_traceable(routine: Routine, point: Point) -> None:
    """Raise what tracing a function raises where all values but the key are known, with their point."""
    try:
        _ = routine.traced
    except Exception as error:
        if type(error) in (ValueError, TypeError):
            raise type(error)(f"{error} (from train at {point})") from error
        error.add_note(f"train raised this at {point}")
        raise


def _is_traced(value: Any) -> bool:
    """Whether it is a number that a program can take: no bool, and no more bits than JAX has."""
    if isinstance(value, bool | np.bool_):
        return False
    is_scalar = isinstance(value, jax.Array) and value.ndim == 0 and jnp.issubdtype(value.dtype, jnp.number)
    if not is_scalar and not is_number(value):
        return False
    bounds = jnp.iinfo(jnp.result_type(int))
    return type(value) is not int or bounds.min <= value <= bounds.max
