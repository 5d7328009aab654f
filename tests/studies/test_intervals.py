import math

import numpy as np
import pytest

from jaxgd.studies.intervals import Interval, paired_interval, t_interval


def test_t_interval_by_hand():
    # Mean 3, sum of squares 10, s = sqrt(10 / 4), t(4) at 97.5 % = 2.776445: 2.776445 * s / sqrt(5).
    mean, halfwidth = t_interval([1, 2, 3, 4, 5])
    assert mean == 3
    assert halfwidth == pytest.approx(1.963243, abs=1e-6)


def test_paired_differences_two_sided_and_one_sided():
    # Of -4, 1, -6, -2 and 0 thousandths: t(4) is 2.776445 at 97.5 %, 2.131847 at 95 %.
    differences = np.array([-0.004, 0.001, -0.006, -0.002, 0.0])
    both = paired_interval(differences, np.zeros(5))
    assert both.mean == pytest.approx(-0.0022)
    assert both.halfwidth == pytest.approx(0.00355558, rel=1e-5)
    assert both.side == 0
    one = t_interval(differences, error=0.1)
    assert one.mean - one.halfwidth == pytest.approx(-0.00493010, rel=1e-5)


def test_two_values():
    # t(1) at 97.5 % is 12.7062, s = sqrt(2), so the halfwidth is 12.7062 * 1.
    assert t_interval([0.0, 2.0]).halfwidth == pytest.approx(12.7062, abs=1e-4)


def test_pairing_removes_what_seeds_share():
    shared = np.array([0.0, 10.0, 20.0])
    difference = paired_interval(shared + 1, shared)
    assert difference == Interval(1.0, 0.0)
    assert difference.side == 0
    assert t_interval(shared).halfwidth > 20


def test_the_side_of_zero():
    assert Interval(-0.5, 0.5).side == Interval(0.5, 0.5).side == 0
    assert (Interval(-0.5, 0.4999).side, Interval(0.5, 0.4999).side) == (-1, 1)
    # Equal at all seeds: there may be no chance in it.
    assert Interval(1.0, 0.0).side == Interval(0.0, 0.0).side == 0


def test_of_the_unknown_no_side_is_known():
    assert math.isnan(t_interval([0.7]).halfwidth)
    assert t_interval([0.7]).side == 0
    assert paired_interval([0.1, math.nan], [0.1, 0.2]).side == 0


def test_a_smaller_error_is_a_wider_interval():
    # t(4) at 99.5 % is 4.604095.
    assert t_interval([1, 2, 3, 4, 5], error=0.01).halfwidth == pytest.approx(3.255587, abs=1e-5)


def test_covers_as_often_as_it_says():
    samples = np.random.default_rng(0).normal(size=(4000, 5))
    covered = np.mean([t_interval(row).side == 0 for row in samples])
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))
