import numpy as np
import pytest

from jaxgd.studies.verdicts.ends import lower_ends


def end(mean, variance, quantile=1.96, event=1.0, rows=1000):
    """The lower end in rows, of a difference and a variance in rows."""
    arrays = [np.asarray(value) for value in (mean / rows, variance / rows**2, quantile, event)]
    found = lower_ends(arrays[0], arrays[1], arrays[2], arrays[3], rows)
    return rows * float(found)


def test_no_row_that_differs_was_seen():
    # Wilson's and Tango's bound of nothing seen: z² rows.
    assert end(0.0, 0.0) == pytest.approx(-(1.96**2))


def test_tango_at_the_end():
    # At the end D the difference lies 1.96 standard deviations away, of the variance at D.
    for difference, variance in ((0, 4), (-3, 5), (1, 9), (-2, 0.5)):
        found = end(difference, variance)
        at_end = (variance + np.sqrt(variance**2 + 4 * found * (found - difference))) / 2
        assert (difference - found) / np.sqrt(at_end) == pytest.approx(1.96)


def test_an_end_above_zero_is_the_plain_one():
    assert end(4, 4) == pytest.approx(4 - 1.96 * 2)


def test_ends_are_continuous_at_zero():
    mean = 1.96 * np.sqrt(3)
    assert end(mean + 1e-6, 3) == pytest.approx(end(mean - 1e-6, 3), abs=1e-4)


def test_many_rows_leave_the_plain_end():
    assert end(0.0, 1e4, rows=10**6) == pytest.approx(-1.96 * 100, rel=1e-3)


def test_never_below_minus_one():
    assert end(-2, 1, quantile=5, rows=3) == -3


def test_other_scores_have_the_plain_end():
    mean, variance, quantile = np.array([0.0]), np.array([4.0]), np.array([2.0])
    assert lower_ends(mean, variance, quantile, None, 10) == pytest.approx([-4])
