"""What needs no training by gradients: a constant prediction, and scikit-learn's linear model."""

import threading
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from jaxgd.training.problems.losses import task_of
from jaxgd.training.problems.problem import Problem

STRENGTHS = tuple(10.0**k for k in range(3, -3, -1))
# A linear model is fitted to at most so many numbers of the training inputs, a part of the rows drawn at
# random.
_MOST_NUMBERS = 4_000_000


class Baseline(NamedTuple):
    """A prediction that a trained model has to beat.

    text: what it is. score: on the test examples, by the score of the comparison. rows: of each test example.
    """

    text: str
    score: float
    rows: np.ndarray


def constant_predictor(problem: Problem, score: str) -> Baseline | None:
    """The best constant that the training examples know of; None for a problem with a loss of its own.

    The most common class, of a classification; the mean of the targets, of a regression.

    Args:
        problem: with test examples.
        score: "accuracy" or "loss".
    """
    labels, answers = _targets(problem, "train"), _targets(problem, "test")
    if _decides(problem, score) == "classification":
        classes, counts = np.unique(labels, return_counts=True)
        common = classes[np.argmax(counts)]
        return _baseline("the most common class of the training examples", _hits(answers, common))
    if _decides(problem, score) == "regression":
        return _baseline("the mean of the training targets", _losses(answers, labels.mean(axis=0)))
    return None


def linear_predictor(problem: Problem, score: str) -> Baseline | None:
    """Logistic or ridge regression, its strength chosen on the validation examples; None where it cannot be.

    The penalty becomes weaker, by factors of ten, until the score on validation examples falls. It cannot be
    where scikit-learn is missing (extra `data`).

    Args:
        problem: with validation and test examples; the inputs are one array.
        score: "accuracy" or "loss".
    """
    task = _decides(problem, score)
    if task is None or not hasattr(problem.train[0], "shape") or find_spec("sklearn") is None:
        return None
    (inputs, targets), valid, test = (
        (np.asarray(split[0], np.float64).reshape(len(split[0]), -1), _targets(problem, name))
        for name, split in (("train", problem.train), ("valid", problem.valid), ("test", problem.test))
    )
    if targets.ndim > 1 and (task == "classification" or targets.shape[1] == 0):
        return None
    if task == "classification" and len(np.unique(targets)) == 1:
        return None
    rows = _part(*inputs.shape)
    inputs, valid, test = _standardised(inputs, valid, test)
    measure, sign = (_hits, 1) if task == "classification" else (_losses, -1)
    model, best = _model(task), (-np.inf, np.zeros(0))
    for strength in STRENGTHS:
        with warnings.catch_warnings():  # a fit that has not converged is a fit with a stronger penalty
            warnings.simplefilter("ignore")
            model.set_params(**_strength(task, strength)).fit(inputs[rows], targets[rows])
        found = sign * measure(valid[1], _predicted(model, valid)).mean()
        if found < best[0]:
            break
        if found > best[0]:  # of equally good ones the strongest penalty
            best = found, measure(test[1], _predicted(model, test))
    name = {"classification": "logistic", "regression": "ridge"}[task]
    return _baseline(f"scikit-learn's {name} regression", best[1])


def begin_imports() -> threading.Thread:
    """The thread that imports what `linear_predictor` needs: that takes longer than its fits."""
    thread = threading.Thread(target=_import_models, daemon=True)
    thread.start()
    return thread


def _import_models() -> None:
    if find_spec("sklearn") is not None:
        import_module("sklearn.linear_model")


def _standardised(inputs: np.ndarray, *splits: tuple) -> tuple:
    """The inputs of all splits by the means and deviations of the training inputs."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(inputs)
    return scaler.transform(inputs), *((scaler.transform(x), y) for x, y in splits)


def _predicted(model, split) -> np.ndarray:
    return np.asarray(model.predict(split[0])).reshape(split[1].shape)


def _model(task: str) -> Any:
    """The model, whose fits go on from one another: penalties become weaker."""
    from sklearn import linear_model

    if task == "regression":
        return linear_model.Ridge()
    return linear_model.LogisticRegression(solver="newton-cg", tol=1e-3, warm_start=True)


def _strength(task: str, strength: float) -> dict[str, float]:
    return {"alpha": strength} if task == "regression" else {"C": 1 / strength}


def _part(rows: int, columns: int) -> np.ndarray:
    """The rows that are used: all, or as many as there is room for."""
    most = max(_MOST_NUMBERS // max(columns, 1), 1)
    return np.arange(rows) if rows <= most else np.random.default_rng(0).choice(rows, most, replace=False)


def _decides(problem: Problem, score: str) -> str | None:
    """The task, where the score is the one that decides it."""
    task = task_of(problem)
    return task if (task, score) in (("classification", "accuracy"), ("regression", "loss")) else None


def _targets(problem: Problem, split: str) -> np.ndarray:
    if task_of(problem) is None:
        return np.zeros(0)
    targets = np.asarray(getattr(problem, split)[1])
    return (
        targets if task_of(problem) == "classification" else targets.reshape(len(targets), -1).astype(float)
    )


def _hits(answers: np.ndarray, given) -> np.ndarray:
    hits = (answers == given).astype(float)
    return hits if hits.ndim == 1 else hits.mean(axis=tuple(range(1, hits.ndim)))


def _losses(answers: np.ndarray, given) -> np.ndarray:
    return np.square(answers - given).sum(axis=1) / 2


def _baseline(text: str, rows: np.ndarray) -> Baseline:
    return Baseline(text, float(rows.mean()), rows)
