"""Trials read at a budget, by hand."""

import numpy as np

from jaxgd.studies import trials_of
from jaxgd.studies.budgets.clocks import largest_budget, read_at

NAN = np.nan


def trials(**curves):
    """One batch size, a rate for each curve: `[(updates, loss), ...]`, and a word for how it ended."""
    rows = [
        (rate, updates, loss, word)
        for rate, (word, *points) in enumerate(curves.values(), 1)
        for updates, loss in points
    ]
    rates, updates, losses, words = zip(*rows, strict=True)
    count = len(rows)
    table = {"batch_size": [8] * count, "seed": [0] * count, "learning_rate": rates}
    return trials_of(table | {"updates": updates, "loss": losses, "status": words})


CURVES = {
    "whole": ("completed", (10, 4), (20, 2), (40, 1)),
    "early": ("stopped early", (10, 4), (20, 3)),
    "short": ("completed", (10, 4), (30, 3)),
    "lost": ("diverged", (10, 4), (20, NAN)),
}


def values_at(budget, found=None):
    given = found or trials(**CURVES)
    reading = read_at(given, given.updates, budget)
    return reading.values.ravel(), reading.lost.ravel()


def test_on_the_line_between_evaluations_and_never_beyond_them():
    for budget, values in ((5, [NAN] * 4), (10, [4] * 4), (15, [3, 3.5, 3.75, NAN]), (20, [2, 3, 3.5, NAN])):
        np.testing.assert_array_equal(values_at(budget)[0], values)
    np.testing.assert_array_equal(values_at(30)[0], [1.5, 3, 3, NAN])
    np.testing.assert_array_equal(
        values_at(35)[0], [1.25, 3, NAN, NAN]
    )  # only one that ended keeps its value
    np.testing.assert_array_equal(values_at(50)[0], [NAN, 3, NAN, NAN])


def test_a_run_is_lost_from_the_evaluation_before_it_diverged():
    for budget, is_lost in ((5, False), (10, False), (11, True), (20, True), (99, True)):
        np.testing.assert_array_equal(values_at(budget)[1], [False, False, False, is_lost])
    never = trials(lost=("diverged", (10, NAN)))
    assert values_at(5, never)[1]


def test_what_is_read_may_be_another_clock():
    given = trials(**CURVES)
    found = read_at(given, given.updates, 15, given.examples).values.ravel()
    np.testing.assert_array_equal(found, [120, 120, 120, 120])


def test_the_largest_budget_that_all_reached():
    def budget(*names):
        given = trials(**{name: CURVES[name] for name in names})
        return largest_budget(given, given.updates)

    assert budget("whole", "early", "lost") == 40
    assert budget("whole", "short") == 30
    assert budget("early") == 20
    assert np.isnan(budget("lost"))


def test_a_seed_that_was_cut_short_does_not_limit_the_others():
    table = {"batch_size": [8] * 3, "learning_rate": [1] * 3, "seed": [0, 1, 1], "updates": [10, 10, 20]}
    given = trials_of(table | {"loss": [1, 1, 0.5]})
    assert largest_budget(given, given.updates) == 20
