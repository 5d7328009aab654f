"""A group made ready to run: its program compiled, its inputs at hand."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.sweeps.grid import Group, Run
from jaxgd.sweeps.programs import (
    LaneInputs,
    Recipe,
    abstract,
    build_program,
    choose_recipe,
    compile_program,
    whole_run,
)
from jaxgd.training.batching import epoch_orders
from jaxgd.training.fitting import initial_params

# Compiled programs by structure, shapes and recipe, so that a second sweep of the same kind compiles nothing.
_COMPILED: dict[Any, Any] = {}
_MAX_COMPILED = 256


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
        return self._once(key, lambda: initial_params(run.trainer.problem.init, jax.random.key(run.seed)))

    def orders(self, run: Run) -> Any:
        """The run's epoch orders: int32[epochs, num_examples]."""
        num, sampling = run.trainer.problem.num_examples, run.trainer.order_sampling
        if sampling == "sequential":
            return np.broadcast_to(np.arange(num, dtype=np.int32), (self.epochs, num))
        key = ("orders", num, sampling, run.seed)
        return self._once(key, lambda: epoch_orders(jax.random.key(run.seed), 0, self.epochs, num, sampling))

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

    def gather(self, lanes: Sequence[int]) -> LaneInputs:
        """The inputs of these lanes of the group."""
        runs = [self.group.runs[lane] for lane in lanes]
        columns = zip(*(self.group.lanes[lane] for lane in lanes), strict=True)
        seeds = {run.seed: np.asarray(jax.random.key_data(jax.random.key(run.seed))) for run in runs}
        return LaneInputs(
            leaves=[
                np.stack([np.asarray(leaf) for leaf in column], dtype=jnp.result_type(column[0]))
                for column in columns
            ],
            key_data=np.stack([seeds[run.seed] for run in runs]),
            params=jax.tree.map(
                lambda *leaves: np.stack(leaves), *(self.sources.params(run) for run in runs)
            ),
            orders=np.stack([self.sources.orders(run) for run in runs]),
        )

    def shapes(self, lanes: int) -> LaneInputs:
        """Shapes and dtypes of the inputs of so many lanes."""
        run, epochs = self.group.runs[0], self.sources.epochs
        key = jax.eval_shape(lambda: jax.random.key(run.seed))
        one = LaneInputs(
            leaves=self.group.lanes[0],
            key_data=jax.eval_shape(jax.random.key_data, key),
            params=jax.eval_shape(initial_params, run.trainer.problem.init, key),
            orders=jax.ShapeDtypeStruct((epochs, run.trainer.problem.num_examples), np.int32),
        )
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((lanes, *np.shape(x)), jnp.result_type(x)), one)


def prepare(group: Group, devices: Sequence[Any], sources: Sources) -> Ready:
    """The group with its program, compiled here unless a group of the same kind was before."""
    started = time.perf_counter()
    inputs, epochs = Inputs(group, sources), sources.epochs
    recipe = choose_recipe(inputs.shapes(1), devices, len(group.runs))
    lanes, counts = inputs.shapes(recipe.lanes * recipe.devices), np.zeros(recipe.devices, np.int32)
    arguments = abstract((inputs.shared, lanes, counts, whole_run(epochs)))
    key = (
        group.structure,
        tuple(group.shared),
        epochs,
        recipe,
        tuple(devices),
        str(jax.dtypes.canonicalize_dtype(float)),
        jax.config.jax_default_matmul_precision,  # pyright: ignore[reportAttributeAccessIssue]
        jax.tree.structure(arguments),
    )
    key = (*key, tuple((leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(arguments)))
    if key not in _COMPILED:
        while len(_COMPILED) >= _MAX_COMPILED:
            _COMPILED.pop(next(iter(_COMPILED)))
        lowered = build_program(group, recipe, epochs, devices).lower(*arguments)
        num_updates = epochs * group.updates_per_epoch / recipe.devices
        _COMPILED[key] = compile_program(lowered, devices[0].platform, num_updates)
    return Ready(group, recipe, _COMPILED[key], inputs, time.perf_counter() - started)
