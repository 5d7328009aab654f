"""The exact gradient of a batch's mean loss, and means over a whole split."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxgd.aliases import Batch, FloatScalar, ModelState, Params, Split, Updates
from jaxgd.numerics import common_dtype, in_common_dtype, squared_norm
from jaxgd.optim.in_place import value_and_gradient
from jaxgd.tracing import explained
from jaxgd.training.batching import take
from jaxgd.training.models.model import in_training
from jaxgd.training.problems.problem import Problem, num_examples

# Validation runs in chunks of this many examples, so that its memory does not grow with the split.
CHUNK = 4096
# Examples whose own gradients are there at once.
EXAMPLES_AT_ONCE = 64


class BatchLoss(NamedTuple):
    """What a batch gives: gradients, `sum(w * l)` and `sum(w)`.

    The gradients are those of the sum while micro-batches are added up, and of `sum(w * l) / sum(w)` after.
    squares: what `example_squares` gives, None where no rule reads of examples.
    """

    grads: Updates
    loss: FloatScalar
    weight: FloatScalar
    squares: FloatScalar | None = None


class Losses(NamedTuple):
    """What a loss gives: losses, weights or None where it gives none, the new model state."""

    losses: Float[jax.Array, " examples"]
    weights: Float[jax.Array, " examples"] | None
    model_state: ModelState


def example_losses(
    problem: Problem,
    params: Params,
    batch: Batch,
    model_state: ModelState,
    keys: Any = None,
    training: bool = False,
) -> Losses:
    """The losses of a batch's examples, checked; weights are constants."""
    with explained("loss", batch), in_training(training):
        returned = problem.loss(params, batch, keys=keys, model_state=model_state, training=training)
    parts = list(returned) if isinstance(returned, tuple) else [returned]
    if problem.model_state is not None:
        if len(parts) < 2:
            raise ValueError("loss must return (losses, new_model_state): the problem has a model_state")
        model_state = _checked_state(parts.pop(), model_state)
    if len(parts) > 2:
        raise ValueError(f"loss must return losses, or (losses, weights), got {len(parts)} values")
    losses, weights = parts if len(parts) == 2 else (parts[0], None)
    size = num_examples(batch)
    _check_vector("loss", losses, size)
    losses = losses.astype(common_dtype(losses.dtype, jnp.float32))
    if weights is not None:
        _check_vector("the weights of loss", weights, size)
        weights = jax.lax.stop_gradient(weights).astype(losses.dtype)
    return Losses(losses, weights, model_state)


def _checked_state(new: Any, old: Any) -> Any:
    """The new model state in the dtypes of the old, as a constant."""
    shapes = [jax.tree.map(jnp.shape, state) for state in (new, old)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"loss must return a model_state of shapes {shapes[1]}, got {shapes[0]}")
    return jax.tree.map(lambda n, o: jax.lax.stop_gradient(n).astype(o.dtype), new, old)


def _check_vector(name: str, values: Any, size: int) -> None:
    if not isinstance(values, jax.Array | np.ndarray | np.generic | float | int):
        is_missing = "; is its return missing?" if values is None else ""
        raise ValueError(
            f"{name} must return one number per example, an array of shape ({size},), got "
            f"{type(values).__name__}{is_missing}"
        )
    if jnp.shape(values) != (size,):
        scalar = "; a mean or sum over the batch must be dropped" if jnp.shape(values) == () else ""
        raise ValueError(
            f"{name} must return one number per example, shape ({size},), got {jnp.shape(values)}{scalar}"
        )


def batch_gradient(
    problem: Problem,
    params: Params,
    batch: Batch,
    model_state: ModelState,
    keys: Any,
    mask: Bool[jax.Array, " examples"] | None,
    mean: bool,
) -> tuple[BatchLoss, bool, ModelState]:
    """The gradient of the weighted sum of losses, or of their weighted mean; nothing where `mask` is False.

    Also whether the problem has weights, and the new model state. The mean is taken before the derivative:
    dividing gradients afterwards would cost a pass over them.
    """
    is_weighted = False

    def objective(params):
        nonlocal is_weighted
        losses, weights, state = example_losses(problem, params, batch, model_state, keys, training=True)
        is_weighted = weights is not None
        loss, weight = weighted_sums(losses, weights, mask)
        return (loss / or_one(weight) if mean else loss), (loss, weight, state)

    (_, (loss, weight, state)), grads = value_and_gradient(objective, has_aux=True)(params)
    return BatchLoss(grads, loss, weight), is_weighted, state


