"""What lanes are given, and what they are on their way."""

import functools
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.machine.compiling import setting
from jaxgd.machine.kept import Kept
from jaxgd.pytrees import shape_of
from jaxgd.sweeps.cohorts import Cohort
from jaxgd.sweeps.groups import Group
from jaxgd.sweeps.runs import Run
from jaxgd.training.carrying import Packed, Rows, carried, empty_rows
from jaxgd.training.fitting import drawn_params, initial_params
from jaxgd.training.host_orders import first_orders, key_numbers
from jaxgd.training.loop import initial_state
from jaxgd.training.states import Moving


class LaneInputs(NamedTuple):
    """What each lane gets, with a leading axis over lanes.

    leaves: of its trainer. key_data: uint32[lanes, ...]. params: initial parameters. orders:
    int32[lanes, epochs, num_examples], or None where each order is made in the program. start: the rest of
    what lanes go on from, None where they begin with an optimizer's state of their own.
    """

    leaves: list[Any]
    key_data: Any
    params: Any
    orders: Any
    start: Any = None


class Slots(NamedTuple):
    """What lanes are, with a leading axis over slots; a call takes it over and gives it back moved on.

    packed: the run's state. rows: its history, arrays [slots, epochs, ...].
    """

    packed: Packed
    rows: Rows


