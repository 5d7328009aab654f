"""Linear regression on Gaussian inputs: an update by hand, the limit, and simulation by `fit`."""

import math

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.studies import gaussian_regression, regression_loss

VALUES = np.array([1.0, 0.25])


def test_one_update_by_hand():
    """w - r x² w for a standard normal x: E (1 - r x²)² = 1 - 2 r + 3 r²."""
    assert regression_loss([1.0], 0.0, 0.3, 1, 1) == pytest.approx((1 - 0.6 + 0.27) / 2)
    assert regression_loss([1.0], 0.5, 0.3, 1, 1) == pytest.approx((1 - 0.6 + 0.27 + 0.0225 + 0.25) / 2)
    assert regression_loss(VALUES, 0.5, 0.3, 1, 0) == pytest.approx((1.25 + 0.25) / 2)


def test_updates_follow_each_other():
    moments = np.array([1.0, 1.0])
    for updates in range(6):
        loss = regression_loss(VALUES, 0.3, 0.4, 3, updates)
        assert loss == pytest.approx((VALUES @ moments + 0.09) / 2, rel=1e-12)
        noise = 0.16 * VALUES * (VALUES @ moments + 0.09) / 3
        moments = (1 - 0.8 * VALUES + (1 + 1 / 3) * 0.16 * VALUES**2) * moments + noise


def test_the_end():
    end = regression_loss(VALUES, 0.3, 0.4, 3, math.inf)
    assert end == pytest.approx(regression_loss(VALUES, 0.3, 0.4, 3, 5000), rel=1e-9)
    assert regression_loss(VALUES, 0.0, 0.4, 3, math.inf) == pytest.approx(0, abs=1e-12)
    assert regression_loss(VALUES, 0.3, 0.0, 3, math.inf) == regression_loss(VALUES, 0.3, 0.0, 3, 0)
    # A rate that exact gradients bear: 1 is below 2 / λ, but not below 2 / 3 at batch size 1.
    assert regression_loss([1.0], 0.1, 1.0, 1, math.inf) == math.inf
    assert regression_loss([1.0], 0.1, 1.0, 100, math.inf) < math.inf


@pytest.mark.parametrize("size", [2, 8])
def test_simulation_agrees(size):
    problem = gaussian_regression(VALUES, 0.3, examples=64)
    trainer = jaxgd.trainer(problem, jaxgd.sgd(0.2), size, grad_norm=False)
    fitted = jax.vmap(lambda key: jaxgd.fit(trainer, key, epochs=1).history["valid_loss"][-1])
    losses = np.asarray(fitted(jax.random.split(jax.random.key(0), 4000)), np.float64)
    expected = regression_loss(VALUES, 0.3, 0.2, size, 64 // size)
    assert abs(losses.mean() - expected) < 4 * losses.std() / math.sqrt(losses.size)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0], 1, 0.1, 1, 1), "eigenvalues must be above 0, got 0"),
        (([1.0], -1, 0.1, 1, 1), "noise must be finite and 0 or more, got -1"),
        (([1.0], 1, math.nan, 1, 1), "learning_rate must be finite and 0 or more, got nan"),
        (([1.0], 1, 0.1, 0, 1), "batch_size must be finite and above 0, got 0"),
        (([1.0], 1, 0.1, 1, -1), "updates must be a whole number, 0 or more, got -1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        regression_loss(*arguments)
    if "noise" in message:
        with pytest.raises(ValueError, match=message):
            gaussian_regression(*arguments[:2])