def example_squares(
    problem: Problem,
    params: Params,
    batch: Batch,
    model_state: ModelState,
    keys: Any,
    mask: Bool[jax.Array, " examples"] | None,
) -> FloatScalar:
    """The sum of `w * |g|**2` for the gradient g of each example's own loss; nothing where `mask` is False.

    A pass of its own: in the batch's gradient the examples' gradients are added up before they are seen.
    """

    def of_one(example):
        one, key, is_in = jax.tree.map(lambda leaf: leaf[None], example)
        total, _, _ = batch_gradient(problem, params, one, model_state, key, is_in, mean=True)
        return total.weight * squared_norm(total.grads, of_one=True)

    return jnp.sum(jax.lax.map(of_one, (batch, keys, mask), batch_size=EXAMPLES_AT_ONCE))


def weighted_sums(
    losses: Float[jax.Array, " examples"], weights: Any, mask: Any
) -> tuple[FloatScalar, FloatScalar]:
    """`sum(w * l)` and `sum(w)` where `mask` is True or None; weights of None are 1.

    A loss of weight 0 is left out, whatever it is: padding may give an infinity, and 0 times that is NaN.
    """
    if weights is None:
        weights = jnp.ones_like(losses)
    else:
        losses = jnp.where(weights == 0, 0, losses)
    if mask is not None:
        weights, losses = jnp.where(mask, weights, 0), jnp.where(mask, losses, 0)
    return jnp.sum(weights * losses), jnp.sum(weights)


def mean_of_sums(total: BatchLoss, params: Params) -> BatchLoss:
    """The batch's mean gradient from the sum over its micro-batches, in the dtypes of `params`."""
    divisor = or_one(total.weight)

    def mean(gradient, parameter):
        gradient, by = in_common_dtype(gradient, divisor)
        return (gradient / by).astype(parameter.dtype)

    grads = jax.tree.map(mean, total.grads, params)
    return total._replace(grads=grads)


def or_one(weight: jax.Array) -> jax.Array:
    """What to divide by: 1 where all weights are 0."""
    return jnp.where(weight == 0, 1, weight)


def split_means(
    problem: Problem, params: Params, data: Split, model_state: ModelState
) -> dict[str, FloatScalar]:
    """The mean loss, `sum(w * l) / sum(w)`, and the mean of each metric over `data`, in evaluation mode.

    A coupled problem's data are one batch.
    """
    size = num_examples(data)
    chunk = size if problem.coupled.value else min(size, CHUNK)

    def chunk_sums(start):
        positions = start + jnp.arange(chunk)
        batch = take(data, jnp.minimum(positions, size - 1))
        return _chunk_sums(problem, params, batch, model_state, positions < size)

    if chunk == size:
        sums = _chunk_sums(problem, params, data, model_state, None)
    else:
        parts = jax.lax.map(chunk_sums, jnp.arange(0, size, chunk))
        sums = jax.tree.map(lambda part: jnp.sum(part, axis=0), parts)
    loss, weight, metrics = sums
    means = {name: total / size for name, total in metrics.items()}
    return {"loss": loss / or_one(weight), **means}


def _chunk_sums(problem, params, batch, model_state, mask):
    losses, weights, _ = example_losses(problem, params, batch, model_state)
    metrics = {
        name: jnp.sum(values if mask is None else jnp.where(mask, values, 0))
        for name, values in example_metrics(problem, params, batch, model_state).items()
    }
    return *weighted_sums(losses, weights, mask), metrics


def example_metrics(
    problem: Problem, params: Params, batch: Batch, model_state: ModelState
) -> dict[str, jax.Array]:
    """The value of each metric for each of a batch's examples, checked."""
    found = {}
    for name, metric in problem.metrics.items():
        with explained(f"metric {name!r}", batch):
            found[name] = metric(params, batch, keys=None, model_state=model_state, training=False)
        _check_vector(f"metric {name!r}", found[name], num_examples(batch))
    return found
