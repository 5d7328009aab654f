"""The rate that seeds choose, and how often resamples of them choose another one."""

import numpy as np

from jaxgd.studies.scaling.rate_choices import RESAMPLES, chosen_rates, resampled_choices


def test_fewest_misses_come_before_fewer_updates():
    logs = np.array([[[1.0, np.inf], [3.0, 3.2], [2.0, 4.5]]])
    assert chosen_rates(logs).tolist() == [1]  # 3.1 against 3.25, and the first misses once


def test_equal_means_choose_the_smaller_rate():
    assert chosen_rates(np.array([[[2.0, 1.0], [1.5, 1.5]]])).tolist() == [0]


def test_no_rate_that_gets_there():
    assert chosen_rates(np.full((1, 2, 3), np.inf)).tolist() == [-1]


def test_trials_that_are_not_there_do_not_count():
    assert chosen_rates(np.array([[[np.nan, 1.0], [1.5, 1.5], [np.nan, np.nan]]])).tolist() == [0]


def test_resamples_choose_among_equals_and_leave_a_clear_winner():
    rng = np.random.default_rng(1)
    close = rng.normal(size=(1, 2, 5))
    clear = close - np.array([0.0, 50.0])[:, None]
    choices = resampled_choices(np.concatenate([close, clear]))
    assert choices.shape == (RESAMPLES, 2)
    assert set(choices[:, 0]) == {0, 1}
    assert set(choices[:, 1]) == {1}
