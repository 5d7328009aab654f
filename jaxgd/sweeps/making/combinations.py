"""The trainers of a grid: one traced call for each combination of what is structure, numbers in columns."""

import inspect
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.arguments import shown
from jaxgd.fingerprints.readings import Reading
from jaxgd.pytrees import kind_of
from jaxgd.sweeps.axes import Point, values_of
from jaxgd.sweeps.cohorts import Cohort, LeafColumn, Row, is_number
from jaxgd.sweeps.making.arithmetic import UnsupportedError
from jaxgd.sweeps.making.keeping import Making, TakenApart
from jaxgd.sweeps.making.purity import is_pure
from jaxgd.sweeps.making.traces import Traced, trace
from jaxgd.training.trainers import Trainer

# Fewer points of one combination are made one by one.
FEW = 64
_TRACED = (int, float, np.float64, np.int64)


def make_rows(make_trainer: Callable[[Point], Trainer], grid: Sequence[Point]) -> list[Row]:
    """The trainer of every point, as a row of a cohort.

    Where there are many points, a `make_trainer` whose code shows no side effect is traced, once for each
    combination of what is structure: what becomes of its numbers is computed for all points in one go. Calls
    at points whose numbers are extreme, one by one, have to agree with that. Where they do not, and for any
    other `make_trainer`, there is a call for each point, in their order.

    Raises:
        TypeError: `make_trainer` returns something else than a trainer.
        ValueError: state that functions of a trainer read was changed after it was made.
        Exception: what it raises, with the point at which it did.
    """
    _check_callable(make_trainer, grid[0])
    tracing = _Tracing(make_trainer, grid)
    rows = tracing.rows() if len(grid) >= FEW else {}
    making = tracing.making if rows else Making()  # equal arrays are one in all of them
    left = [index for index in range(len(grid)) if index not in rows]
    places = [making.add(made_at(make_trainer, grid[index])) for index in left]
    rows |= dict(zip(left, making.rows(places), strict=True))
    return [rows[index] for index in range(len(grid))]


def made_at(make_trainer: Callable[[Point], Trainer], point: Point) -> Trainer:
    """The trainer of a point; what is raised tells the point."""
    try:
        trainer = make_trainer(point)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{error} (from make_trainer at {point})") from error
    except Exception as error:
        error.add_note(f"make_trainer raised this at {point}")
        raise
    if not isinstance(trainer, Trainer):
        what = (
            f"None at {point}: is its return missing?" if trainer is None else f"{shown(trainer)} at {point}"
        )
        raise TypeError(f"make_trainer must return a jaxgd.trainer(...), got {what}")
    return trainer


def _check_callable(make_trainer: Any, point: Point) -> None:
    """Raise TypeError unless it is a function that can be called with a point."""
    like = f"lambda hp: jaxgd.trainer(...), which reads {', '.join(f'hp.{name}' for name in point)}"
    if not callable(make_trainer):
        raise TypeError(f"make_trainer must be a function, such as {like}; got {shown(make_trainer)}")
    try:
        signature = inspect.signature(make_trainer)
    except ValueError:  # one of C's without a signature
        return
    try:
        signature.bind(point)
    except TypeError:
        raise TypeError(
            f"make_trainer is called with one argument, a point, such as {like}; got {signature}"
        ) from None


class _Base(NamedTuple):
    """The trainer of the first point of a combination, of a call by itself."""

    structure: Any
    parts: TakenApart


