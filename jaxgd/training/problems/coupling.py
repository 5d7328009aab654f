"""Whether an example's loss depends on the others in its batch, though the problem does not say so."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.operations import operations_of
from jaxgd.training.batching import take
from jaxgd.training.gradients import example_losses
from jaxgd.training.problems.problem import Problem

# Examples in a company, and how many of them are looked at beside copies of themselves.
_COMPANY, _ALONE = 8, 4
# Relative change up to which losses are equal: this, or so many units in the last place of the coarsest
# floating dtype in the loss.
_TOLERANCE, _ULPS = 1e-3, 8
# Losses of more equations than this are not looked at: compiling them would take seconds.
_MOST_EQUATIONS = 5000
# How far parameters are moved, in parts of their size: at a start of zeros most losses are alike.
_MOVED = 0.3

# Problems that have been looked at, by structure and shapes.
_KNOWN: dict[Any, None] = {}
_MAX_KNOWN = 256


def check_coupling(problem: Problem, params: Any, batch_size: Any = None) -> None:
    """Raise ValueError if an example's loss is another beside other examples, or in another place.

    A few training examples, all with one key, are put into two companies: beside each other, and each beside
    copies of itself. Once for every structure of loss, parameters and data. A problem that says whether its
    examples are coupled is not looked at, nor is a loss that cannot be computed of few examples.

    Args:
        problem: the problem.
        params: its initial parameters, concrete.
        batch_size: a size that the loss is known to be made for, tried where a few examples are no batch.
    """
    if problem.coupled.value is not None or problem.num_examples == 1:
        return
    known = _structure(problem, params)
    if known in _KNOWN:
        return
    for size in [_COMPANY, batch_size] if isinstance(batch_size, int) else [_COMPANY]:
        if _compare(problem, params, min(size, problem.num_examples)):
            break
    while len(_KNOWN) >= _MAX_KNOWN:
        _KNOWN.pop(next(iter(_KNOWN)))
    _KNOWN[known] = None


def _structure(problem: Problem, params: Any) -> Any:
    leaves, structure = jax.tree.flatten((problem.loss, problem.model_state, params, problem.train))
    return structure, tuple((np.shape(leaf), getattr(leaf, "dtype", type(leaf))) for leaf in leaves)


def _compare(problem: Problem, params: Any, size: int) -> bool:
    """Whether losses of batches of this size could be compared.

    Raises:
        ValueError: they differ.
    """
    rows = np.linspace(0, problem.num_examples - 1, size).astype(np.int32)
    try:
        compute, tolerance = _program(problem, jax.device_get(params), size)
        companies = [rows, *(np.full_like(rows, row) for row in rows[:_ALONE])]
        for given in (_moved(params), jax.device_get(params)):
            together, *alone = (compute(given, company) for company in companies)
            if np.isfinite(together).any(axis=1).all():
                break
        else:
            return False
    except Exception:  # whatever is wrong with the loss, the run itself will say
        return False
    scales = np.abs(together)
    finite = np.isfinite(scales)
    means = np.sum(scales, axis=1, keepdims=True, where=finite) / np.maximum(finite.sum(1, keepdims=True), 1)
    scales = np.maximum(scales, means)
    for place, others in enumerate(alone):
        # Losses and weights of one example, and of it in every place.
        before, allowed = together[:, place, None], tolerance * scales[:, place, None]
        with np.errstate(invalid="ignore"):
            is_same = np.abs(others - before) <= allowed
        if np.any(np.isfinite(before) & ~is_same):
            raise ValueError(
                f"loss of example {rows[place]} changes when other examples do: Problem(..., coupled=True) "
                "keeps its batches whole, coupled=False trains all the same"
            )
    return True


class _Part(NamedTuple):
    """What a loss needs of its problem."""

    loss: Any
    model_state: Any


def _program(problem: Problem, params: Any, size: int) -> tuple[Callable, float]:
    """The function `(params, rows [size]) -> [2, size]`, losses and weights, and how far they may differ.

    Raises:
        ValueError: compiling it would take long.
    """

    def losses(part, params, data, key_data, rows):
        keys = jax.random.wrap_key_data(jnp.broadcast_to(key_data, (size, *key_data.shape)))
        batch = take(data, rows)
        found = example_losses(part, params, batch, part.model_state, keys, training=True)
        weights = jnp.ones_like(found.losses) if found.weights is None else found.weights
        return jnp.stack([found.losses, weights])

    shape = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0))).shape
    key_data = np.arange(np.prod(shape), dtype=np.uint32).reshape(shape)
    part: Any = _Part(problem.loss, problem.model_state)
    traced = jax.jit(losses).trace(part, params, problem.train, key_data, np.arange(size, dtype=np.int32))
    equations = list(operations_of(traced.jaxpr.jaxpr))
    if len(equations) > _MOST_EQUATIONS:
        raise ValueError(f"the loss has {len(equations)} equations")
    dtypes = {getattr(var.aval, "dtype", bool) for equation in equations for var in equation.outvars}
    units = [float(jnp.finfo(dtype).eps) for dtype in dtypes if jnp.issubdtype(dtype, jnp.floating)]
    options: Any = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    compiled = traced.lower().compile(compiler_options=options)
    part, data, key_data = jax.device_put((part, problem.train, key_data))  # once: the data may be large

    def compute(params, rows):
        params, rows = jax.device_put((params, rows))
        return jax.device_get(compiled(part, params, data, key_data, rows)).astype(np.float64)

    return compute, max(_TOLERANCE, _ULPS * max(units, default=0.0))


def _moved(params: Any) -> Any:
    """The parameters moved a little, without a pattern that layers share."""
    numbers = np.random.default_rng(0).normal(size=4099)

    def move(leaf):
        leaf = jax.device_get(leaf)
        if not jnp.issubdtype(leaf.dtype, jnp.inexact) or not leaf.size:
            return leaf
        size = np.sqrt(np.mean(np.square(np.abs(leaf), dtype=np.float32))) or 1.0
        return leaf + (_MOVED * size * np.resize(numbers, leaf.shape)).astype(leaf.dtype)

    return jax.tree.map(move, params)
