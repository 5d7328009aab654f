import numpy as np
import pytest

from jaxgd.studies.verdicts.crossed import crossed_moments
from jaxgd.studies.verdicts.own_intervals import score_intervals


def interval(scores, hits):
    low, high = score_intervals(crossed_moments(np.asarray(scores, float)[None], hits))
    return low[0], high[0]


def test_wilsons_interval_of_seeds_that_agree():
    # 90 of 100 rows at every seed; t(99) = 1.98422 in place of 1.96, 99 in place of 100.
    low, high = interval(np.tile(np.arange(100) < 90, (5, 1)), hits=True)
    t2 = 1.984217**2
    centre, half = (0.9 + t2 / 198) / (1 + t2 / 99), np.sqrt(t2 / 99 * (0.09 + t2 / 396)) / (1 + t2 / 99)
    assert (low, high) == pytest.approx((centre - half, centre + half), abs=1e-4)


@pytest.mark.parametrize("right", [0, 1])
def test_never_beyond_0_and_1(right):
    low, high = interval(np.full((5, 30), right), hits=True)
    assert 0 <= low < high <= 1
    assert (low if right == 0 else high) == right


def test_a_loss_stays_above_zero():
    low, high = interval(np.random.default_rng(0).lognormal(0, 3, (5, 8)), hits=False)
    assert 0 < low < high


def test_other_scores_have_the_plain_interval():
    scores = np.random.default_rng(0).normal(size=(5, 50))
    low, high = interval(scores - scores.mean() - 1e-3, hits=False)
    assert low + high == pytest.approx(-2e-3)


@pytest.mark.parametrize(("hits", "first"), [(True, 0.95), (True, 0.6), (False, 0.3)])
@pytest.mark.parametrize("seeds", [5, 20])
def test_covers_as_often_as_it_says(simulator, hits, first, seeds):
    world = simulator.World(np.zeros(1), hits, first, rows=100, seed=0.15, row=1.0)
    scores = world.draw(np.random.default_rng(0), 500, seeds)
    low, high = score_intervals(crossed_moments(scores, hits))
    covered = np.mean((low <= first) & (first <= high))
    assert 1 - covered <= simulator.highest(0.05, 500)
