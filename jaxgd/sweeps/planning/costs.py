"""What a sweep's programs will cost: rough seconds to compile and to run, from shapes alone.

The constants are of one CPU core and of small models, from the measurements in docs/benchmarks.md. They only
have to tell apart alternatives that differ by much: a program more to compile, or twice as many updates.
"""

import math
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.sweeps.groups import steps_per_epoch
from jaxgd.sweeps.planning.forms import Form
from jaxgd.training.gradients import example_losses
from jaxgd.training.trainers import Trainer

# Seconds to compile a program: at least, and more for each parameter array.
_COMPILE_SECONDS, _COMPILE_SECONDS_PER_LEAF = 1.1, 0.05
# What traced batch sizes and merged optimizers cost beyond that, and each further loop.
_MERGED_COMPILE, _GENERALIZED_COMPILE, _LOOP_COMPILE = 1.2, 1.85, 0.36
# Seconds of a gradient and update beside its arithmetic: of one example, of several, of a micro-batch with
# its bookkeeping. What of them is saved where several lanes move at once.
_STEP_SECONDS, _BATCH_SECONDS, _MICROBATCH_SECONDS = 2e-6, 4.5e-6, 1.5e-5
_SAVED_AT_ONCE, _BATCH_SAVED_AT_ONCE = 1e-6, 2.7e-6
# Of matrix products, and of an output of one, which other functions take further.
_SECONDS_PER_FLOP, _SECONDS_PER_OUTPUT = 1.2e-11, 2.5e-9
# Of parameters and states that fit into a core's cache, and of others.
_CACHED_BYTES_PER_SECOND, _BYTES_PER_SECOND, _CACHE = 6e10, 1.2e10, 2**20
# Passes over the parameters that an update makes: of an optimizer of its own, of a merged one, of a sum.
_PASSES, _GENERALIZED_PASSES, _SUM_PASSES = 6, 18, 3


class Work(NamedTuple):
    """What a run's steps work on.

    flops: of the matrix products and convolutions in one example's gradient. outputs: numbers that these
    give. bytes: of the parameters. leaves: their arrays.
    """

    flops: float
    outputs: float
    bytes: float
    leaves: int


def work_of(trainer: Trainer, params: Any) -> Work:
    """The work of a trainer's problem; `params` may be shapes."""
    batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype), trainer.problem.train)
    state = trainer.problem.model_state
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
    problem = trainer.problem

    def losses(params, batch, state, keys):
        return example_losses(problem, params, batch, state, keys, training=True).losses

    jaxpr = jax.make_jaxpr(losses)(params, batch, state, keys).jaxpr
    leaves = jax.tree.leaves(params)
    size = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
    flops, outputs = _products(jaxpr)
    # The gradient takes twice what the loss takes, and the loss itself once more.
    return Work(3 * (flops or size / 2), 3 * outputs, size, len(leaves))


def compile_seconds(work: Work, form: Form) -> float:
    """Seconds to compile the program of runs with this work."""
    seconds = _COMPILE_SECONDS + _COMPILE_SECONDS_PER_LEAF * work.leaves
    seconds *= _MERGED_COMPILE if form.microbatch is not None else 1
    seconds *= _GENERALIZED_COMPILE if form.is_generalized else 1
    return seconds * (1 + _LOOP_COMPILE * (len(form.sizes or ("one",)) - 1))


def run_seconds(
    work: Work, trainer: Trainer, epochs: int, is_generalized: bool = False, at_once: bool = False
) -> float:
    """Seconds of one run on one core of a CPU, alone or as one of those that move at once."""
    rate = _CACHED_BYTES_PER_SECOND if 4 * work.bytes < _CACHE else _BYTES_PER_SECOND
    steps, num = steps_per_epoch(trainer), trainer.problem.num_examples
    passes = _GENERALIZED_PASSES if is_generalized else _PASSES
    smallest = float(np.min(trainer.examples_per_batch))
    fixed, updates = (_STEP_SECONDS if smallest == 1 else _BATCH_SECONDS), steps
    if at_once:
        fixed -= _SAVED_AT_ONCE if smallest == 1 else _BATCH_SAVED_AT_ONCE
    if trainer.microbatch.value is not None:
        updates = num / smallest
        fixed = _MICROBATCH_SECONDS + _SUM_PASSES * work.bytes / rate
    moved = updates * passes * work.bytes / rate
    gradient = work.flops * _SECONDS_PER_FLOP + work.outputs * _SECONDS_PER_OUTPUT
    return epochs * (steps * fixed + num * gradient + moved)


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(getattr(value, "jaxpr", None), "eqns")


def _products(jaxpr: Any) -> tuple[float, float]:
    """Flops and outputs of its matrix products and convolutions."""
    flops, outputs = 0.0, 0.0
    for equation in jaxpr.eqns:
        repeats = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(inner):
                more, given = _products(getattr(inner, "jaxpr", inner))
                flops, outputs = flops + repeats * more, outputs + repeats * given
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            summed = math.prod(shape[i] for i in contracted)
        elif equation.primitive.name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            summed = math.prod(kernel) / kernel[equation.params["dimension_numbers"].rhs_spec[0]]
        else:
            continue
        size = math.prod(equation.outvars[0].aval.shape)
        flops, outputs = flops + 2 * size * summed, outputs + size
    return flops, outputs
