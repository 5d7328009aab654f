"""On which cell to bet: the closed form of two cells, what pairs share, and cells that are no choice."""

import numpy as np
import pytest
from scipy.stats import t

from jaxgd.studies.budgets.choosing import most_probable, probabilities_of_good


def test_two_cells_have_the_probability_of_the_paired_difference():
    """The cheaper one is the one to use if it is at most a margin worse."""
    first, second = np.random.default_rng(0).normal([[0.0], [0.3]], 1, size=(2, 8))
    found = probabilities_of_good(np.stack([first, second]), "min", 0.5, np.array([2.0, 1.0]))
    difference = second - first
    deviation = difference.std(ddof=1) / np.sqrt(8)
    wanted = t.cdf((0.5 - difference.mean()) / deviation, 7)
    np.testing.assert_allclose(found, [1 - wanted, wanted], atol=0.03)
    assert most_probable(found, np.array([2.0, 1.0])) == int(wanted > 0.5)


def test_what_the_seeds_share_does_not_matter():
    shared = np.random.default_rng(0).normal(size=5)
    found = probabilities_of_good(np.stack([shared, shared + 0.1]), "min", 0.05, np.ones(2))
    np.testing.assert_array_equal(found, [1, 0])
    maximized = probabilities_of_good(np.stack([shared, shared + 0.1]), "max", 0.05, np.ones(2))
    np.testing.assert_array_equal(maximized, [0, 1])


def test_about_as_cheap_is_as_cheap():
    scores = np.zeros((3, 2))
    np.testing.assert_array_equal(
        probabilities_of_good(scores, "min", 0, np.array([1, 1.09, 1.2])), [1, 1, 0]
    )


def test_no_choice():
    scores = np.array([[1.0, 1.0], [0.0, np.nan], [0.5, 0.5]])
    found = probabilities_of_good(scores, "min", 0.0, np.array([1, 1, np.nan]))
    np.testing.assert_array_equal(found, [1, np.nan, np.nan])
    assert most_probable(np.full(2, np.nan), np.ones(2)) is None
    assert most_probable(np.array([0.5, 0.5]), np.array([2.0, 1.0])) == 1


def test_a_single_seed_is_taken_at_its_word():
    found = probabilities_of_good(np.array([[1.0], [1.1], [3.0]]), "min", 0.2, np.array([3.0, 2.0, 1.0]))
    np.testing.assert_array_equal(found, [0, 1, 0])


@pytest.mark.parametrize("seeds", [3, 10])
def test_said_as_often_as_true(seeds):
    """Of means that are drawn as widely as may be, the said probability is the share of good bets."""
    rng, said, right = np.random.default_rng(1), [], []
    for _ in range(300):
        true = rng.normal(0, 3, size=3)
        scores = true[:, None] + rng.normal(size=(3, seeds))
        found = probabilities_of_good(scores, "min", 0.3, np.ones(3))
        cell = most_probable(found, np.ones(3))
        said.append(found[cell])
        right.append(true[cell] <= true.min() + 0.3)
    assert np.mean(right) == pytest.approx(np.mean(said), abs=0.07)
