"""The best constants on a quadratic: known numbers, and the spectral radius of the update."""

import numpy as np
import pytest

from jaxgd.studies import optimal_rate
from jaxgd.studies.theory.second_moments import linear_update

KNOWN = {
    "gradient descent": (1 / 13, 0, 0.923077),
    "heavy ball": (0.111111, 0.444444, 0.666667),
    "nesterov": (0.04, 2 / 3, 0.8),
}


@pytest.mark.parametrize("method", KNOWN)
def test_known_numbers(method):
    np.testing.assert_allclose(optimal_rate(method, 1, 25), KNOWN[method], rtol=1e-5)


@pytest.mark.parametrize("method", KNOWN)
def test_the_contraction_is_the_spectral_radius(method):
    rate, momentum, contraction = optimal_rate(method, 1, 25)
    update = linear_update(np.linspace(1, 25, 99), rate, momentum, method == "nesterov", None)
    radius = np.abs(np.linalg.eigvals(update.matrix)).max()
    assert radius == pytest.approx(contraction, rel=1e-6)


def test_bad_arguments():
    with pytest.raises(ValueError, match="unknown method 'heavy-ball'; did you mean 'heavy ball'"):
        optimal_rate("heavy-ball", 1, 25)
    with pytest.raises(ValueError, match="0 < smallest <= largest, got smallest=25, largest=1"):
        optimal_rate("nesterov", 25, 1)