class _Tracing:
    """The rows of a grid as far as calls are traced."""

    def __init__(self, make_trainer: Callable[[Point], Trainer], grid: Sequence[Point]):
        self.make_trainer, self.grid, self.making = make_trainer, grid, Making()
        self.values = {name: [values_of(point)[name] for point in grid] for name in grid[0]}
        self.structural: set[str] = set()
        self.found: dict[int, Row] = {}

    def rows(self) -> dict[int, Row]:
        """The rows by the places of their points; none where a call raises or changes what is read."""
        distinct = ({id(value): value for value in values} for values in self.values.values())
        reached = [self.make_trainer, *itertools.chain(*(one.values() for one in distinct))]
        try:
            if not is_pure(reached):
                return {}
            reading = Reading(self.make_trainer)
            self._make(list(range(len(self.grid))))
            self.making.rows([])
        except Exception:  # the first point that raises is for calls in their order to find
            return {}
        return self.found if reading.is_same() else {}

    def _make(self, members: list[int]) -> None:
        """Make the trainers of these members, of each combination by itself."""
        for part in self._split(members):
            if len(part) == len(members):
                if self._is_split_further(part):
                    self._make(part)
            elif len(part) >= FEW:
                self._make(part)

    def _split(self, members: Iterable[int]) -> list[list[int]]:
        """The members by their values of what is structure, as far as that is known."""
        parts = defaultdict(list)
        for member in members:
            parts[tuple([self._key(name, member) for name in self.values])].append(member)
        return list(parts.values())

    def _key(self, name: str, member: int) -> Any:
        """What tells the combination of a point by this name from others."""
        value = self.values[name][member]
        is_number = type(value) in _TRACED and name not in self.structural
        return type(value) if is_number else _identity(value)

    def _is_split_further(self, members: list[int]) -> bool:
        """Whether a combination whose trainers cannot be made at once is several: more is structure."""
        names = sorted(name for name in self.values if self._varies(name, members))
        if not names:
            return False
        base = self._base(members[0])
        traced = trace(self.make_trainer, self.grid[members[0]], names)
        if traced is not None and _is_like(traced, base):
            cohort = self._cohort(members, names, base, traced)
            self.found |= {} if cohort is None else _rows(members, cohort)
            return False
        bad = {name for name in names if not self._is_traceable(name, members[0], base)}
        self.structural |= bad
        return bool(bad)

    def _varies(self, name: str, members: Sequence[int]) -> bool:
        """Whether a combination has several numbers by this name."""
        values = self.values[name]
        first = values[members[0]]
        is_traced = type(first) in _TRACED and name not in self.structural
        return is_traced and any(values[member] != first for member in members)

    def _base(self, member: int) -> _Base:
        trainer = made_at(self.make_trainer, self.grid[member])
        return _Base(jax.tree.structure(trainer), self.making.parts(trainer))

    def _is_traceable(self, name: str, member: int, base: _Base) -> bool:
        traced = trace(self.make_trainer, self.grid[member], [name])
        return traced is not None and _is_like(traced, base)

    def _cohort(self, members: list[int], names: Sequence[str], base: _Base, traced: Traced) -> Cohort | None:
        """The trainers of a combination; None where they are not those of calls one by one."""
        varying = [position for position in range(len(traced.leaves)) if traced.depends(position)]
        if not self._are_pythons(members[0], varying, traced):
            return None
        self.grid[members[0]].read |= traced.read
        numbers = [[self.values[name][member] for member in members] for name in names]
        columns = [LeafColumn.constant(leaf, len(members)) for leaf in base.parts.leaves]
        try:
            for position in varying:
                found = traced.arithmetic.numbers(traced.results[position], numbers)
                columns[position] = _column(found, base.parts.leaves[position])
        except (UnsupportedError, OverflowError):
            return None
        cohort = Cohort(base.structure, columns, len(members))
        places = telling_places([np.array(line, float) for line in numbers], _lines(cohort, varying))
        return cohort if self._agrees(members, base, cohort, places) else None

    def _are_pythons(self, member: int, varying: Sequence[int], traced: Traced) -> bool:
        """Whether powers among these leaves are computed by Python's operators, not by JAX's functions."""
        powers = [place for place in varying if traced.arithmetic.has_powers(traced.results[place])]
        if not powers:
            return True
        plain = trace(self.make_trainer, self.grid[member], [], is_folded=False)
        return plain is not None and not any(place in plain.results for place in powers)

    def _agrees(self, members: list[int], base: _Base, cohort: Cohort, places: Iterable[int]) -> bool:
        """Whether calls one by one at these places of a combination give what the columns hold."""
        for place in places:
            key, leaves = self._base(members[place]).parts
            mine = [column[place] for column in cohort.columns]
            if key != base.parts.key or not all(map(_is_same, mine, leaves)):
                return False
        return True


