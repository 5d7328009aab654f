"""A group made ready to run: its program compiled, its inputs at hand."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.pytrees import check_unchanged
from jaxgd.sweeps.engine.programs import (
    LaneInputs,
    Occupancy,
    Slots,
    abstract,
    build_program,
    initial_slot,
)
from jaxgd.sweeps.groups import Group, Run
from jaxgd.sweeps.planning.recipes import Recipe
from jaxgd.training.batching import epoch_orders
from jaxgd.training.fitting import drawn_params, extent, initial_params

# Compiled programs by structure, shapes and recipe, so that a second sweep of the same kind compiles nothing.
_COMPILED: dict[Any, Any] = {}
_MAX_COMPILED = 256
# Longer runs of epochs make each order in their program: compiling that takes a second, holding them memory.
_MAX_ORDERS = 2**22


class Ready(NamedTuple):
    """A group whose program is compiled."""

    group: Group
    recipe: Recipe
    program: Any
    inputs: "Inputs"
    compile_seconds: float


class Sources:
    """Initial parameters and epoch orders, each made once."""

    def __init__(self, epochs: int):
        self.epochs = epochs
        self._made: dict[Any, Any] = {}
        self._lock = threading.Lock()

    def make(self, runs: Sequence[Run]) -> None:
        """Make what these runs need."""
        for run in runs:
            self.params(run)
            self.orders(run)

    def params(self, run: Run) -> Any:
        """The run's initial parameters, on the host."""
        leaves, structure = jax.tree.flatten(run.trainer.problem.init)
        key = ("params", structure, tuple(np.asarray(leaf).tobytes() for leaf in leaves), run.seed)
        return self._once(key, lambda: drawn_params(run.trainer.problem.init, jax.random.key(run.seed)))

    def shapes(self, run: Run) -> tuple[Any, Any]:
        """Shapes of the run's key as numbers and of its parameters."""
        leaves, structure = jax.tree.flatten(run.trainer.problem.init)
        key = ("shapes", structure, tuple(map(np.shape, leaves)))
        if key not in self._made:
            given = jax.eval_shape(lambda: jax.random.key(0))
            params = jax.eval_shape(initial_params, run.trainer.problem.init, given)
            self._made[key] = jax.eval_shape(jax.random.key_data, given), params
        return self._made[key]

    def key_data(self, run: Run) -> Any:
        """The run's key as numbers."""
        return self._once(("key", run.seed), lambda: jax.random.key_data(jax.random.key(run.seed)))

    def orders(self, run: Run) -> Any:
        """The run's epoch orders, int32[epochs, num_examples]; None if its program makes them."""
        num, sampling = run.trainer.problem.num_examples, run.trainer.order_sampling
        if not self.has_orders(run):
            return None
        key = ("orders", num, sampling, run.seed)
        return self._once(key, lambda: epoch_orders(jax.random.key(run.seed), 0, self.epochs, num, sampling))

    def has_orders(self, run: Run) -> bool:
        """Whether the run is given its orders. An order that is no shuffle takes no time to make."""
        is_small = self.epochs * run.trainer.problem.num_examples <= _MAX_ORDERS
        return is_small and run.trainer.order_sampling != "sequential"

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        with self._lock:
            if key not in self._made:
                self._made[key] = jax.device_get(make())
        return self._made[key]


class Inputs:
    """The inputs of a call, gathered from its runs on the host."""

    def __init__(self, group: Group, sources: Sources):
        self.group, self.sources = group, sources
        self.shared = list(group.shared.values())

    def gather(self, runs: Sequence[int]) -> LaneInputs:
        """The inputs of these runs of the group, by their places in it."""
        members = [self.group.runs[run] for run in runs]
        columns = zip(*(self.group.lanes[run] for run in runs), strict=True)
        trees = [(self.sources.params(run), self.sources.orders(run)) for run in members]
        params, orders = jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
        return LaneInputs(
            leaves=[
                np.stack([np.asarray(leaf) for leaf in column], dtype=jnp.result_type(column[0]))
                for column in columns
            ],
            key_data=np.stack([self.sources.key_data(run) for run in members]),
            params=params,
            orders=orders,
        )

    def shapes(self, lanes: int) -> LaneInputs:
        """Shapes and dtypes of the inputs of so many lanes."""
        run, epochs = self.group.runs[0], self.sources.epochs
        key_data, params = self.sources.shapes(run)
        orders = jax.ShapeDtypeStruct((epochs, self.group.num_examples), np.int32)
        has_orders = self.sources.has_orders(run)
        one = LaneInputs(self.group.lanes[0], key_data, params, orders if has_orders else None)
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((lanes, *np.shape(x)), jnp.result_type(x)), one)

    def slots(self, lanes: int) -> Slots:
        """Shapes and dtypes of so many lanes on their way."""
        one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), self.shapes(1))
        slot = jax.eval_shape(
            lambda shared, lane: initial_slot(self.group, self.sources.epochs, shared, lane), self.shared, one
        )
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((lanes, *x.shape), x.dtype), slot)


def prepare(group: Group, recipe: Recipe, devices: Sequence[Any], sources: Sources) -> Ready:
    """The group with its program, compiled here unless a group of the same kind was before."""
    started = time.perf_counter()
    inputs = Inputs(group, sources)
    key = _key(inputs, recipe, devices)
    if key not in _COMPILED:
        while len(_COMPILED) >= _MAX_COMPILED:
            _COMPILED.pop(next(iter(_COMPILED)))
        _COMPILED[key] = compile_for(inputs, recipe, devices)
    return Ready(group, recipe, _COMPILED[key], inputs, time.perf_counter() - started)


def compile_for(inputs: Inputs, recipe: Recipe, devices: Sequence[Any]) -> Any:
    """The group's program, compiled."""
    group, epochs, num = inputs.group, inputs.sources.epochs, inputs.group.num_examples
    flags = jax.ShapeDtypeStruct((recipe.slots,), np.bool_)
    lanes, slots = inputs.shapes(recipe.slots), inputs.slots(recipe.slots)
    arguments = abstract((inputs.shared, lanes, slots, Occupancy(flags, flags), extent(0, num, num)))
    lowered = build_program(group, recipe, epochs, devices).lower(*arguments)
    check_unchanged(group.runs[0].trainer)  # since the program is traced in a thread, when others may act
    return lowered.compile()


def _key(inputs: Inputs, recipe: Recipe, devices: Sequence[Any]) -> Any:
    """What the program is kept under."""
    arguments = abstract((inputs.shared, inputs.shapes(1)))
    return (
        inputs.group.structure,
        tuple(inputs.group.shared),
        inputs.sources.epochs,
        recipe,
        tuple(devices),
        str(jax.dtypes.canonicalize_dtype(float)),
        jax.config.jax_default_matmul_precision,  # pyright: ignore[reportAttributeAccessIssue]
        jax.tree.structure(arguments),
        tuple((leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(arguments)),
    )
