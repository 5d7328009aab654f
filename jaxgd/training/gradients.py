"""The exact gradient of a batch's mean loss, and means over a whole split."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgd.training.batching import take
from jaxgd.training.problem import Problem, num_examples, takes_keys

# Validation runs in chunks of this many examples, so that its memory does not grow with the split.
_CHUNK = 4096


class BatchLoss(NamedTuple):
    """What a batch gives: gradients (params' shapes), `sum(w * l)` [] and `sum(w)` [].

    The gradients are those of the sum while micro-batches are added up, and of `sum(w * l) / sum(w)` after.
    """

    grads: Any
    loss: jax.Array
    weight: jax.Array


def example_losses(
    problem: Problem, params: Any, batch: Any, keys: Any = None
) -> tuple[jax.Array, jax.Array | None]:
    """`(losses, weights)`, both `[batch]`; weights are constants, and None where the loss gives none."""
    options = {"keys": keys} if takes_keys(problem.loss) else {}
    losses = problem.loss(params, batch, **options)
    weights = None
    if isinstance(losses, tuple):
        if len(losses) != 2:
            raise ValueError(f"loss must return losses, or (losses, weights), got {len(losses)} values")
        losses, weights = losses
    size = num_examples(batch)
    _check_vector("loss", losses, size)
    losses = losses.astype(jnp.promote_types(losses.dtype, jnp.float32))
    if weights is None:
        return losses, None
    _check_vector("the weights of loss", weights, size)
    return losses, jax.lax.stop_gradient(weights).astype(losses.dtype)


def _check_vector(name: str, values: Any, size: int) -> None:
    if jnp.shape(values) != (size,):
        scalar = "; a mean or sum over the batch must be dropped" if jnp.shape(values) == () else ""
        raise ValueError(
            f"{name} must return one number per example, shape ({size},), got {jnp.shape(values)}{scalar}"
        )


def batch_gradient(
    problem: Problem, params: Any, batch: Any, keys: Any, mask: jax.Array | None, mean: bool
) -> tuple[BatchLoss, bool]:
    """The gradient of the weighted sum of losses, or of their weighted mean; nothing where `mask` is False.

    Also whether the problem has weights. The mean is taken before the derivative: dividing gradients
    afterwards would cost a pass over them.
    """
    is_weighted = False

    def objective(params):
        nonlocal is_weighted
        losses, weights = example_losses(problem, params, batch, keys)
        is_weighted = weights is not None
        loss, weight = _weighted_sums(losses, weights, mask)
        return (loss / _or_one(weight) if mean else loss), (loss, weight)

    (_, (loss, weight)), grads = jax.value_and_grad(objective, has_aux=True)(params)
    return BatchLoss(grads, loss, weight), is_weighted


def _weighted_sums(losses: jax.Array, weights: Any, mask: Any) -> tuple[jax.Array, jax.Array]:
    """`sum(w * l)` and `sum(w)` where `mask` is True or None; weights of None are 1."""
    weights = jnp.ones_like(losses) if weights is None else weights
    if mask is not None:
        weights, losses = jnp.where(mask, weights, 0), jnp.where(mask, losses, 0)
    return jnp.sum(weights * losses), jnp.sum(weights)


def mean_of_sums(total: BatchLoss, params: Any) -> BatchLoss:
    """The batch's mean gradient from the sum over its micro-batches, in the dtypes of `params`."""
    divisor = _or_one(total.weight)
    grads = jax.tree.map(lambda g, p: (g / divisor).astype(p.dtype), total.grads, params)
    return total._replace(grads=grads)


def _or_one(weight: jax.Array) -> jax.Array:
    return jnp.where(weight == 0, 1, weight)


def squared_norm(tree: Any) -> jax.Array:
    """The sum of squares over all leaves, at least in float32."""
    return sum((_squares(leaf) for leaf in jax.tree.leaves(tree)), start=jnp.zeros(()))


def _squares(leaf: jax.Array) -> jax.Array:
    leaf = leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32))
    squares = jnp.square(jnp.abs(leaf)) if jnp.iscomplexobj(leaf) else leaf * leaf
    if squares.ndim < 2 or not squares.size:
        return jnp.sum(squares)
    # A product with ones: XLA on a CPU adds up a long array one number at a time, but vectorises a product.
    columns = jnp.ones((1, squares.size // squares.shape[-1]), squares.dtype)
    flat = squares.reshape(-1, squares.shape[-1])
    return jnp.sum(jnp.matmul(columns, flat, precision=jax.lax.Precision.HIGHEST))


def split_means(problem: Problem, params: Any, data: Any) -> dict[str, jax.Array]:
    """The mean loss, `sum(w * l) / sum(w)`, and the mean of each metric over `data`, in evaluation mode."""
    size = num_examples(data)
    chunk = min(size, _CHUNK)

    def chunk_sums(start):
        positions = start + jnp.arange(chunk)
        batch = take(data, jnp.minimum(positions, size - 1))
        return _chunk_sums(problem, params, batch, positions < size)

    if chunk == size:
        sums = _chunk_sums(problem, params, data, None)
    else:
        parts = jax.lax.map(chunk_sums, jnp.arange(0, size, chunk))
        sums = jax.tree.map(lambda part: jnp.sum(part, axis=0), parts)
    loss, weight, metrics = sums
    means = {name: total / size for name, total in metrics.items()}
    return {"loss": loss / _or_one(weight), **means}


def _chunk_sums(problem, params, batch, mask):
    losses, weights = example_losses(problem, params, batch)
    metrics = {}
    for name, metric in problem.metrics.items():
        values = metric(params, batch)
        _check_vector(f"metric {name!r}", values, num_examples(batch))
        metrics[name] = jnp.sum(values if mask is None else jnp.where(mask, values, 0))
    return *_weighted_sums(losses, weights, mask), metrics


@functools.partial(jax.jit, static_argnums=2)
def _evaluate(problem, params, split):
    return split_means(problem, params, problem.split(split))


def evaluate(problem: Problem, params: Any, split: str = "valid") -> dict[str, jax.Array]:
    """The mean loss and the mean of every metric over a split, in evaluation mode (no dropout).

    Args:
        problem: the problem.
        params: parameters as its `init` gives them.
        split: "train", "valid" or "test".

    Raises:
        ValueError: an unknown split, or one that the problem does not have.
    """
    problem.split(split)
    return _evaluate(problem, params, split)
