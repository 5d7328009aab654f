import numpy as np
import pytest

from jaxgd.studies.verdicts.crossed import (
    crossed_moments,
    crossed_variance,
    differences_of,
    moments_of_means,
)


def test_mean_squares_by_hand():
    # Seeds [1, 3] and [2, 8]. Means over rows 2 and 5, over seeds 1.5 and 5.5, over all 3.5. Variance over
    # seeds 4.5, over rows 8. What is left of each score is ±1: 4 in all, with 1 degree of freedom.
    moments = crossed_moments(np.array([[[1.0, 3.0], [2.0, 8.0]]]), hits=False)
    assert moments.means == pytest.approx([3.5])
    assert moments.seeds.item() == pytest.approx(4.5)
    assert moments.rows.item() == pytest.approx(8)
    assert moments.both.item() == pytest.approx(4)


def test_interaction_is_counted_once():
    # seeds / S + rows / R - both / (S R) = 4.5 / 2 + 8 / 2 - 4 / 4.
    variance, _ = crossed_variance(4.5, 8.0, 4.0, 2, 2)
    assert variance == pytest.approx(4.5 / 2 + 8 / 2 - 1)


def test_variance_is_unbiased_where_all_components_are_there():
    rng, shape = np.random.default_rng(0), (4000, 1, 5, 20)
    seed, row = rng.normal(0, 1.0, (*shape[:3], 1)), rng.normal(0, 2.0, (*shape[:2], 1, 20))
    moments = crossed_moments(seed + row + rng.normal(0, 0.5, shape), hits=False)
    variance, _ = crossed_variance(moments.seeds, moments.rows, moments.both, 5, 20)
    truth = 1 / 5 + 4 / 20 + 0.25 / 100
    assert variance.mean() == pytest.approx(truth, rel=0.03)
    assert moments.means.var() == pytest.approx(truth, rel=0.1)


def test_seeds_that_agree_in_their_means_have_the_variance_of_their_rows():
    # Both seeds are right on one of two rows, and not on the same one.
    seeds_alike = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    moments = crossed_moments(seeds_alike, hits=True)
    assert moments.seeds.item() == 0
    variance, _ = crossed_variance(moments.seeds, moments.rows, moments.both, 2, 2)
    assert variance.item() == pytest.approx(moments.both.item() / 4)


def test_pairs_are_differences_of_cells():
    scores = np.random.default_rng(1).normal(size=(3, 5, 40))
    found = differences_of(crossed_moments(scores, hits=False))
    gap = crossed_moments((scores[0] - scores[2])[None], hits=False)
    variance, degrees = crossed_variance(gap.seeds, gap.rows, gap.both, 5, 40)
    assert found.mean[0, 2] == pytest.approx(gap.means[0])
    assert found.variance[0, 2] == pytest.approx(variance.item())
    assert found.degrees[0, 2] == pytest.approx(degrees.item())


def test_degrees_of_freedom_where_one_part_is_alone():
    # Seeds alone: S - 1. Rows alone: R - 1. Nothing at all: R - 1.
    assert crossed_variance(1.0, 0.0, 0.0, 5, 100)[1] == pytest.approx(4)
    assert crossed_variance(0.0, 1.0, 0.0, 5, 100)[1] == pytest.approx(99)
    assert crossed_variance(0.0, 0.0, 0.0, 5, 100)[1] == pytest.approx(99)


def test_a_single_run_varies_with_its_rows():
    moments = crossed_moments(np.array([[[1.0, 0.0, 1.0, 1.0]]]), hits=True)
    assert (moments.seeds, moments.both) == (0, 0)
    assert moments.rows.item() == pytest.approx(0.25)


def test_a_single_row_varies_with_its_seeds():
    """As in a paired t test: the variance of a mean of differences, with one degree less than seeds."""
    scores = np.random.default_rng(0).normal(size=(3, 6, 1))
    found = differences_of(crossed_moments(scores, hits=False))
    pairs = scores[:, None, :, 0] - scores[None, :, :, 0]
    np.testing.assert_allclose(found.mean, pairs.mean(-1), atol=1e-12)
    np.testing.assert_allclose(found.variance, pairs.var(-1, ddof=1) / 6, atol=1e-12)
    np.testing.assert_allclose(found.degrees[~np.eye(3, dtype=bool)], 5)


def test_shares_of_hits_take_cells_as_independent():
    moments = moments_of_means(np.array([[0.9, 0.9], [0.8, 0.8]]), num_rows=96)
    found = differences_of(moments)
    one, other = (0.9 * 96 + 2) / 100, (0.8 * 96 + 2) / 100
    assert found.variance[0, 1] == pytest.approx((one * (1 - one) + other * (1 - other)) / 96)


def test_size_of_a_rows_difference():
    # On one row all seeds differ (1), on another one of four (1/4): (1 + 1/64) / (1 + 1/16).
    scores = np.zeros((2, 4, 10))
    scores[0, :, 0] = scores[0, 0, 1] = 1
    event = crossed_moments(scores, hits=True).event
    assert event is not None
    assert event[0, 1] == pytest.approx((1 + 1 / 64) / (1 + 1 / 16))
    assert event[0, 0] == 1
    assert crossed_moments(scores, hits=False).event is None


def test_few_seeds_that_differ_seldom_are_no_small_events():
    scores = np.zeros((2, 40, 10))
    scores[0, 0, 0] = 1
    event = crossed_moments(scores, hits=True).event
    assert event is not None
    assert event[0, 1] == 0.6


def test_ratios_of_losses():
    # Cells of means 1 and 2 whose seeds, and nothing else, differ by a tenth of the mean either way.
    scores = np.array([[[0.9, 0.9], [1.1, 1.1]], [[2.2, 2.2], [1.8, 1.8]]])
    found = differences_of(crossed_moments(scores, hits=False), higher_is_better=False)
    assert found.mean[0, 1] == pytest.approx(1.0)
    assert found.ratio is not None
    assert found.scale is not None
    assert found.ratio.mean[0, 1] == pytest.approx(np.log(2))
    assert found.scale[0, 1] == pytest.approx(np.sqrt(2))
    # Relative seeds -0.1, 0.1 and 0.1, -0.1: the difference is ±0.2, of variance 0.08 and of its mean 0.04.
    assert found.ratio.variance[0, 1] == pytest.approx(0.04)


def test_no_ratios_of_hits_or_of_scores_below_zero():
    scores = np.array([[[1.0, 0.0], [1.0, 1.0]]])
    assert differences_of(crossed_moments(scores, hits=True)).ratio is None
    assert differences_of(crossed_moments(-scores, hits=False)).ratio is None