def _is_like(traced: Traced, base: _Base) -> bool:
    """Whether a traced call gave the trainer of the call by itself, but for what depends on the numbers."""
    if traced.structure != base.structure:
        return False
    return all(
        _can_vary(mine) if traced.depends(place) else place in traced.results or _is_constant(its, mine)
        for place, (its, mine) in enumerate(zip(traced.leaves, base.parts.leaves, strict=True))
    )


def _is_constant(traced: Any, leaf: Any) -> bool:
    """Whether a leaf of a traced call that is no tracer is as it is without: arrays may have 64 bits."""
    both = isinstance(traced, jax.Array) and isinstance(leaf, jax.Array)
    return traced.shape == leaf.shape if both else _is_same(traced, leaf)


def _lines(cohort: Cohort, positions: Iterable[int]) -> list[np.ndarray]:
    return [cohort.columns[position].values.astype(float) for position in positions]


def _rows(members: Sequence[int], cohort: Cohort) -> dict[int, Row]:
    return {member: Row(cohort, place) for place, member in enumerate(members)}


def _identity(value: Any) -> Any:
    """Equal for values that no function could tell apart."""
    if isinstance(value, str | bool | int | None):
        return type(value), value
    return (float, repr(value)) if type(value) is float else id(value)


def _can_vary(leaf: Any) -> bool:
    """Whether a leaf is a number as Python or an optimizer's or a rule's argument has it."""
    dtype = getattr(leaf, "dtype", None)
    return type(leaf) in (int, float) or (is_number(leaf) and dtype in (np.float64, np.int32))


def _is_same(one: Any, other: Any) -> bool:
    """Whether two leaves are of one kind and have the same bits."""
    if one is other:
        return True
    if kind_of(one) != kind_of(other) or isinstance(one, np.ndarray) != isinstance(other, np.ndarray):
        return False
    if isinstance(one, jax.Array) and jnp.issubdtype(one.dtype, jax.dtypes.extended):
        return False
    mine, its = np.asarray(one), np.asarray(other)
    return mine.dtype != object and mine.tobytes() == its.tobytes()


def _column(numbers: list[Any], like: Any) -> LeafColumn:
    """The leaves that are these numbers, of the kind of one of them.

    Raises:
        UnsupportedError: leaves of these numbers might be of another kind.
    """
    kind = np.asarray(like).dtype
    found = np.array(numbers, kind)
    if type(like) in (int, float) and not all(type(number) is type(like) for number in numbers):
        raise UnsupportedError("numbers of several kinds")
    if kind == np.int32 and not all(isinstance(number, int) for number in numbers):
        raise UnsupportedError("whole numbers from others")
    is_long = (found == np.floor(found)) & (found != found.astype(np.float32).astype(float))
    if kind == np.float64 and np.any(is_long):  # an argument that is a count of updates would be an int32
        raise UnsupportedError("whole numbers that float32 rounds")
    return LeafColumn(found, None, like)


def telling_places(given: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> list[int]:
    """Where calls one by one would not agree with what was found, if they do not everywhere.

    What is allowed of numbers is a range, or of two leaves that one is above the other: so where they, and
    the differences of two, are smallest and largest. And where float32, to which JAX rounds, changes a leaf.
    """
    pairs = (one - other for one, other in itertools.combinations(found, 2))
    ends = [(np.argmin(line), np.argmax(line)) for line in itertools.chain(given, found, pairs)]
    ends += [(np.argmax(line != line.astype(np.float32)), len(line) - 1) for line in found]
    return sorted({0, *(int(place) for pair in ends for place in pair)})
