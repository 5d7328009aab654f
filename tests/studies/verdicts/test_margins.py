import numpy as np
import pytest

from jaxgd.studies.verdicts.concluding import CellScores, conclude
from jaxgd.studies.verdicts.margins import accuracy_margin, loss_margin, smallest_difference
from jaxgd.studies.verdicts.spending import ROUNDS, shares_of_error


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


def verdict_on(ahead, rows, looks):
    """The verdict on a cell that is right on so many rows more than another one, the same at every seed."""
    right = [np.tile(np.arange(rows) < rows // 2 + more, (looks[-1], 1)) for more in (ahead, 0)]
    margin, shares = accuracy_margin(rows), shares_of_error(looks, looks[-1])
    return conclude(CellScores(right, hits=True, higher_is_better=True), margin, looks, shares).verdicts[0]


@pytest.mark.parametrize("rows", [50, 115, 199])
def test_the_procedure_shows_that_difference_and_no_smaller_one(rows):
    least = round(rows * smallest_difference(rows))
    assert verdict_on(least, rows, ROUNDS[:1]) == "better"
    assert verdict_on(least - 1, rows, ROUNDS[:1]) != "better"
    assert verdict_on(least, rows, ROUNDS) != "better"
    assert verdict_on(least + 2, rows, ROUNDS) == "better"
