"""What has to be beaten, on the same rows: a constant prediction and a linear model of scikit-learn.

Both are scored by test row, so that they enter the same verdicts as the cells of a comparison
(`jaxgd.studies.verdicts`), as runs without chance.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np

STRENGTHS = tuple(10.0**power for power in range(4, -4, -1))  # of the penalty, from strong to weak
_LEAST_PROBABILITY = 1e-12  # of a class that the training rows do not know

Rows = tuple[np.ndarray, np.ndarray]


class Baseline(NamedTuple):
    """Scores of one prediction by test row.

    name: what it is. losses: float[rows], cross-entropy (natural logarithm) of a classification, half the
    squared error of a regression, summed over outputs. hits: bool[rows], right or wrong; None for targets.
    """

    name: str
    losses: np.ndarray
    hits: np.ndarray | None


def constant_baseline(task: str, train: Rows, test: Rows) -> Baseline:
    """The constant prediction that the training rows know of.

    Of a classification their most common class, with the shares of their classes for probabilities; of a
    regression the mean of their targets.

    Args:
        task: "classification" or "regression".
        train: `(inputs [n, ...], labels int [n] or targets [n] or [n, k])`.
        test: the same for testing.
    """
    if task == "regression":
        targets = _columns(train[1])
        predicted = np.broadcast_to(targets.mean(0), _columns(test[1]).shape)
        return Baseline("the mean of the training targets", _half_squared(predicted, test[1]), None)
    classes, counts = np.unique(train[1], return_counts=True)
    shares = np.broadcast_to(counts / counts.sum(), (len(test[1]), len(classes)))
    return _of_probabilities("the most common class of the training examples", shares, classes, test[1])


def linear_baseline(task: str, train: Rows, valid: Rows, test: Rows) -> Baseline:
    """Logistic regression or ridge regression on standardised inputs, fitted to the training rows.

    The strength of the L2 penalty falls by factors of ten, from 10,000, until the loss on validation rows no
    longer does; the last one before that is taken.

    Args:
        task: "classification" or "regression".
        train: `(inputs [n, ...], labels int [n] or targets [n] or [n, k])`; inputs are flattened.
        valid: the same for validation.
        test: the same for testing.

    Raises:
        ImportError: scikit-learn is not installed; it comes with the extra `data`.
    """
    if task == "classification" and len(np.unique(train[1])) == 1:
        return constant_baseline(task, train, test)
    model, scaler = _model(task), _scaler(train)
    chosen, least = None, np.inf
    for strength in STRENGTHS:
        model = _fitted(task, model, scaler, train, strength)
        loss = _scored(task, model, scaler, valid).losses.mean()
        if chosen is not None and loss >= least:
            break
        chosen, least = _scored(task, model, scaler, test), loss
    assert chosen is not None
    return chosen


def _model(task: str) -> Any:
    """scikit-learn's model, not fitted; a logistic regression goes on from its last fit."""
    try:
        from sklearn.linear_model import LogisticRegression, Ridge
    except ImportError as error:
        needs = 'the linear baseline needs scikit-learn: pip install "jaxgd[data]"'
        raise ImportError(needs, name=error.name) from None
    return LogisticRegression(warm_start=True, tol=1e-3) if task == "classification" else Ridge()


def _scaler(train: Rows) -> Any:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit(_flat(train[0]))


def _fitted(task: str, model: Any, scaler: Any, train: Rows, strength: float) -> Any:
    """The model, fitted to the training rows with that strength of its penalty."""
    model.set_params(**({"C": 1 / strength} if task == "classification" else {"alpha": strength}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # weak penalties need not converge to be scored
        return model.fit(scaler.transform(_flat(train[0])), np.asarray(train[1]))


def _scored(task: str, model: Any, scaler: Any, rows: Rows) -> Baseline:
    inputs = scaler.transform(_flat(rows[0]))
    if task == "regression":
        return Baseline("ridge regression", _half_squared(model.predict(inputs), rows[1]), None)
    probabilities = model.predict_proba(inputs)
    return _of_probabilities("logistic regression", probabilities, model.classes_, rows[1])


def _of_probabilities(name: str, probabilities, classes: np.ndarray, labels) -> Baseline:
    """Scores of probabilities [rows, classes]; a label that is no class has hardly any probability."""
    is_label = np.asarray(labels)[:, None] == classes
    given = np.where(is_label, probabilities, 0).sum(1)
    hits = is_label[np.arange(len(is_label)), np.argmax(probabilities, axis=1)]
    return Baseline(name, -np.log(np.maximum(given, _LEAST_PROBABILITY)), hits)


def _half_squared(predicted, targets) -> np.ndarray:
    return np.square(_columns(predicted) - _columns(targets)).sum(1) / 2


def _columns(targets) -> np.ndarray:
    return np.asarray(targets, np.float64).reshape(len(targets), -1)


def _flat(inputs) -> np.ndarray:
    return np.asarray(inputs, np.float64).reshape(len(inputs), -1)
