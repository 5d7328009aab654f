"""What is trained: initial parameters, a loss per example, and data."""

import dataclasses
import inspect
from collections.abc import Mapping

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgd.optim.hyperparameters import unknown
from jaxgd.training.models import Model
from jaxgd.training.pytrees import PyTree, as_function

SPLITS = ("train", "valid", "test")


class Problem(PyTree):
    """Initial parameters, a loss per example, and data.

    Attributes:
        init: `init(key) -> params`.
        loss: `loss(params, batch) -> losses [batch]`, one loss per example, not their mean. Or
            `(losses, weights)`, both `[batch]`: the update is then the gradient of `sum(w * l) / sum(w)` over
            the batch, weights taken as constants. If it has a parameter named `keys` it is called with one
            PRNG key per example, `keys [batch]`, in training and with None in evaluation.
        train: a pytree of arrays with the examples on axis 0.
        valid: such a tree for validation after every epoch, or None.
        test: such a tree for `evaluate`, or None. Training never reads it.
        metrics: `{name: f(params, batch) -> [batch]}`, averaged over the validation examples and reported as
            `valid_<name>`.

    Raises:
        ValueError: arrays of different lengths, no examples, or a NaN or infinity (with its row).
    """

    init: Any
    loss: Any
    train: Any
    valid: Any = None
    test: Any = None
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for name in ("init", "loss"):
            if not callable(getattr(self, name)):
                raise TypeError(f"{name} must be a function, got {getattr(self, name)!r}")
            object.__setattr__(self, name, as_function(getattr(self, name)))
        object.__setattr__(self, "metrics", {k: as_function(v) for k, v in self.metrics.items()})
        for split in SPLITS:
            object.__setattr__(self, split, _checked(split, getattr(self, split)))
        if self.train is None:
            raise ValueError("train must be a tree of arrays with examples on axis 0, got None")

    @property
    def num_examples(self) -> int:
        """The number of training examples."""
        return num_examples(self.train)

    def split(self, name: str) -> Any:
        """The data of a split by its name."""
        if name not in SPLITS:
            raise ValueError(unknown("split", name, SPLITS))
        data = getattr(self, name)
        if data is None:
            raise ValueError(f"the problem has no {name} data")
        return data

    def __repr__(self):
        counts = ", ".join(
            f"{s}={num_examples(getattr(self, s))}" for s in SPLITS if getattr(self, s) is not None
        )
        return f"Problem({counts} examples, loss={self.loss!r}, metrics={list(self.metrics)})"


def num_examples(data: Any) -> int:
    """The length of axis 0 of a tree of arrays."""
    return jnp.shape(jax.tree.leaves(data)[0])[0]


def takes_keys(function: Any) -> bool:
    """Whether a loss or a model has a parameter named `keys`."""
    function = getattr(function, "value", function)
    return "keys" in inspect.signature(function).parameters


def classification(model: Model, train: Any, valid: Any = None, test: Any = None) -> Problem:
    """The problem of classifying: softmax cross-entropy (natural logarithm) and the metric `accuracy`.

    Args:
        model: `(init, apply)`; `apply` gives logits `[batch, classes]`.
        train: `(inputs [n, ...], labels int [n])`, labels from 0 to classes - 1.
        valid: the same for validation, or None.
        test: the same for testing, or None.

    Raises:
        ValueError: labels that are negative, fractional or too large, lengths that differ, no examples, NaN.
    """
    splits = [_pair(name, data) for name, data in zip(SPLITS, (train, valid, test), strict=True)]
    model = _as_model(model)
    num_classes = _output_shape(model, splits[0])[-1]
    for name, data in zip(SPLITS, splits, strict=True):
        if data is not None:
            check_labels(f"{name} labels", data[1], num_classes)
    splits = [data and (data[0], jnp.asarray(data[1]).astype(jnp.int32)) for data in splits]
    loss = _cross_entropy_with_keys if takes_keys(model.apply) else _cross_entropy
    metrics = {"accuracy": jax.tree_util.Partial(_is_correct, model.apply)}
    return Problem(model.init, jax.tree_util.Partial(loss, model.apply), *splits, metrics)


def regression(model: Model, train: Any, valid: Any = None, test: Any = None) -> Problem:
    """The problem of regression: half the squared error, and the metric `squared_error`.

    Several outputs are summed over, so the loss of an example is `sum((outputs - targets)**2) / 2`.

    Args:
        model: `(init, apply)`; `apply` gives outputs `[batch, k]`, or `[batch]`.
        train: `(inputs [n, ...], targets [n] or [n, k])`.
        valid: the same for validation, or None.
        test: the same for testing, or None.

    Raises:
        ValueError: lengths or shapes that differ, no examples, NaN.
    """
    splits = [_pair(name, data) for name, data in zip(SPLITS, (train, valid, test), strict=True)]
    model = _as_model(model)
    _check_targets(_output_shape(model, splits[0]), splits[0][1])
    loss = _half_squared_error_with_keys if takes_keys(model.apply) else _half_squared_error
    metrics = {"squared_error": jax.tree_util.Partial(_squared_error, model.apply)}
    return Problem(model.init, jax.tree_util.Partial(loss, model.apply), *splits, metrics)


