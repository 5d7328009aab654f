"""Fieller's interval: known ends, and none where the divisor may be 0."""

import math

import numpy as np
import pytest

from jaxgd.studies.ratios import ratio_ends


def test_the_ends_are_where_the_difference_is_so_many_errors_from_0():
    low, high = ratio_ends(6.0, 2.0, (0.4, 0.1), 0.05, 2.0)
    for end in (low, high):
        error = math.sqrt(0.4 + end**2 * 0.1 - 2 * end * 0.05)
        assert abs(6 - 2 * end) == pytest.approx(2 * error)
    assert low < 3 < high


def test_a_divisor_that_may_be_0_has_no_upper_end():
    low, high = ratio_ends(6.0, 2.0, (0.4, 1.5), 0.0, 2.0)
    assert high == math.inf
    assert 0 < low < 3


def test_both_may_be_0():
    assert ratio_ends(1.0, 1.0, (1.0, 1.0), 0.0, 2.0) == (0.0, math.inf)


def test_it_covers_as_it_says():
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        one, other = 6 + 0.6 * random.normal(), 2 + 0.3 * random.normal()
        low, high = ratio_ends(one, other, (0.36, 0.09), 0.0, 1.96)
        covered += low <= 3 <= high
    assert covered / 2000 == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 2000))
