"""What runs begin with, each made once for all of them: keys, initial parameters, epoch orders."""

import itertools
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.machine.compiling import setting
from jaxgd.machine.kept import Kept
from jaxgd.pytrees import shape_of
from jaxgd.sweeps.cohorts import Cohort
from jaxgd.sweeps.runs import Run
from jaxgd.training.fitting import drawn_params, initial_params
from jaxgd.training.host_orders import first_orders, key_numbers

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


def _shapes(init: Any) -> tuple[Any, Any]:
    given = jax.eval_shape(lambda: jax.random.key(0))
    return jax.eval_shape(jax.random.key_data, given), jax.eval_shape(initial_params, init, given)
