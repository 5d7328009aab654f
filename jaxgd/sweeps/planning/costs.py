"""What a sweep's programs will cost: rough seconds to compile and to run, and what fits, from shapes."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.machine.devices import free_bytes
from jaxgd.operations import is_jaxpr
from jaxgd.sweeps.groups import largest_batch, steps_per_epoch
from jaxgd.sweeps.planning.constants import CORE, Core
from jaxgd.sweeps.planning.plans import Recipe
from jaxgd.training.gradients import CHUNK, example_losses
from jaxgd.training.problems.problem import num_examples
from jaxgd.training.trainers import Trainer


class Work(NamedTuple):
    """What a run's steps work on.

    flops, conv_flops: of the matrix products, and of the convolutions, in one example's gradient. outputs:
    numbers that these give. convs: convolutions of the loss. channels: of what they give. bytes: of the
    parameters. leaves: their arrays. moments: how many times as large as they the optimizer's state is. row:
    bytes of an example.
    """

    flops: float
    outputs: float
    bytes: float
    leaves: int
    conv_flops: float = 0.0
    convs: float = 0.0
    channels: float = 0.0
    moments: float = 1.0
    row: float = 0.0


def work_of(trainer: Trainer, params: Any) -> Work:
    """The work of a trainer; `params` may be shapes."""
    batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype), trainer.problem.train)
    state = trainer.problem.model_state
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
    problem = trainer.problem

    def losses(params, batch, state, keys):
        return example_losses(problem, params, batch, state, keys, training=True).losses

    jaxpr = jax.make_jaxpr(losses)(params, batch, state, keys).jaxpr
    size, found = num_bytes(params), products(jaxpr)
    moments = num_bytes(jax.eval_shape(trainer.optimizer.init, params)) / max(size, 1)
    # The gradient takes twice what the loss takes, and the loss itself once more.
    flops = found.flops or (0 if found.convs else size / 2)
    arithmetic = {"flops": 3 * flops, "outputs": 3 * found.outputs, "conv_flops": 3 * found.conv_flops}
    leaves = len(jax.tree.leaves(params))
    convs = {"convs": found.convs, "channels": found.channels}
    return Work(**arithmetic, **convs, bytes=size, leaves=leaves, moments=moments, row=num_bytes(batch))


def compile_seconds(work: Work, recipe: Recipe, loops: int = 1, core: Core = CORE) -> float:
    """Seconds to compile the program of runs with this work, with so many loops."""
    seconds = core.compile + core.compile_leaf * work.leaves * (1 + work.moments)
    seconds += core.compile_conv * work.convs
    seconds *= core.compile_micro if recipe.microbatch is not None else 1
    seconds *= core.compile_general if recipe.generalized else 1
    return seconds * (1 + core.compile_loop * (loops - 1))


def run_seconds(
    work: Work,
    trainer: Trainer,
    epochs: int,
    recipe: Recipe,
    width: int = 1,
    sharing: int = 1,
    core: Core = CORE,
) -> float:
    """Seconds of one run on one core of a CPU, alone or as one of `width` that move at once.

    Of those, `sharing` have their batches in common, which are then gathered once for all of them.

    Such as for an MLP 64-32-10 (2,410 parameters, 9.6 kB, 14,208 flops and 126 outputs in an example's
    gradient) on 1,000 examples by SGD at batch size 50: an epoch of 20 updates takes 20 * 4.5 us beside its
    arithmetic, 1,000 * (14,208 * 12 ps + 126 * 2.5 ns) = 0.5 ms of arithmetic, 1,000 * 260 bytes * 0.3 ns =
    78 us to gather examples, and 20 * 4 passes over 9.6 kB at 60 GB/s = 13 us of updates: 0.7 ms. Validation
    after each epoch takes a third of a gradient's arithmetic for each of its examples.
    """
    rate = core.cached if 4 * work.bytes < core.cache else core.uncached
    steps, num = steps_per_epoch(trainer), trainer.problem.num_examples
    passes = core.general_passes if recipe.generalized else core.passes + 2 * work.moments
    smallest = float(np.min(trainer.examples_per_batch))
    fixed, updates = (core.step if smallest == 1 else core.batch), steps
    if width > 1:  # what is saved was measured at the default width: two lanes save half of what many do
        part = min(1.0, (1 - 1 / width) / (1 - 1 / core.width))
        fixed -= part * (core.step_saved if smallest == 1 else core.batch_saved)
    if trainer.microbatch.value is not None:
        updates = num / smallest
        fixed = core.micro + core.sum_passes * work.bytes / rate
    moved = updates * passes * work.bytes / rate
    examples = num + _num_valid(trainer) / 3
    if sharing > 1:
        work = work._replace(conv_flops=work.conv_flops * core.conv_shared)
    gathered = 0 if trainer.order_sampling == "sequential" else num * work.row * core.gather / sharing
    return epochs * (steps * fixed + examples * example_seconds(work, core) + gathered + moved)


def example_seconds(work: Work, core: Core = CORE) -> float:
    """Seconds of the arithmetic of one example's gradient."""
    multiplied = work.flops * core.flop + work.outputs * core.output
    return multiplied + work.conv_flops * core.conv_flop


