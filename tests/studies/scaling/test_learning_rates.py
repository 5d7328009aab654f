"""How best rates grow with the batch size: powers that are known."""

import math

import numpy as np
import pytest

from jaxgd.studies import rate_scaling


@pytest.mark.parametrize(("power", "name"), [(1.0, "linear"), (0.5, "square root"), (0.2, "")])
def test_a_power_is_found_and_named(power, name):
    sizes = np.array([8.0, 32, 128, 512])
    noise = np.exp([0.01, -0.01, -0.01, 0.01])
    found = rate_scaling(0.01 * sizes**power * noise, sizes)
    assert found.exponent == pytest.approx(power, abs=0.01)
    assert found.nearest == name
    assert found.factor == pytest.approx(0.01, rel=0.05)
    assert found.misfits["fitted"] == min(found.misfits.values())


def test_the_misfit_of_a_rule_is_a_factor():
    # Constant rates at batch sizes 1 and 4, and twice each: square root is off by 2 at the ends, alone.
    found = rate_scaling([1.0, 1.0, 1.0], [1, 4, 16])
    assert found.misfits["square root"] == pytest.approx(math.exp(math.log(2) * math.sqrt(2 / 3)))
    assert found.misfits["fitted"] == 1


def test_two_batch_sizes_are_too_few():
    found = rate_scaling([1.0, 2.0], [1, 2])
    assert math.isnan(found.exponent)
    assert "needs 3 batch sizes" in found.reason


def test_what_is_no_rate():
    with pytest.raises(ValueError, match="learning_rates must be finite and above 0, got 0"):
        rate_scaling([0.0, 1.0, 2.0], [1, 2, 3])
