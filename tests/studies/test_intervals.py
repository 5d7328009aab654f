import math

import numpy as np
import pytest

from jaxgd.studies.intervals import Interval, paired_interval, t_interval


def test_t_interval_by_hand():
    # Mean 3, sum of squares 10, s = sqrt(10 / 4), t(4) at 97.5 % = 2.776445: 2.776445 * s / sqrt(5).
    mean, halfwidth = t_interval([1, 2, 3, 4, 5])
    assert mean == 3
    assert halfwidth == pytest.approx(1.963243, abs=1e-6)


def test_two_values():
    # t(1) at 97.5 % is 12.7062, s = sqrt(2), so the halfwidth is 12.7062 * 1.
    assert t_interval([0.0, 2.0]).halfwidth == pytest.approx(12.7062, abs=1e-4)


def test_pairing_removes_what_seeds_share():
    shared = np.array([0.0, 10.0, 20.0])
    difference = paired_interval(shared + 1, shared)
    assert difference == Interval(1.0, 0.0)
    assert not difference.includes_zero
    assert t_interval(shared).halfwidth > 20


def test_includes_zero_at_its_bound():
    assert Interval(-0.5, 0.5).includes_zero
    assert not Interval(-0.5, 0.4999).includes_zero
    assert Interval(0.0, 0.0).includes_zero


def test_unknown_includes_nothing():
    assert math.isnan(t_interval([0.7]).halfwidth)
    assert not t_interval([0.7]).includes_zero
    assert not paired_interval([0.1, math.nan], [0.1, 0.2]).includes_zero


def test_covers_as_often_as_it_says():
    samples = np.random.default_rng(0).normal(size=(4000, 5))
    covered = np.mean([t_interval(row).includes_zero for row in samples])
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))
