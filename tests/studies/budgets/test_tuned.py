"""The tuned rates, by hand."""

import numpy as np

from jaxgd.studies.budgets.tuned import at_rates, tuned_rates, tuning_means

# One method at two batch sizes, three rates, three seeds of which two tune.
VALUES = np.array([[[[1, 3, 0], [2.5, 2.5, 9], [0, np.nan, 0]], [[np.nan] * 3, [2, 2, 1], [2, 2, 0]]]])


def test_the_best_mean_over_the_tuning_seeds():
    means = tuning_means(VALUES, np.array([0, 1]))
    np.testing.assert_array_equal(means, [[[2, 2.5, np.nan], [np.nan, 2, 2]]])
    np.testing.assert_array_equal(tuned_rates(means, "min"), [[0, 1]])
    np.testing.assert_array_equal(tuned_rates(means, "max"), [[1, 1]])
    np.testing.assert_array_equal(at_rates(VALUES, np.array([[0, 1]]))[..., 2], [[0, 1]])


def test_the_best_of_each_seed_is_not_what_is_taken():
    """The first rate has the lowest score of any seed, and the worse mean."""
    means = tuning_means(np.array([[[[0.0, 10.0], [4.0, 4.0]]]]), np.array([0, 1]))
    np.testing.assert_array_equal(tuned_rates(means, "min"), [[1]])


def test_no_rate_without_a_mean():
    assert tuned_rates(np.full((1, 1, 2), np.nan), "min").item() == -1
