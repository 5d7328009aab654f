import pytest

from jaxgd.studies.verdicts.margins import accuracy_margin, loss_margin, smallest_difference


def test_half_a_point_or_one_row():
    assert accuracy_margin(360) == 0.005
    assert accuracy_margin(50) == 1 / 50


def test_two_percent_of_the_larger_loss():
    assert loss_margin(0.3) == pytest.approx(0.006)
    assert loss_margin(0.3, constant=1.0) == pytest.approx(0.02)
    assert loss_margin(0.3, constant=0.1) == pytest.approx(0.006)


def test_what_a_hundred_rows_can_show():
    # k rows more, none less: k - t(99) √(k (1 - k/100) 100/99) lies above one row for k = 6, not for k = 5.
    assert smallest_difference(100) == pytest.approx(0.06)


def test_more_rows_show_less():
    shown = [smallest_difference(rows) for rows in (20, 50, 100, 200, 1000)]
    assert shown == sorted(shown, reverse=True)
    assert smallest_difference(3) == 1.0
