"""Other measures of the recommended cell, against scikit-learn's."""

import jax
import numpy as np
import pytest
import xarray as xr
from sklearn import metrics

import jaxgd
from jaxgd.studies.comparison import quality
from jaxgd.studies.comparison.quality import Quality, quality_of, with_predictions, write_quality
from jaxgd.training.evaluation import example_scores

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(30, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, size=30).astype(np.int32)
NUMBERS = (INPUTS @ [1, -2, 0, 0.5] + RNG.normal(size=30)).astype(np.float32)


def classes():
    split = (INPUTS, LABELS)
    return jaxgd.classification(jaxgd.linear(4, 3, init="he_normal"), split, split, split)


def regression(targets=NUMBERS, outputs=1):
    split = (INPUTS, targets)
    return jaxgd.regression(jaxgd.linear(4, outputs, init="he_normal"), split, split, split)


def runs(predictions, loss=0.5):
    """Fresh seeds of one cell."""
    columns = {
        "test_predictions": (("seed", "example"), np.asarray(predictions, float)),
        "test_loss": ("seed", np.full(len(predictions), loss)),
    }
    return xr.Dataset(columns)


@pytest.mark.parametrize(
    "wrap", [lambda problem: problem, lambda problem: jaxgd.regularized(problem, l2=0.1)]
)
def test_predictions_are_the_models_own(wrap):
    problem, params = wrap(classes()), classes().init(jax.random.key(0))
    found = example_scores(with_predictions(problem), params, "test")
    logits = INPUTS @ np.asarray(params["w"]) + np.asarray(params["b"])
    assert np.asarray(found["prediction"]).tolist() == logits.argmax(axis=1).tolist()
    assert (np.asarray(found["prediction"]) == LABELS).tolist() == (
        np.asarray(found["accuracy"]) == 1
    ).tolist()

    problem = wrap(regression())
    params = problem.init(jax.random.key(0))
    found = example_scores(with_predictions(problem), params, "test")
    outputs = INPUTS @ np.asarray(params["w"])[:, 0] + np.asarray(params["b"])
    assert np.asarray(found["prediction"]) == pytest.approx(outputs, rel=1e-5)


def test_what_has_no_task_or_several_targets_has_no_predictions():
    several = regression(np.stack([NUMBERS, NUMBERS], axis=1), outputs=2)
    own = jaxgd.Problem(lambda key: np.zeros(4, np.float32), lambda p, b: b[0] @ p, (INPUTS, NUMBERS))
    for problem in (several, own):
        assert with_predictions(problem) is problem
    assert quality_of(several, runs([NUMBERS]).drop_vars("test_predictions")) is None


def test_a_classification():
    taken = np.stack([np.roll(LABELS, k) for k in (0, 1, 7)])
    found = quality_of(classes(), runs(taken, loss=0.321))
    assert found is not None
    balanced = np.mean([metrics.balanced_accuracy_score(LABELS, row) for row in taken])
    f1 = np.mean([metrics.f1_score(LABELS, row, average="macro") for row in taken])
    assert found.measures == pytest.approx({"balanced accuracy": balanced, "macro F1": f1, "log loss": 0.321})
    counts = np.zeros((3, 3))
    for row in taken:
        for label, prediction in zip(LABELS, row, strict=True):
            counts[label, prediction] += 1 / 3
    assert found.confusion is not None
    assert found.confusion == pytest.approx(counts)
    assert np.trace(found.confusion) / 30 == pytest.approx((taken == LABELS).mean())


def test_a_class_that_is_never_taken_has_its_column():
    found = quality_of(classes(), runs([np.zeros(30)]))
    assert found is not None
    assert found.confusion is not None
    assert found.confusion.shape == (3, 3)
    assert found.confusion[:, 0].tolist() == np.bincount(LABELS).tolist()


@pytest.mark.parametrize(("taken", "balanced", "f1"), [([0, 0], 1.0, 1.0), ([0, 1], 0.5, 1 / 3)])
def test_test_rows_of_a_single_class(taken, balanced, f1):
    """No warning of scikit-learn's (warnings are errors), and the classes of the other rows count."""
    train, test = (INPUTS, LABELS), (INPUTS[:2], np.zeros(2, np.int32))
    problem = jaxgd.classification(jaxgd.linear(4, 3, init="he_normal"), train, train, test)
    found = quality_of(problem, runs([taken]))
    assert found is not None
    # Of [0, 1] class 0 has the recall 1/2 and the F1 2/3, class 1 the F1 0.
    assert found.measures == pytest.approx({"balanced accuracy": balanced, "macro F1": f1, "log loss": 0.5})
    assert found.confusion is not None
    assert found.confusion.tolist() == [[2 - sum(taken), sum(taken), 0], [0, 0, 0], [0, 0, 0]]


def test_a_regression_in_the_targets_units():
    given = np.stack([NUMBERS + 0.5, NUMBERS * 0.9])
    found = quality_of(regression(), runs(given), scale=10.0)
    assert found is not None
    assert found.confusion is None
    errors = given - NUMBERS
    spread = np.square(NUMBERS - NUMBERS.mean()).sum()
    assert found.measures == pytest.approx(
        {
            "root mean squared error": 10 * np.sqrt(np.square(errors).mean(axis=1)).mean(),
            "mean absolute error": 10 * np.abs(errors).mean(),
            "R²": np.mean(1 - np.square(errors).sum(axis=1) / spread),
        },
        rel=1e-5,
    )


def test_a_run_that_diverged_has_no_measures():
    given = np.stack([NUMBERS, np.full(30, np.nan)])
    assert quality_of(regression(), runs(given)) is None


def test_without_scikit_learn_there_are_no_measures(monkeypatch):
    monkeypatch.setattr(quality, "find_spec", lambda name: None)
    assert quality_of(regression(), runs([NUMBERS])) is None


def test_the_sentence():
    assert write_quality(Quality({"balanced accuracy": 0.9791, "log loss": 0.07012}, None)) == (
        "By other measures: balanced accuracy 97.9 %, log loss 0.0701."
    )