def _num_valid(trainer: Trainer) -> int:
    """The number of validation examples."""
    leaves = jax.tree.leaves(trainer.problem.valid)
    return leaves[0].shape[0] if leaves else 0


def pays(apart: float, merged: float, core: Core = CORE) -> bool:
    """Whether merging saves enough."""
    return merged * core.gain <= apart and merged + core.saved <= apart


def default_kind(devices: Sequence[Any]) -> str:
    """In turn on a CPU, where a lane's state then stays in the cache; at once elsewhere."""
    return "map" if devices[0].platform == "cpu" else "vmap"


def fitting_lanes(
    kind: str, num_lanes: int, devices: Sequence[Any], lane_bytes: float, fixed: float, core: Core = CORE
) -> int:
    """How many lanes a device takes, if each needs so many bytes beside `fixed` ones.

    In turn, an empty place costs little: with as many places always, few runs use the program of many; one
    run for a device has a program that takes no more. At once a place costs as much as another: of 100 lanes
    of which 78 fit, 50 move in each of two rounds.
    """
    each = -(-num_lanes // len(devices))
    in_turn = 1 if each == 1 else max(1, min(core.lanes, int(core.lanes_bytes / max(lane_bytes, 1))))
    wanted = min(each, core.lanes_at_once) if kind == "vmap" else in_turn
    free = free_bytes(devices)
    fits = int((free / core.margin - fixed) / max(lane_bytes, 1e-9)) if free else wanted
    most = max(1, min(wanted, fits))
    return -(-each // -(-each // most)) if kind == "vmap" else most


def step_bytes(work: Work, trainer: Trainer, microbatch: int | None = None) -> float:
    """Bytes of a step of one of many lanes beside its parameters: its examples, and what products give.

    Such as for an MLP 784-256-10 (798 outputs in an example's gradient) at 4,096 examples: 4,096 * (3,136 of
    an input + 4 * 798) = 26 MB, where its parameters are 0.8 MB. Rows that are validated count as well.
    """
    problem, size = trainer.problem, microbatch or trainer.microbatch.value or largest_batch(trainer)
    example = num_bytes(problem.train) / problem.num_examples
    validated = 0 if problem.valid is None else min(num_examples(problem.valid), CHUNK)
    return max(size * (example + 4 * work.outputs), validated * 4 * work.outputs)


def fitting_width(work: Work, core: Core = CORE) -> int:
    """How many lanes in turn are best moved at once where steps are short.

    It is a power of two where there are no convolutions. Lanes of one convolution each, if they share their
    batches, are one convolution of as many channels as theirs together, quicker than theirs while it has few.
    """
    fits = max(1, min(core.width, int(core.width_bytes / max(3 * work.bytes, 1))))
    if work.convs:
        return max(1, min(fits, int(core.channels / work.channels)))
    return 2 ** (fits.bit_length() - 1)


def num_bytes(tree: Any) -> int:
    """The bytes of the arrays in a tree."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


class Products(NamedTuple):
    """Flops of matrix products and of convolutions, numbers that both give, convolutions, their channels."""

    flops: float = 0.0
    outputs: float = 0.0
    conv_flops: float = 0.0
    convs: float = 0.0
    channels: float = 0.0


def products(jaxpr: Any) -> Products:
    """The matrix products and convolutions of a function."""
    parts = [Products()]
    for equation in jaxpr.eqns:
        repeats = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=is_jaxpr):
            if is_jaxpr(inner):
                found = products(getattr(inner, "jaxpr", inner))
                parts.append(Products(*(repeats * number for number in found)))
        size = math.prod(equation.outvars[0].aval.shape) if equation.outvars else 0
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            parts.append(Products(2 * size * math.prod(shape[i] for i in contracted), size))
        elif equation.primitive.name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            channels = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
            parts.append(Products(0.0, size, 2 * size * math.prod(kernel) / channels, 1, channels))
    return Products(*map(sum, zip(*parts, strict=True)))
