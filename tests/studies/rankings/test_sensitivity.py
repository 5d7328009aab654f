"""The interval of good rates: a parabola over the logarithm of the rate, by hand."""

import numpy as np
import pytest

from jaxgd.studies import rate_sensitivity


def table(losses, rates, seeds=2):
    """One batch size; losses [rates]."""
    count = len(rates) * seeds
    return {
        "batch_size": [8] * count,
        "learning_rate": list(rates) * seeds,
        "seed": np.repeat(range(seeds), len(rates)),
        "updates": [100] * count,
        "loss": list(losses) * seeds,
    }


def test_the_ends_lie_on_straight_lines_over_the_logarithm():
    """From 0 at the rate 1, 1 a decade away and 4 two decades away: 1.5 is a sixth beyond one decade."""
    found = rate_sensitivity(table([4, 1, 0, 1, 4], [0.01, 0.1, 1, 10, 100]), margin=1.5)
    assert found.learning_rate.item() == 1
    assert found.score.item() == 0
    np.testing.assert_allclose(found.high, 10 ** (7 / 6))
    np.testing.assert_allclose(found.low, 10 ** (-7 / 6))
    np.testing.assert_allclose(found.ratio, 10 ** (14 / 6))
    assert not found.open_below.item()
    assert not found.open_above.item()


def test_the_edge_of_the_grid_and_a_rate_that_diverged():
    found = rate_sensitivity(table([1.01, 1.0, np.inf], [0.1, 1, 10]), margin=0.1)
    assert (found.low.item(), found.high.item()) == pytest.approx((0.1, 1))
    assert found.open_below.item()
    assert not found.open_above.item()
    everywhere = rate_sensitivity(table([np.inf, np.inf], [0.1, 1]))
    assert np.isnan([everywhere.low, everywhere.learning_rate, everywhere.margin * np.nan]).all()


def test_the_default_margin_and_the_seeds_that_tune():
    losses = np.array([[1.0, 1.1, 9], [1.2, 1.1, 9], [0.1, 9, 9], [0.1, 9, 9]])
    data = table(losses[0], [0.1, 1, 10], 4) | {"loss": losses.ravel()}
    found = rate_sensitivity(data)
    np.testing.assert_allclose(found.score, 1.1)
    np.testing.assert_allclose(found.margin, 0.022)
    assert found.learning_rate.item() == 0.1  # the smaller of equals
    assert rate_sensitivity(data, tuning=[1, 2]).score.item() == pytest.approx(0.65)


def test_a_second_valley_is_not_within_the_interval():
    found = rate_sensitivity(table([1, 3, 1.05, 3], [1, 10, 100, 1000]), margin=1)
    assert found.high.item() == pytest.approx(10**0.5)


def test_bad_margin():
    with pytest.raises(ValueError, match="margin must be finite and 0 or more, got -1"):
        rate_sensitivity(table([1, 2], [1, 2]), margin=-1)
