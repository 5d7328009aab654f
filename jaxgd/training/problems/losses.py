"""Problems of a model and a criterion: classification and regression, their labels and targets checked."""

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.aliases import Split
from jaxgd.arguments import shown
from jaxgd.tracing import explained
from jaxgd.training.models.model import Model, as_model, check_no_averages, evaluated
from jaxgd.training.problems.criteria import (
    criterion_of,
    cross_entropy,
    half_squared_error,
    is_correct,
    loss_of,
    metric_of,
    squared_error,
    with_criterion,
)
from jaxgd.training.problems.problem import Problem, with_checked_lengths


def classification(model: Any, train: Split, valid: Split = None, test: Split = None) -> Problem:
    """The problem of classifying: softmax cross-entropy (natural logarithm) and the metric `accuracy`.

    Args:
        model: `(init, apply)`; `apply` gives logits `[batch, classes]`, or `[batch, length, classes]` for
            sequences: then an example's loss and accuracy are means over its places.
        train: `(inputs [n, ...], labels int [n])`, labels from 0 to classes - 1; `[n, length]` for sequences.
            None where such pairs come batch by batch, see `train(..., batches=...)`.
        valid: the same for validation, or None.
        test: the same for testing, or None.

    Raises:
        ValueError: labels that are negative, fractional or too large, lengths that differ, no examples, NaN.
    """
    model = as_model(model)
    splits = _pairs({"train": train, "valid": valid, "test": test})
    for name, data in splits.items():
        check_labels(f"{name} labels", data[1], _output_shape(model, name, data)[1:])
    splits = {name: (x, _as_int32(labels)) for name, (x, labels) in splits.items()}
    return _problem_of(model, cross_entropy, "accuracy", is_correct, splits)


def regression(model: Any, train: Split, valid: Split = None, test: Split = None) -> Problem:
    """The problem of regression: half the squared error, and the metric `squared_error`.

    Several outputs are summed over, so the loss of an example is `sum((outputs - targets)**2) / 2`.

    Args:
        model: `(init, apply)`; `apply` gives outputs `[batch, k]`, or `[batch]`.
        train: `(inputs [n, ...], targets [n] or [n, k])`; None where such pairs come batch by batch, see
            `train(..., batches=...)`.
        valid: the same for validation, or None.
        test: the same for testing, or None.

    Raises:
        ValueError: lengths or shapes that differ, no examples, NaN.
    """
    model = as_model(model)
    splits = _pairs({"train": train, "valid": valid, "test": test})
    for name, data in splits.items():
        _check_targets(f"{name} targets", data[1], _output_shape(model, name, data))
    return _problem_of(model, half_squared_error, "squared_error", squared_error, splits)


def _as_int32(labels):
    return labels.astype(jnp.int32) if isinstance(labels, jax.Array) else np.asarray(labels, np.int32)


def _problem_of(model: Model, criterion: Any, name: str, metric: Any, splits: dict[str, Any]) -> Problem:
    return Problem(
        model.init,
        loss_of(model, criterion),
        metrics={name: metric_of(model, metric)},
        model_state=model.model_state,
        coupled=model.coupled,
        train=splits.get("train"),
        valid=splits.get("valid"),
        test=splits.get("test"),
    )


def task_of(problem: Problem) -> str | None:
    """The task of a problem that `classification` or `regression` made, regularised or not; else None."""
    loss = getattr(
        problem.loss.function, "loss", problem.loss
    )  # of `regularized`, which evaluates without a penalty
    tasks = {half_squared_error: "regression", cross_entropy: "classification"}
    return tasks.get(criterion_of(loss))


class BatchCheck:
    """What looks at each batch, by its name, of a problem that `classification` or `regression` made.

    It gives the batch as the problem has its data. Batches of any other problem are not looked at.
    """

    def __init__(self, problem: Problem):
        self._problem, self._task = problem, task_of(problem)
        self._shape: tuple[int, ...] | None = None

    def __call__(self, name: str, batch: Any) -> Any:
        """The batch; raises ValueError as `classification` and `regression` do of the data they are given."""
        if self._task is None:
            return batch
        inputs, labels = _pair(name, batch)
        shape = self._shape = self._shape or self._outputs_of(name, inputs, labels)
        if self._task == "regression":
            _check_targets(f"{name} targets", labels, shape)
            return inputs, labels
        check_labels(f"{name} labels", labels, shape[1:])
        return inputs, _as_int32(labels)

    def _outputs_of(self, name: str, inputs: Any, labels: Any) -> tuple[int, ...]:
        """The shape of the outputs; raises ValueError where the model is made for other inputs."""
        try:
            return _outputs_for(self._problem, (inputs, labels)).shape
        except (TypeError, ValueError) as error:
            shapes = jax.tree.map(jnp.shape, inputs)
            raise ValueError(
                f"the model cannot be applied to {name} inputs of shape {shapes}: "
                f"{_with_remedy(error, inputs)}"
            ) from error


def _with_remedy(error: Exception, inputs: Any) -> str:
    """What the error says; where that is about shapes within a library's module, what to do about it too."""
    if not re.search(r"\b(shapes?|dimensions?|rank|ndim)\b", str(error)):
        return str(error)
    shapes, said = jax.tree.map(lambda x: jnp.shape(x)[1:], inputs), str(error).rstrip(" .")
    return f"{said}; the model gets inputs of shape {shapes} each: make it for those, or reshape them"