def _as_model(model: Any) -> Model:
    """`model`, or any object or pair with the two functions, as a Model."""
    if isinstance(model, Model):
        return model
    if hasattr(model, "init") and hasattr(model, "apply"):
        return Model(model.init, model.apply)
    if isinstance(model, tuple) and len(model) == 2:
        return Model(*model)
    raise TypeError(f"model must have the functions init(key) and apply(params, inputs), got {model!r}")


def _cross_entropy(apply, params, batch):
    inputs, labels = batch
    return optax.softmax_cross_entropy_with_integer_labels(apply(params, inputs), labels)


def _cross_entropy_with_keys(apply, params, batch, keys):
    return _cross_entropy(lambda params, inputs: apply(params, inputs, keys=keys), params, batch)


def _is_correct(apply, params, batch):
    inputs, labels = batch
    return (jnp.argmax(apply(params, inputs), axis=-1) == labels).astype(jnp.result_type(float))


def _squared_error(apply, params, batch):
    inputs, targets = batch
    outputs = apply(params, inputs)
    return jnp.sum(jnp.square(outputs.reshape(len(inputs), -1) - targets.reshape(len(inputs), -1)), axis=-1)


def _half_squared_error(apply, params, batch):
    return _squared_error(apply, params, batch) / 2


def _half_squared_error_with_keys(apply, params, batch, keys):
    return _half_squared_error(lambda params, inputs: apply(params, inputs, keys=keys), params, batch)


def _output_shape(model: Model, train: Any) -> tuple[int, ...]:
    """The shape of the model's output for one example."""
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *jnp.shape(x)[1:]), jnp.asarray(x).dtype), train[0])
    key = jax.eval_shape(lambda: jax.random.key(0))
    try:
        return jax.eval_shape(lambda k, x: model.apply(model.init(k), x), key, one).shape
    except (TypeError, ValueError) as error:
        shapes = jax.tree.map(lambda x: x.shape, one)
        raise ValueError(
            f"the model cannot be applied to inputs of shape {shapes} (one example): {error}"
        ) from error


def _pair(name: str, data: Any) -> Any:
    if data is None:
        return None
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise ValueError(f"{name} must be a pair (inputs, labels), got {type(data).__name__}")
    return _as_arrays(name, (data[0], data[1]))


def check_labels(name: str, labels: Any, num_classes: int) -> None:
    """Raise ValueError unless `labels` are whole numbers from 0 to `num_classes - 1`."""
    if isinstance(labels, jax.core.Tracer):
        return
    values = np.asarray(labels)
    if values.ndim != 1:
        raise ValueError(
            f"{name} must have shape [n], one class number per example, got shape {values.shape}"
        )
    bad = ~((values >= 0) & (values < num_classes) & (values == np.floor(values)))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{name} must be whole numbers from 0 to {num_classes - 1}, got {values[row]} in row {row}"
        )


def _check_targets(output_shape: tuple[int, ...], targets: Any) -> None:
    per_output, per_target = int(np.prod(output_shape[1:])), int(np.prod(np.shape(targets)[1:]))
    if per_output != per_target:
        raise ValueError(f"targets have {per_target} numbers per example, the model gives {per_output}")


def _as_arrays(split: str, data: Any) -> Any:
    """The tree with lengths checked, leaves as given."""
    lengths = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(data):
        name = split + jax.tree_util.keystr(path)
        if np.ndim(leaf) == 0:
            raise ValueError(f"{name} must be an array with examples on axis 0, got {leaf!r}")
        lengths[name] = np.shape(leaf)[0]
    if len(set(lengths.values())) > 1:
        raise ValueError(
            "inputs and labels differ in length: " + ", ".join(f"{k} has {n}" for k, n in lengths.items())
        )
    if not lengths or not all(lengths.values()):
        raise ValueError(f"{split} is empty: at least one example is needed")
    return data


def _checked(split: str, data: Any) -> Any:
    """The tree as JAX arrays, refused if an example holds a NaN or an infinity."""
    if data is None:
        return None
    for path, leaf in jax.tree_util.tree_leaves_with_path(_as_arrays(split, data)):
        if isinstance(leaf, jax.core.Tracer) or not jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating):
            continue
        finite = np.isfinite(np.asarray(leaf)).reshape(len(leaf), -1).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            raise ValueError(
                f"{split}{jax.tree_util.keystr(path)} has a NaN or an infinity, first in row {row}"
            )
    return jax.tree.map(jnp.asarray, data)
