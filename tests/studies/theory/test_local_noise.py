"""Noise scales from a gradient, a Hessian and a covariance."""

import math

import numpy as np
import pytest

from jaxgd.studies import local_noise_scale

G, H, COVARIANCE = [1, 1], np.diag([2, 0.5]), np.diag([4, 1])


def test_known_numbers():
    found = local_noise_scale(G, H, COVARIANCE)
    assert found == pytest.approx((2.5, 3.4, 0.8))
    assert found.learning_rate(16) == pytest.approx(0.659794, rel=1e-5)


def test_the_rate_lowers_the_loss_most():
    """E L(x - r g) = L - r |G|² + r² (GᵀHG + tr(HΣ) / B) / 2 for a quadratic."""
    rng = np.random.default_rng(0)
    root, other = rng.normal(size=(2, 3, 3))
    hessian, covariance, g = root @ root.T, other @ other.T, rng.normal(size=3)
    found = local_noise_scale(g, hessian, covariance)
    rates = found.learning_rate(5) * np.linspace(0.5, 1.5, 1001)
    change = -rates * (g @ g) + rates**2 * (g @ hessian @ g + np.trace(hessian @ covariance) / 5) / 2
    assert rates[np.argmin(change)] == pytest.approx(found.learning_rate(5))


def test_where_there_is_none():
    assert math.isnan(local_noise_scale([0, 0], H, COVARIANCE).simple)
    assert math.isnan(local_noise_scale(G, -H, COVARIANCE).noise)
    with pytest.raises(ValueError, match=r"shapes \[d\], \[d, d\] and \[d, d\], got \[2\], \[3, 3\]"):
        local_noise_scale(G, np.eye(3), np.eye(3))
