"""The time at a saddle: known numbers, and the integral equation beside the closed form."""

import math

import numpy as np
import pytest

from jaxgd.landscape import mean_escape_time
from jaxgd.studies import saddle_escape_time


def test_known_times():
    assert saddle_escape_time(0.05, 1.0, 4096) == pytest.approx(136.815, rel=1e-5)
    times = [saddle_escape_time(0.1, 1.0, size) for size in (1, 4, 16, 64)]
    np.testing.assert_allclose(times, [23.2, 30.5, 37.8, 45.0], atol=0.15)


@pytest.mark.parametrize("rate", [0.05, 0.3, 1.0])
def test_the_two_meet(rate):
    size = (100 * rate) ** 2
    closed, solved = saddle_escape_time(rate, 1.0, 1.001 * size), mean_escape_time(rate, 1.0, 1.001 * size)
    assert closed != solved
    assert closed == pytest.approx(solved, abs=0.05)


def test_four_times_the_batch():
    more = saddle_escape_time(0.1, 1.0, 4e6) - saddle_escape_time(0.1, 1.0, 1e6)
    assert more == pytest.approx(math.log(2) / math.log(1.1), rel=1e-9)


@pytest.mark.slow
def test_simulation_agrees():
    rng, rate, size = np.random.default_rng(0), 0.05, 4096
    places, times = np.zeros(20_000), np.full(20_000, np.inf)
    for update in range(1, 600):
        noise = rng.standard_normal(places.size) * rate / math.sqrt(size)
        places = np.clip((1 + rate) * places + noise, -10, 10)
        times = np.where((np.abs(places) > 1) & np.isinf(times), update, times)
    error = times.std() / math.sqrt(times.size)
    assert abs(times.mean() - saddle_escape_time(rate, 1.0, size)) < 4 * error + 0.05


def test_bad_arguments():
    with pytest.raises(ValueError, match="batch_size must be finite and above 0, got 0"):
        saddle_escape_time(0.1, 1.0, 0)