def _outputs_for(problem: Problem, batch: Any) -> Any:
    """Shape and dtype of the outputs of the problem's model for a batch."""
    outputs = with_criterion(next(iter(problem.metrics.values())), _outputs)

    def evaluate(key):
        return outputs(problem.init(key), batch, keys=None, model_state=problem.model_state, training=False)

    return jax.eval_shape(evaluate, jax.eval_shape(lambda: jax.random.key(0)))


def _outputs(given: jax.Array, targets: Any) -> jax.Array:
    return given


def _output_shape(model: Model, split: str, data: Any) -> tuple[int, ...]:
    """The shape of the model's output for one example of a split."""
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *jnp.shape(x)[1:]), jnp.result_type(x)), data[0])
    shapes = jax.tree.map(lambda x: x.shape, one)
    key = jax.eval_shape(lambda: jax.random.key(0))

    def evaluate(key, inputs):
        with explained("init"):
            params = model.init(key)
        check_no_averages(params)
        with explained("apply"):
            return evaluated(model, params, inputs)

    try:
        output = jax.eval_shape(evaluate, key, one)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the model cannot be applied to {split} inputs of shape {shapes} (one example): "
            f"{_with_remedy(error, one)}"
        ) from error
    if not isinstance(output, jax.ShapeDtypeStruct) or output.shape[:1] != (1,):
        given, hint = shown(output), ""
        if isinstance(output, tuple):  # as of a Flax module that is called with mutable=[...]
            given = f"{len(output)} values"
            hint = "; of a Flax module with a state jaxgd.from_linen(module, inputs) is the Model"
        raise ValueError(
            f"the model must give one array [batch, ...], got {given} for inputs of shape {shapes}{hint}"
        )
    return output.shape


def _pairs(splits: dict[str, Any]) -> dict[str, Any]:
    """The splits that are there, each inputs and labels of one length."""
    there = {name: _pair(name, data) for name, data in splits.items() if data is not None}
    return {name: _arrays(name, with_checked_lengths(name, pair)) for name, pair in there.items()}


def _arrays(name: str, pair: Any) -> Any:
    """The pair, refused if something in it has no dtype of NumPy's, such as a table or another's tensor."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(pair):
        if not isinstance(leaf, jax.Array) and not isinstance(getattr(leaf, "dtype", None), np.dtype):
            where = name + jax.tree_util.keystr(path)
            raise ValueError(
                f"{where} must be an array, got {type(leaf).__name__}: numpy.asarray(...) makes one of it"
            )
    return pair


def _pair(name: str, data: Any) -> Any:
    if not isinstance(data, tuple | list) or len(data) != 2:
        hint = (
            "; of a prepared table give table.train, table.valid, table.test"
            if hasattr(data, "train")
            else ""
        )
        raise ValueError(f"{name} must be a pair (inputs, labels), got {type(data).__name__}{hint}")
    return data[0], data[1]


def check_labels(name: str, labels: Any, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `labels` are class numbers for logits `[n, *shape]`, classes last."""
    if isinstance(labels, Tracer):
        return
    values = np.asarray(labels)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be whole numbers from 0 on, got values such as {values.flat[0]!r}")
    *places, num_classes = shape
    if values.shape[1:] != tuple(places) or values.ndim == 0:
        axes = ", ".join(map(str, ["n", *places]))
        what = "place of a sequence" if places else "example"
        raise ValueError(
            f"{name} must have shape [{axes}], one class number per {what}, got shape {values.shape}"
            f"{_remedy_of_shape(values.shape, places, num_classes)}"
        )
    if values.dtype.kind in "iu" and values.size and values.min() >= 0 and values.max() < num_classes:
        return
    bad = ~((values >= 0) & (values < num_classes) & (values == np.floor(values)))
    if bad.any():
        place = tuple(np.argwhere(bad)[0])
        outputs = "1 output" if num_classes == 1 else f"{num_classes} outputs"
        raise ValueError(
            f"{name} must be whole numbers from 0 to {num_classes - 1}, got {values[place]} in row "
            f"{place[0]}: the model gives {outputs}, one for each class, and classes are numbered from 0"
        )


def _remedy_of_shape(given: tuple[int, ...], places: Sequence[int], num_classes: int) -> str:
    """What to do with labels of this shape, or with the inputs."""
    if given[1:] == (*places, num_classes):
        return "; of one-hot rows these are labels.argmax(axis=-1)"
    if given[1:] == (*places, 1):
        return "; labels[..., 0] are"
    if places and len(given) == 1:
        return f"; flatten inputs that are no sequences of {places[0]}: inputs.reshape(len(inputs), -1)"
    return ""


def _check_targets(name: str, targets: Any, output_shape: tuple[int, ...]) -> None:
    per_output, per_target = int(np.prod(output_shape[1:])), int(np.prod(np.shape(targets)[1:]))
    if per_output != per_target:
        numbers = "1 number" if per_target == 1 else f"{per_target} numbers"
        raise ValueError(f"{name} have {numbers} per example, the model gives {per_output}")
