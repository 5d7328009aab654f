"""The program of a group: lanes over devices, and on each device one lane after the other or all at once."""

import contextlib
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxgd.sweeps.grid import Group
from jaxgd.training.fitting import advance
from jaxgd.training.history import empty_history
from jaxgd.training.loop import finish
from jaxgd.training.states import initial_state
from jaxgd.training.trainers import Trainer

# Memory that the inputs and outputs of one call may take, in bytes.
_MAX_BYTES = 2**28

# What an update takes at least on a CPU core, and what a core computes: rough, to tell short runs from long.
_UPDATE_SECONDS, _FLOPS_PER_SECOND = 1e-5, 5e9
# Below so many seconds of running, a quicker compile saves more than slower code costs.
_SHORT_SECONDS = 5.0


class Recipe(NamedTuple):
    """What the bits of a lane depend on, besides versions and device kind.

    kind: "map" (a device runs its lanes one after the other, each with the bits of a run alone) or "vmap"
    (all at once). lanes: per device and call. devices: how many.
    """

    kind: str
    lanes: int
    devices: int


class LaneInputs(NamedTuple):
    """What each lane of a call gets, with a leading axis over lanes.

    leaves: of its trainer. key_data: uint32[lanes, ...]. params: initial parameters. orders:
    int32[lanes, epochs, num_examples].
    """

    leaves: list[Any]
    key_data: Any
    params: Any
    orders: Any


class Extent(NamedTuple):
    """How far a call runs its lanes: epochs int32[], and bool[] whether to evaluate after each.

    Both are values of the program, so that it also serves to time updates; and since XLA does not know the
    number of epochs, the loops compile as they do in `fit`, and a lane has the bits of a run alone.
    """

    epochs: Any
    evaluate: Any


def whole_run(epochs: int) -> Extent:
    """The extent of a run from its start to its end."""
    return Extent(np.int32(epochs), np.bool_(True))


class LaneResults(NamedTuple):
    """What each lane of a call gives, with a leading axis over lanes."""

    params: Any
    model_state: Any
    history: dict[str, Any]
    status: Any
    stopped_at: Any


def choose_recipe(one: LaneInputs, devices: Sequence[Any], num_lanes: int) -> Recipe:
    """On a CPU eight lanes a call, one after the other; elsewhere as many at once as there are and fit.

    `one` is the inputs of one lane, or their shapes.
    """
    lane_bytes = num_bytes(one.orders) + 2 * num_bytes(one.params)
    fitting = max(1, _MAX_BYTES // (len(devices) * lane_bytes or 1))
    if devices[0].platform == "cpu":
        return Recipe("map", min(8, fitting), len(devices))
    return Recipe("vmap", min(-(-num_lanes // len(devices)), 1024, fitting), len(devices))


def num_bytes(tree: Any) -> int:
    """The bytes of the arrays in a tree."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def build_program(group: Group, recipe: Recipe, epochs: int, devices: Sequence[Any]) -> Callable:
    """The jitted `(shared, inputs, counts, extent) -> LaneResults` of a group.

    `counts` is int32[devices]: of the lanes that each device holds, only so many are run. `extent` says how
    far each goes.
    """
    mesh = jax.make_mesh((recipe.devices,), ("lanes",), devices=devices, axis_types=(AxisType.Auto,))
    whole, split = PartitionSpec(), PartitionSpec("lanes")

    def on_device(shared, inputs, counts, extent):
        run = functools.partial(_run_lane, group, shared, epochs, extent)
        if recipe.kind == "vmap":
            return jax.vmap(run)(inputs)
        return _run_in_turn(run, inputs, counts[0])

    sharded = jax.shard_map(
        on_device, mesh=mesh, in_specs=(whole, split, split, whole), out_specs=split, check_vma=False
    )
    on_all, by_lane = NamedSharding(mesh, whole), NamedSharding(mesh, split)
    return jax.jit(sharded, in_shardings=(on_all, by_lane, by_lane, on_all))


def compile_program(lowered: Any, platform: str, num_updates: float) -> Any:
    """The compiled program, which will make about `num_updates` updates on each device.

    On a CPU a program that will run for a short while is compiled by XLA's older emitters: in about two
    thirds of the time, to code that is up to a quarter slower and gave the same bits wherever it was tried.
    """
    flops = (lowered.cost_analysis() or {}).get("flops", 0.0)  # of one update: XLA counts a loop's body once
    seconds = num_updates * max(_UPDATE_SECONDS, flops / _FLOPS_PER_SECOND)
    if platform == "cpu" and seconds < _SHORT_SECONDS:
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # an XLA that has these emitters no more
            return lowered.compile(compiler_options={"xla_cpu_use_fusion_emitters": False})
    return lowered.compile()


def _run_in_turn(run: Callable, inputs: LaneInputs, count: jax.Array) -> LaneResults:
    """The results of the first `count` lanes, one lane after the other; zeros for the rest."""
    lanes = inputs.key_data.shape[0]
    one = jax.eval_shape(run, jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), inputs))
    empty = jax.tree.map(lambda x: jnp.zeros((lanes, *x.shape), x.dtype), one)

    def step(lane, results):
        result = run(jax.tree.map(lambda x: x[lane], inputs))
        return jax.tree.map(lambda all_lanes, x: all_lanes.at[lane].set(x), results, result)

    return jax.lax.fori_loop(0, count, step, empty)


def _run_lane(group: Group, shared: list[Any], epochs: int, extent: Extent, lane: LaneInputs) -> LaneResults:
    trainer: Trainer = group.trainer(lane.leaves, shared)
    key = jax.random.wrap_key_data(lane.key_data)
    state = initial_state(trainer, key, lane.params)
    history = empty_history(trainer, epochs)
    num = trainer.problem.num_examples
    stop = (extent.epochs - 1, num)
    state, history = advance(trainer, state, history, lane.orders, 0, (0, 0), stop, extent.evaluate)
    state = finish(trainer, state)
    return LaneResults(state.params, state.model_state, history, state.status, state.stopped_at)


def with_settings_of_caller(function: Callable) -> Callable:
    """`function` for another thread, under the JAX settings of this one, set for a thread each."""
    x64 = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    precision = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]

    @functools.wraps(function)
    def run(*arguments):
        with jax.enable_x64(x64), jax.default_matmul_precision(precision):
            return function(*arguments)

    return run


def abstract(tree: Any) -> Any:
    """Shapes and dtypes as JAX would take them in."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(np.shape(x), jax.dtypes.canonicalize_dtype(x.dtype)), tree
    )
