"""First passages by hand: between two evaluations, at the first one, never."""

import numpy as np
import pytest

from jaxgd.studies.scaling.passages import checked_goal, first_passages
from jaxgd.studies.trials.canonical import trials_of


def passages(updates, values, goal, metric="loss"):
    size = len(updates)
    table = {"batch_size": [8] * size, "learning_rate": [0.1] * size, "seed": [0] * size}
    found = first_passages(
        trials_of({**table, "updates": updates, metric: values}, metric), checked_goal({metric: goal})
    )
    return np.exp(found.log_steps.item()), found.at_first.item()


def test_updates_and_losses_are_interpolated_in_their_logarithms():
    # From 0.8 to 0.2 the goal of 0.4 is half the way, and so is 20 between 10 and 40.
    assert passages([10, 40], [0.8, 0.2], 0.4) == (pytest.approx(20), False)


def test_accuracies_are_interpolated_in_the_error_rate():
    steps, _ = passages([10, 40], [0.2, 0.8], 0.6, "accuracy")
    assert steps == pytest.approx(20)  # error rates 0.8, 0.2 and 0.4


def test_a_metric_that_can_be_negative_is_taken_as_it_is():
    steps, _ = passages([10, 40], [1.0, -1.0], 0.0)
    assert steps == pytest.approx(20)


def test_the_first_evaluation_counts_and_is_marked():
    assert passages([10, 40], [0.3, 0.2], 0.4) == (pytest.approx(10), True)


def test_a_later_rise_changes_nothing():
    assert passages([10, 40, 80], [0.8, 0.2, 0.9], 0.4)[0] == pytest.approx(20)


def test_a_trial_that_does_not_get_there_is_infinite():
    assert passages([10, 40], [0.8, 0.5], 0.4) == (np.inf, False)


def test_a_loss_of_exactly_the_goal_is_there():
    assert passages([10, 40], [0.8, 0.4], 0.4)[0] == pytest.approx(40)


@pytest.mark.parametrize("goal", [0.3, {}, {"loss": 1, "accuracy": 2}, {"loss": "low"}, {"loss": np.nan}])
def test_goals_that_are_none(goal):
    with pytest.raises(ValueError, match="goal must"):
        checked_goal(goal)
