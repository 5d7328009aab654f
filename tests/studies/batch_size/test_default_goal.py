"""The goal of a study that was given none, by hand."""

import numpy as np
import pytest

from jaxgd.studies import seeds_split, trials_of
from jaxgd.studies.batch_size.default_goal import usual_goal


def trials(values, metric="loss", sizes=(8, 32, 128)):
    """Trials of three batch sizes, with the values [rates, seeds, evaluations] at the middle one."""
    values = np.asarray(values, float)
    rows = []
    for size in sizes:
        for rate, seed, place in np.ndindex(values.shape):
            value = values[rate, seed, place] if size == sizes[1] else 0.9
            rows.append((size, (0.1, 0.3)[rate], seed, place + 1, value))
    names = "batch_size", "learning_rate", "seed", "updates", metric
    return trials_of(dict(zip(names, np.array(rows).T.tolist(), strict=True)))


def test_it_is_the_worst_tuning_seed_of_the_best_rate_at_two_thirds():
    # Of seeds 0 and 1 the first two tune; after four of six evaluations.
    curves = [[[0.9, 0.8, 0.5, 0.4, 0.1, 0.1]] * 4, [[0.9, 0.7, 0.6, 0.3, 0.2, 0.1]] * 4]
    curves[1][1] = [0.9, 0.7, 0.6, 0.3124, 0.2, 0.1]
    found = trials(curves)
    assert usual_goal(found, seeds_split(found)).value == 0.313


def test_what_was_reached_counts_though_it_rose_again():
    curves = [[[0.9, 0.2, 0.5, 0.4, 0.1, 0.1]] * 2] * 2
    found = trials(curves)
    assert usual_goal(found, seeds_split(found)).value == 0.2


def test_of_accuracies_it_is_rounded_down():
    curves = [[[0.1, 0.5, 0.87654]] * 2] * 2
    found = trials(curves, "accuracy")
    assert usual_goal(found, seeds_split(found)).value == 0.5  # two of three evaluations
    curves = [[[0.1, 0.87654, 0.9]] * 2] * 2
    found = trials(curves, "accuracy")
    assert usual_goal(found, seeds_split(found)).value == 0.876


def test_no_trial_with_a_value():
    curves = [[[np.nan, np.nan, np.nan]] * 2] * 2
    found = trials(curves)
    with pytest.raises(ValueError, match="goal is needed: at batch size 32 no rate has no loss"):
        usual_goal(found, seeds_split(found))
