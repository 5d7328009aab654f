import sys

import numpy as np
import pytest

from jaxgd.studies.baselines import constant_baseline, linear_baseline

INPUTS = np.zeros((4, 1))


def points(rng, rows, classes=3):
    labels = rng.integers(0, classes, rows)
    return rng.normal(size=(rows, 5)) + labels[:, None], labels


def hits_of(found):
    assert found.hits is not None
    return found.hits


def test_the_most_common_class():
    found = constant_baseline(
        "classification", (INPUTS, np.array([2, 2, 2, 5])), (INPUTS, np.array([2, 5, 2, 7]))
    )
    assert hits_of(found).tolist() == [True, False, True, False]
    assert found.losses[:3] == pytest.approx(-np.log([0.75, 0.25, 0.75]))
    assert found.losses[3] > 20


def test_the_mean_of_the_targets():
    found = constant_baseline(
        "regression", (INPUTS, np.array([1.0, 2, 3, 6])), (INPUTS, np.array([3.0, 5, 1, 3]))
    )
    assert found.losses == pytest.approx([0, 2, 2, 0])
    assert found.hits is None


def test_several_outputs_are_summed():
    targets = np.array([[1.0, 0.0], [3.0, 0.0], [2.0, 3.0], [2.0, 1.0]])
    found = constant_baseline("regression", (INPUTS, targets), (INPUTS, targets))
    assert found.losses == pytest.approx([1, 1, 2, 0])


def test_logistic_regression_beats_the_constant():
    splits = [points(np.random.default_rng(key), 200) for key in range(3)]
    found = linear_baseline("classification", *splits)
    assert found.name == "logistic regression"
    assert hits_of(found).shape == found.losses.shape == (200,)
    assert (
        hits_of(found).mean()
        > hits_of(constant_baseline("classification", splits[0], splits[2])).mean() + 0.2
    )
    assert (found.losses > 0).all()


def test_ridge_regression_finds_a_line():
    rng = np.random.default_rng(0)
    splits = [(x := rng.normal(size=(50, 3)), x @ [1.0, 2.0, 3.0] + 4) for _ in range(3)]
    assert linear_baseline("regression", *splits).losses.max() < 1e-3


def test_the_strength_is_chosen_on_validation_rows():
    # Fifty inputs and sixty rows of noise around one of them: a strong penalty predicts far better than none.
    rng = np.random.default_rng(0)
    splits = [(x := rng.normal(size=(rows, 50)), x[:, 0] + rng.normal(0, 3, rows)) for rows in (60, 500, 500)]
    plain = np.linalg.lstsq(*splits[0], rcond=None)[0]
    plain_loss = np.square(splits[2][0] @ plain - splits[2][1]).mean() / 2
    assert linear_baseline("regression", *splits).losses.mean() < plain_loss / 3


def test_images_are_flattened():
    rng = np.random.default_rng(0)
    splits = [(x.reshape(-1, 5, 1), y) for x, y in (points(rng, 60) for _ in range(3))]
    assert hits_of(linear_baseline("classification", *splits)).shape == (60,)


def test_one_class_is_the_constant():
    one = (INPUTS, np.zeros(4, int))
    assert hits_of(linear_baseline("classification", one, one, one)).all()


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    splits = [points(np.random.default_rng(0), 20)] * 3
    with pytest.raises(ImportError, match=r'needs scikit-learn: pip install "jaxgd\[data\]"'):
        linear_baseline("classification", *splits)
