"""How good the recommended cell is by other measures than the score that decided."""

import functools
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxgd.training import Problem
from jaxgd.training.problems.criteria import with_criterion
from jaxgd.training.problems.losses import task_of

if TYPE_CHECKING:
    import xarray as xr

PREDICTION = "prediction"
_METRIC = {"classification": "accuracy", "regression": "squared_error"}


class Quality(NamedTuple):
    """Measures on the test examples, means over the fresh seeds of one cell.

    measures: by name. confusion: float[classes, classes], how many test examples of the class of the row were
    taken for the class of the column; None for a regression.
    """

    measures: dict[str, float]
    confusion: np.ndarray | None


def with_predictions(problem: Problem) -> Problem:
    """The problem with the metric "prediction": the class that a model chooses, or the number that it gives.

    The problem itself where the task is not known, or where an example has several targets.
    """
    task = task_of(problem)
    if task is None or np.ndim(problem.train[1]) != 1:
        return problem
    predicted = {"classification": _chosen_class, "regression": _number}[task]
    metric = with_criterion(problem.metrics[_METRIC[task]], predicted)
    return problem.replace(metrics={**problem.metrics, PREDICTION: metric})


def _chosen_class(logits, labels):
    return jnp.argmax(logits, axis=-1).astype(jnp.float32)


def _number(outputs, targets):
    return outputs.reshape(len(targets))


def quality_of(problem: Problem, runs: "xr.Dataset", scale: float = 1.0) -> Quality | None:
    """The measures of one cell; None without scikit-learn, known predictions, or where a run diverged.

    Args:
        problem: with test examples.
        runs: its fresh seeds: `test_predictions` [seed, example] and `test_loss` [seed].
        scale: what one unit of the targets is in those that the data came in.
    """
    if find_spec("sklearn") is None or "test_predictions" not in runs:
        return None
    if not np.isfinite(runs.test_predictions.values).all():
        return None
    targets, predictions = np.asarray(problem.test[1]), runs.test_predictions.values
    if task_of(problem) == "regression":
        return _of_regression(targets, predictions, scale)
    predictions = predictions.astype(int)
    known = (problem.train[1], problem.valid[1], targets, predictions)
    classes = np.arange(1 + max(np.max(labels) for labels in known))
    return _of_classification(targets, predictions, classes, float(runs.test_loss.mean()))


def write_quality(quality: Quality) -> str:
    """The measures in a sentence: "By other measures: balanced accuracy 97.9 %, log loss 0.0701"."""
    texts = [f"{name} {_text(name, value)}" for name, value in quality.measures.items()]
    return f"By other measures: {', '.join(texts)}."


def _text(name: str, value: float) -> str:
    return f"{100 * value:.1f} %" if name in ("balanced accuracy", "macro F1") else f"{value:.3g}"


def _of_regression(targets: np.ndarray, predictions: np.ndarray, scale: float) -> Quality:
    from sklearn import metrics

    given = [(targets, row) for row in predictions]
    measures = {
        "root mean squared error": scale * _mean(metrics.root_mean_squared_error, given),
        "mean absolute error": scale * _mean(metrics.mean_absolute_error, given),
        "R²": _mean(metrics.r2_score, given),
    }
    return Quality(measures, None)


def _of_classification(
    labels: np.ndarray, predictions: np.ndarray, classes: np.ndarray, log_loss: float
) -> Quality:
    """The measures by all classes: few rows may hold some of them, or one alone."""
    from sklearn import metrics

    given = [(labels, row) for row in predictions]
    confusion = np.mean([metrics.confusion_matrix(*pair, labels=classes) for pair in given], axis=0)
    there = np.unique(labels)  # balanced accuracy is the mean recall of the classes that there are
    recalls = functools.partial(metrics.recall_score, labels=there, average="macro")
    measures = {
        "balanced accuracy": _mean(recalls, given),
        "macro F1": _mean(lambda *pair: metrics.f1_score(*pair, average="macro"), given),
        "log loss": log_loss,
    }
    return Quality(measures, confusion)


def _mean(measure, pairs) -> float:
    return float(np.mean([measure(*pair) for pair in pairs]))