class Occupancy(NamedTuple):
    """Which slots have a lane.

    active: bool[slots], whether there is a lane to run. fresh: bool[slots], whether it is at its start.
    turns: int32[slots], of each device which of its places have one, in the order in which they move, then
    -1; a place is as many slots as move at once.
    """

    active: Any
    fresh: Any
    turns: Any

    @classmethod
    def of(cls, active: np.ndarray, fresh: np.ndarray, devices: int, width: int) -> "Occupancy":
        """Of the slots of so many devices, of which `width` move at once."""
        there = np.any(active.reshape(devices, -1, width), axis=2)
        turns = np.full((devices, len(active) // devices), -1, np.int32)
        for device in range(devices):
            places = np.flatnonzero(there[device])
            turns[device, : len(places)] = places
        return cls(active, fresh, turns.ravel())


# Shapes of keys and initial parameters.
_SHAPES = Kept()
# Keys, initial parameters and orders on the host, up to so many bytes, for the next sweep of the same seeds.
_DRAWN = Kept(2**25, lambda tree: sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(tree)))
# What decides, besides a seed, which numbers are drawn.
_SWITCHES = ("jax_enable_x64", "jax_default_prng_impl", "jax_threefry_partitionable")
_SWITCHES += ("jax_random_seed_offset", "jax_default_matmul_precision", "jax_default_device")
# A number for each way to make initial parameters, which never is that of another one.
_NUMBERS, _NEXT = Kept(), itertools.count()


class Alike(NamedTuple):
    """What the runs of a cohort begin with, as far as it does not depend on their seeds.

    cohort: of their trainers. inits: the distinct ones, each with a number that equal ones share. init_of:
    which of them each run has. num_examples: of training. sampling: of orders.
    """

    cohort: Cohort
    inits: list[tuple[Any, int]]
    init_of: list[int]
    num_examples: int
    sampling: str


class Sources:
    """Initial parameters and epoch orders, each made once, by whichever thread asks first.

    A thread waits only for what it asks for: shapes are there while the parameters' program still compiles.
    """

    # Longer runs make each order in their program: compiling that takes a second, holding them memory.
    max_orders = 2**22

    def __init__(self, epochs: int):
        self.epochs = epochs
        self._made: dict[Any, Any] = {}
        self._locks: dict[Any, threading.Lock] = {}
        self._alike: dict[int, Alike] = {}

    def make(self, run: Run) -> None:
        """Make what the run begins with."""
        self.params(run)
        self.orders(run)

    def params(self, run: Run) -> Any:
        """The run's initial parameters, on the host."""
        if run.start is not None:
            return run.start.params
        alike, place = self._of(run)
        init, number = alike.inits[alike.init_of[place]]
        key = ("params", number, run.seed)
        draw = lambda: drawn_params(init, jax.random.wrap_key_data(self.key_data(run)))  # noqa: E731
        return self._once(key, lambda: jax.device_get(draw()))

    def shapes(self, run: Run) -> tuple[Any, Any]:
        """Shapes of the run's key as numbers and of its parameters."""
        alike, place = self._of(run)
        init, _ = alike.inits[alike.init_of[place]]
        key = shape_of(init), setting("jax_default_prng_impl")
        return _SHAPES.get(key, lambda: _shapes(init))

    def key_data(self, run: Run) -> Any:
        """The run's key as numbers."""
        return self._once(("key", run.seed), lambda: key_numbers(run.seed))

    def orders(self, run: Run) -> Any:
        """The run's epoch orders, int32[epochs, num_examples]; None if its program makes them."""
        if not self.has_orders(run):
            return None
        _, _, _, num, sampling = self._of(run)[0]
        return self._once(
            ("orders", num, sampling, run.seed, self.epochs),
            lambda: first_orders(self.key_data(run), self.epochs, num, sampling),
        )

    def has_orders(self, run: Run) -> bool:
        """Whether the run is given its orders. An order that is no shuffle takes no time to make."""
        _, _, _, num, sampling = self._of(run)[0]
        return self.epochs * num <= self.max_orders and sampling != "sequential"

    def _of(self, run: Run) -> tuple[Alike, int]:
        """What the runs of the run's cohort begin with, and the run's place in that."""
        cohort, place = run.row
        if id(cohort) not in self._alike:
            self._alike[id(cohort)] = self._alike_of(cohort)  # holding the cohort keeps its id taken
        return self._alike[id(cohort)], place

    def _alike_of(self, cohort: Cohort) -> Alike:
        rows, places = cohort.distinct(lambda trainer: trainer.problem.init)
        inits = [cohort.tree(row).problem.init for row in rows.tolist()]
        numbered = [(init, _number_of(init)) for init in inits]
        first = cohort.first
        return Alike(cohort, numbered, places.tolist(), first.problem.num_examples, first.order_sampling)

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            with self._locks.setdefault(key, threading.Lock()):
                if key not in self._made:
                    self._made[key] = _DRAWN.get((*key, *map(setting, _SWITCHES)), make)
        return self._made[key]


def _number_of(init: Any) -> int:
    """A number that is that of no other init."""
    leaves, structure = jax.tree.flatten(init)
    arrays = [np.asarray(leaf) for leaf in leaves]
    content = tuple((array.shape, array.dtype.str, array.tobytes()) for array in arrays)
    return _NUMBERS.get((structure, content), lambda: next(_NEXT))


def _rest(run: Run) -> Moving | None:
    return None if run.start is None else run.start._replace(params=None)


def _shapes(init: Any) -> tuple[Any, Any]:
    given = jax.eval_shape(lambda: jax.random.key(0))
    return jax.eval_shape(jax.random.key_data, given), jax.eval_shape(initial_params, init, given)


class Inputs:
    """The inputs of a call, gathered from its runs on the host."""

    def __init__(self, group: Group, sources: Sources):
        self.group, self.sources = group, sources
        self.shared = list(group.shared.values())

    @functools.cached_property
    def choices(self) -> list[int]:
        """Of each run its batch size, or its place among several, where that is a number."""
        column = self.group.column(lambda trainer: trainer.batch_size)
        return [int(column[run]) for run in range(len(self.group.runs))]

    def gather(self, runs: Sequence[int]) -> LaneInputs:
        """The inputs of these runs of the group, by their places in it."""
        members = [self.group.runs[run] for run in runs]
        rests = {id(run.start): _rest(run) for run in members}
        trees = (
            (self.sources.params(run), self.sources.orders(run), rests[id(run.start)]) for run in members
        )
        params, orders, start = map(stacked, zip(*trees, strict=True))
        return LaneInputs(
            leaves=[column.stacked(runs) for column in self.group.columns],
            key_data=stacked([self.sources.key_data(run) for run in members]),
            params=params,
            orders=orders,
            start=start,
        )

    def shapes(self, lanes: int) -> LaneInputs:
        """Shapes and dtypes of the inputs of so many lanes."""
        run, epochs = self.group.runs[0], self.sources.epochs
        key_data, params = self.sources.shapes(run)
        orders = jax.ShapeDtypeStruct((epochs, self.group.num_examples), np.int32)
        has_orders = self.sources.has_orders(run)
        leaves = [column[0] for column in self.group.columns]
        one = LaneInputs(leaves, key_data, params, orders if has_orders else None, _rest(run))
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((lanes, *np.shape(x)), jnp.result_type(x)), one)

    def slots(self, lanes: int) -> Slots:
        """Shapes and dtypes of so many lanes on their way."""
        one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), self.shapes(1))
        slot = jax.eval_shape(
            lambda shared, lane: initial_slot(self.group, self.sources.epochs, shared, lane), self.shared, one
        )
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((lanes, *x.shape), x.dtype), slot)


def stacked(trees: Sequence[Any]) -> Any:
    """Trees of arrays along a new leading axis; one that is there several times is taken up once."""
    first: dict[int, tuple[int, Any]] = {}
    places = [first.setdefault(id(tree), (len(first), tree))[0] for tree in trees]
    distinct = jax.tree.map(lambda *leaves: np.stack(leaves), *(tree for _, tree in first.values()))
    return distinct if len(first) == len(trees) else jax.tree.map(lambda leaf: leaf[places], distinct)


def initial_slot(group: Group, epochs: int, shared: list[Any], lane: LaneInputs) -> Slots:
    """A lane at its start."""
    trainer = group.trainer(lane.leaves, shared)
    key = jax.random.wrap_key_data(lane.key_data)
    return Slots(*carried(initial_state(trainer, key, lane.params, lane.start), empty_rows(trainer, epochs)))


def abstract(tree: Any) -> Any:
    """Shapes and dtypes as JAX would take them in."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(np.shape(x), jax.dtypes.canonicalize_dtype(x.dtype)), tree
    )
