"""The expected best of k trials: by hand, against all choices, and against one's own weights."""

from itertools import combinations

import numpy as np
import pytest

from jaxgd.studies import expected_best

VALUES = [0.5, 0.2, 0.9, 0.4]


def test_by_hand():
    """Six pairs: 0.2 is the best of three of them, 0.4 of two, 0.5 of one. With replacement it is 0.3625."""
    assert expected_best(VALUES, 2) == pytest.approx((3 * 0.2 + 2 * 0.4 + 0.5) / 6, abs=1e-15)
    assert expected_best(VALUES, 2, "max") == pytest.approx((3 * 0.9 + 2 * 0.5 + 0.4) / 6, abs=1e-15)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_all_choices(mode):
    values = np.random.default_rng(0).normal(size=9)
    best = min if mode == "min" else max
    means = [np.mean([best(choice) for choice in combinations(values, k)]) for k in range(1, 10)]
    np.testing.assert_allclose(expected_best(values, mode=mode), means, rtol=1e-12)
    np.testing.assert_allclose(expected_best(values, [[3, 1]], mode), [[means[2], means[0]]], rtol=1e-12)


def test_one_trial_is_the_mean_and_all_are_the_best():
    curve = expected_best(np.arange(2000.0))
    assert curve[0] == pytest.approx(999.5)
    assert curve[-1] == 0
    assert (np.diff(curve) < 0).all()


def test_trials_that_diverged():
    assert expected_best([1.0, 2.0, np.inf], 1) == np.inf
    assert expected_best([1.0, 2.0, np.inf], 2) == pytest.approx(4 / 3)
    assert expected_best([1.0, 2.0, np.inf], 3) == 1
    assert expected_best([0.5, -np.inf], 2, "max") == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((VALUES, 5), "k must be a whole number, from 1 to 4, got 5"),
        ((VALUES, [1, 0]), "k must be a whole number, from 1 to 4, got 0"),
        (([], 1), "values must hold at least one number and no NaN"),
        (([1, np.nan], 1), "no NaN"),
        ((VALUES, 1, "least"), "unknown mode 'least'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        expected_best(*arguments)
