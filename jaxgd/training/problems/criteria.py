"""Losses and metrics that are functions of a model's outputs and of the targets."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgd.numerics import common_dtype, in_common_dtype
from jaxgd.pytrees import Static
from jaxgd.training.models.model import Asking, Model, asking


def loss_of(model: Model, criterion: Callable) -> Asking:
    """The loss `criterion(outputs, targets)` of a problem whose batches are `(inputs, targets)`."""
    names = ["keys"] if model.apply.asks("keys") else []
    if model.model_state is None:
        return asking(jax.tree_util.Partial(_loss, Static(criterion), model.apply), names)
    loss = jax.tree_util.Partial(_loss_and_state, Static(criterion), model.apply)
    return asking(loss, [*names, "model_state", "training"])


def metric_of(model: Model, criterion: Callable) -> Asking:
    """The metric `criterion(outputs, targets)` of such a problem."""
    if model.model_state is None:
        return asking(jax.tree_util.Partial(_loss, Static(criterion), model.apply), [])
    return asking(jax.tree_util.Partial(_metric_of_state, Static(criterion), model.apply))


def criterion_of(function: Callable) -> Callable | None:
    """The criterion of a loss or a metric that was made here, None of any other function."""
    function = function.function if isinstance(function, Asking) else function
    first = next(iter(getattr(function, "args", ())), None)
    return first.value if isinstance(first, Static) else None


def with_criterion(function: Asking, criterion: Callable) -> Asking:
    """The metric of the same model by another criterion, of a metric that was made here."""
    made = function.function
    return Asking(jax.tree_util.Partial(made.func, Static(criterion), *made.args[1:]), function.names)


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Softmax cross-entropy of class numbers, natural logarithm: [batch], a mean over places of sequences."""
    labels = jnp.asarray(labels)
    shifted = logits.astype(common_dtype(logits.dtype, jnp.float32))
    shifted = shifted - jax.lax.stop_gradient(jnp.max(shifted, axis=-1, keepdims=True))
    # A comparison, not a gather: its derivative would be a scatter, slow on every device.
    classes = jax.lax.broadcasted_iota(labels.dtype, (1,) * labels.ndim + shifted.shape[-1:], labels.ndim)
    is_label = classes == labels[..., None]
    losses = jnp.log(jnp.sum(jnp.exp(shifted), axis=-1)) - jnp.sum(jnp.where(is_label, shifted, 0), axis=-1)
    return _mean_over_places(losses)


def is_correct(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """1 where the largest logit is the label's, else 0: [batch]."""
    labels = jnp.asarray(labels)
    correct = jnp.argmax(logits, axis=-1).astype(labels.dtype) == labels
    return _mean_over_places(correct.astype(jnp.result_type(float)))


def _mean_over_places(values):
    return values if values.ndim == 1 else jnp.mean(values, axis=range(1, values.ndim))


def half_squared_error(given: jax.Array, targets: jax.Array) -> jax.Array:
    """Half the squared error, summed over outputs: [batch]."""
    return squared_error(given, targets) / 2


def squared_error(given: jax.Array, targets: jax.Array) -> jax.Array:
    """The squared error, summed over outputs: [batch]."""
    given, targets = in_common_dtype(given, targets)
    errors = given.reshape(len(targets), -1) - targets.reshape(len(targets), -1)
    return jnp.sum(jnp.square(errors), axis=-1)


def _loss(criterion, apply, params, batch, keys=None):
    return criterion(apply(params, batch[0], keys=keys), batch[1])


def _loss_and_state(criterion, apply, params, batch, model_state, training, keys=None):
    given, new_state = apply(params, batch[0], keys=keys, model_state=model_state, training=training)
    return criterion(given, batch[1]), new_state


def _metric_of_state(criterion, apply, params, batch, model_state):
    return _loss_and_state(criterion, apply, params, batch, model_state, False)[0]
