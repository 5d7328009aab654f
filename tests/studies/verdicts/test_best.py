import numpy as np
import pytest
from scipy.special import ndtr, stdtrit

from jaxgd.studies.verdicts.best import Ends, against_best, ends_of, intervals_of, possible_best, tightest
from jaxgd.studies.verdicts.crossed import Differences
from jaxgd.studies.verdicts.levels import one_sided_levels


def differences(means, sd=1.0, degrees=1e9):
    means = np.asarray(means, float)
    cells = len(means)
    variance = sd**2 * (1 - np.eye(cells))
    return Differences(means[:, None] - means, variance, np.full_like(variance, degrees), None, num_rows=100)


def test_two_cells_far_apart_have_the_plain_interval():
    # The better one: 10 - 1.96 at least. The other one is as far below it, and not one bit further.
    found = intervals_of(ends_of(differences([10.0, 0.0]), 0.05, 0.0))
    assert found.low[0] == pytest.approx(10 - 1.95996, abs=1e-4)
    assert found.high[1] == pytest.approx(-found.low[0])


def test_bound_is_one_sided_at_the_whole_error():
    found = intervals_of(ends_of(differences([0.1, 0.0]), 0.05, 0.0))
    assert found.bound[1] == pytest.approx(-0.1 - 1.64485, abs=1e-4)


def test_bound_of_three_cells_is_dunnetts_where_the_margin_is_large():
    found = intervals_of(ends_of(differences([0.1, 0.0, 0.0], degrees=20.0), 0.05, 10.0))
    level = one_sided_levels(0.05, 2, np.array(0.5))
    assert found.bound[2] == pytest.approx(-0.1 - stdtrit(20, 1 - level), abs=1e-3)


def test_bound_within_a_small_margin_needs_no_correction():
    # Of 12 cells with a margin of half a deviation, one at most lies so far above all others.
    found = intervals_of(ends_of(differences([0.1, *[0.0] * 11]), 0.05, 0.5))
    assert found.bound[0] == pytest.approx(0.1 - 1.64485, abs=1e-3)


def test_cells_that_are_shown_to_be_far_below_are_not_corrected_for():
    two = intervals_of(ends_of(differences([0.1, 0.0]), 0.05, 10.0))
    twelve = intervals_of(ends_of(differences([0.1, 0.0, *[-100.0] * 10]), 0.05, 10.0))
    assert twelve.bound[:2] == pytest.approx(two.bound, abs=1e-3)


def test_the_only_possible_best_needs_no_correction():
    # Eleven far below: the end against the nearest of them is that of a single comparison.
    found = intervals_of(ends_of(differences([10.0, *[0.0] * 11]), 0.05, 0.0))
    assert found.low[0] == pytest.approx(10 - 1.95996, abs=1e-4)
    assert found.bound[0] == pytest.approx(found.low[0])


def test_a_winner_is_one_of_two_however_many_there_are():
    # 2.5 deviations ahead of eleven: above 0, at the end where both directions together make 2.5 %.
    two, twelve = (intervals_of(ends_of(differences([2.5, *[0.0] * n]), 0.05, 0.0)) for n in (1, 11))
    assert twelve.low[0] == two.low[0] > 0
    assert 0.024 < ndtr(two.low[0] - 2.5) + ndtr(-two.low[0] - 2.5) < 0.025
    nearly = intervals_of(ends_of(differences([2.24, *[0.0] * 11]), 0.05, 0.0))
    assert nearly.low[0] <= 0


def test_a_cell_that_is_not_the_best_stands_in_nobodys_way():
    # The last cell is hardly known, and surely not the best: it does not lower the others' ends.
    seen = differences([0.1, 0.0, -100.0])
    seen.variance[2, :2] = seen.variance[:2, 2] = 400
    found = intervals_of(ends_of(seen, 0.05, 0.0))
    assert found.bound[1] > -3


def test_estimates_lie_inside():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(500, 6))
    gaps = means[:, :, None] - means[:, None]
    ends = ends_of(Differences(gaps, np.ones_like(gaps), np.full_like(gaps, 9.0), None, 50), 0.05, 0.1)
    found, estimate = intervals_of(ends), against_best(means)
    assert ((found.low <= estimate) & (estimate <= found.high) & (found.bound <= estimate)).all()


def test_estimates_against_the_best_of_the_others():
    assert against_best(np.array([3.0, 5.0, 4.0])) == pytest.approx([-2, 1, -1])


def test_looks_that_contradict_each_other_leave_all_possible():
    lower = np.array([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]])
    assert possible_best(lower).all()


def test_what_a_look_has_shown_stays_shown():
    one, other = (intervals_of(ends_of(differences(means), 0.025, 0.0)) for means in ([9.0, 0.0], [1.0, 0.0]))
    both = tightest(other, one)
    assert both.low[0] == one.low[0]
    assert both.high[1] == one.high[1]
    assert both.bound[0] == one.bound[0]


def test_a_pair_that_was_not_looked_at_says_nothing():
    nothing = np.full((2, 2), -np.inf)
    found = intervals_of(Ends(nothing, nothing, -nothing, nothing))
    assert np.isneginf(found.low).all()
    assert np.isposinf(found.high).all()
