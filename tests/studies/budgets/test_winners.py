"""Verdicts on scores by seed: the same procedure as a comparison's, known intervals, its errors."""

import numpy as np
import pytest
from scipy.stats import t

from jaxgd.studies.budgets.winners import judge_scores, margin_of
from jaxgd.studies.intervals import paired_interval

FREE = np.zeros(2)


def test_two_cells_have_the_paired_interval():
    """Of scores that may be below 0 the lower end is that of the paired t interval, with half the error."""
    first, second = np.random.default_rng(0).normal(size=(2, 8))
    first, second = first - 100, second - 70
    found = judge_scores(np.stack([first, second]), "min", 0.0, 1.0, FREE)
    assert found.verdicts == ["better", "worse"]
    difference = second - first
    quantile = t.ppf(1 - 0.025, 7)
    low = difference.mean() - quantile * difference.std(ddof=1) / np.sqrt(8)
    assert found.conclusion.low[0] == pytest.approx(low, rel=1e-6)
    plain = paired_interval(second, first)
    assert found.conclusion.low[0] == pytest.approx(plain.mean - plain.halfwidth, rel=1e-6)
    assert found.order == [0, 1]


def test_which_direction_is_better():
    scores = np.array([[0.9, 0.91, 0.9, 0.92, 0.9], [0.8, 0.81, 0.8, 0.79, 0.8]])
    assert judge_scores(scores, "max", None, 1.0, FREE).verdicts == ["better", "worse"]
    assert judge_scores(scores, "min", None, 1.0, FREE).verdicts == ["worse", "better"]


def test_too_few_seeds_and_a_seed_without_a_score():
    scores = np.random.default_rng(0).normal(size=(3, 5))
    assert judge_scores(scores[:, :4], "min", 0.1, 1.0, np.zeros(3)).verdicts == ["no verdict"] * 3
    scores[1, 2] = np.nan
    found = judge_scores(scores, "min", 0.1, 1.0, np.zeros(3))
    assert found.verdicts[1] == "no verdict"
    assert 1 not in found.order
    assert "no verdict" not in found.verdicts[::2]


def test_cells_without_chance():
    rng = np.random.default_rng(0)
    one_run = np.repeat([[1.0], [2.0]], 5, axis=1)
    assert judge_scores(one_run, "min", 0.1, 1.0, FREE).verdicts == ["no verdict"] * 2
    scores = np.concatenate([one_run, rng.normal(3, 0.1, size=(1, 5))])
    assert judge_scores(scores, "min", 0.1, 1.0, np.zeros(3)).verdicts == ["better", "no verdict", "worse"]


def test_the_cheapest_of_those_as_good():
    scores = np.random.default_rng(0).normal([[1.0], [1.001], [2.0]], 0.001, size=(3, 20))
    found = judge_scores(scores, "min", 0.02, 1.0, np.array([5.0, 2.0, 1.0]))
    assert (found.shown, found.recommended) == (1, 1)
    unknown = judge_scores(scores, "min", 0.02, 1.0, np.array([5.0, np.nan, 1.0]))
    assert (unknown.shown, unknown.recommended) == (0, 0)
    few = judge_scores(scores[:, :4], "min", 0.02, 1.0, np.array([5.0, 2.0, 1.0]))
    assert (few.shown, few.recommended) == (None, 1)


def test_margins():
    assert margin_of(np.array([0.5, np.nan, 0.4]), "min") == pytest.approx(0.008)
    assert margin_of(np.array([0.5, 0.9]), "max") == 0.005
    assert margin_of(np.array([50.0, 90]), "max") == pytest.approx(1.8)
    assert margin_of(np.array([np.nan]), "min") == 0


def test_a_false_winner_is_seldom():
    """Of equal cells, a winner beyond any margin at all in 2.5 % at most; skewed, of unequal spread."""
    rng, wins = np.random.default_rng(0), 0
    for _ in range(400):
        scores = np.exp(rng.normal(size=(3, 5)) * np.array([[0.1], [0.3], [0.5]]))
        scores /= np.exp(np.array([[0.1], [0.3], [0.5]]) ** 2 / 2)
        wins += "better" in judge_scores(scores, "min", 0.0, 1.0, np.zeros(3)).verdicts
    assert wins <= 18  # of 400 at 2.5 %, more with probability 0.007
