"""Equal budgets by hand: four clocks, tuned on some seeds and reported on others, and what is said of it."""

import numpy as np
import pytest

from jaxgd.studies import equal_budgets, trials_of
from jaxgd.studies.intervals import t_interval

FINAL = [[1.0, 0.5, 0.8], [1.0, 0.9, 0.55]]


def test_budgets_and_values_by_hand(table):
    data = table(FINAL)
    found = equal_budgets(data)
    np.testing.assert_array_equal(found.budgets, [4, 8, 256, 4])  # the least that a cell reached
    assert (found.tuning_seeds, found.reporting_seeds) == (tuple(range(5)), tuple(range(5, 10)))
    np.testing.assert_array_equal(found.learning_rates[0], [[1, 10]])
    values = trials_of(data).values[0]
    at_the_end = np.stack([values[0, 1, 5:, -1], values[1, 2, 5:, -1]])
    np.testing.assert_allclose(found.scores[0, 0], at_the_end)
    np.testing.assert_allclose(found.scores[2], found.scores[0])
    # 8 updates are an epoch of batches of 8, and four of batches of 32; 4 seconds two, and four.
    np.testing.assert_allclose(found.scores[1, 0, 0], values[0, 1, 5:, 0])
    np.testing.assert_allclose(found.scores[3, 0], [values[0, 1, 5:, 1], at_the_end[1]])
    one = t_interval(at_the_end[1])
    assert (found.mean[0, 0, 1], found.halfwidth[0, 0, 1]) == pytest.approx(tuple(one))
    np.testing.assert_array_equal(found.seconds[:, 0], [[8, 4], [2, 4], [8, 4], [4, 4]])
    np.testing.assert_allclose(found.tuning[0, 0, 0], values[0, 1, :5, -1].mean())


def test_the_order_depends_on_the_clock(table):
    found = equal_budgets(table(FINAL))
    assert [one.clock for one in found.winners] == list(found.clocks)
    assert [one.batch_size for one in found.winners] == [8, 32, 8, 32]
    assert {one.verdict for one in found.winners} == {"better"}
    assert [found.verdicts[clock, 0].tolist() for clock in (0, 1)] == [
        ["better", "worse"],
        ["worse", "better"],
    ]
    first = found.winners[0]
    assert (first.method, first.learning_rate, first.second) == ("adam", 1, ("adam", 32))
    assert first.gap == pytest.approx(found.mean[0, 0, 1] - found.mean[0, 0, 0])
    assert first.low < first.gap
    assert found.recommended == found.shown == ((0, 0), (0, 1), (0, 0), (0, 1))


def test_the_cheapest_of_those_as_good_is_recommended(table):
    found = equal_budgets(table([[1.0, 0.5, 0.8], [1.0, 0.9, 0.501]], seeds=20), margin=0.05)
    assert found.verdicts[0].tolist() == [["as good", "as good"]]
    assert found.recommended[0] == found.shown[0] == (0, 1)  # half the seconds
    assert found.probability[0, 0].tolist() == pytest.approx([0, 1], abs=0.01)
    without = {name: column for name, column in table(FINAL).items() if name != "seconds"}
    unknown = equal_budgets(without, margin=1.0)
    assert unknown.recommended[0] == (0, 1)  # a quarter of the updates
    assert np.isnan(unknown.seconds).all()


def test_budgets_that_are_asked_for_lie_between_evaluations(table):
    data = table(FINAL, noise=0)
    found = equal_budgets(data, budgets={"epochs": 2.5, "updates": 4})
    np.testing.assert_allclose(
        found.mean[0, 0], [0.5 + (1 / 2 + 1 / 3) / 2 - 0.25, 0.55 + (1 / 2 + 1 / 3) / 2 - 0.25]
    )
    np.testing.assert_allclose(found.mean[1, 0], [np.nan, 0.55 + 1 / 2 - 0.25])
    assert any(
        "The first evaluation comes after the budget" in flag and "size 8" in flag for flag in found.flags
    )


def test_a_metric_of_which_more_is_better(table):
    data = table(FINAL)
    data["accuracy"] = 1 - data.pop("loss") / 20
    found = equal_budgets(data)
    assert (found.mode, found.margin.tolist()) == ("max", [0.005] * 4)
    assert [one.batch_size for one in found.winners] == [8, 32, 8, 32]
    assert found.winners[1].verdict == "better"
    assert found.recommended == (
        (0, 1),
        (0, 1),
        (0, 1),
        (0, 1),
    )  # the second is a quarter of a point away, and faster


def test_the_tuning_seeds_choose_and_the_others_report(table):
    data = table(FINAL, noise=0)
    is_lucky = (data["seed"] == 0) & (data["learning_rate"] == 0.1)
    data["loss"] = np.where(is_lucky, data["loss"] - 2, data["loss"])
    found = equal_budgets(data, tuning=[0])
    np.testing.assert_array_equal(found.learning_rates[0], [[0.1, 0.1]])
    np.testing.assert_allclose(found.mean[0], [[1, 1]])
    np.testing.assert_array_equal(equal_budgets(data, tuning=[1, 2]).learning_rates[0], [[1, 10]])


def test_a_run_that_diverged_is_said_and_never_imputed(table):
    data = table(FINAL)
    in_tuning = (data["seed"] == 1) & (data["learning_rate"] == 1) & (data["batch_size"] == 8)
    reporting = (data["seed"] == 7) & (data["learning_rate"] == 10) & (data["batch_size"] == 32)
    data["loss"] = np.where((in_tuning | reporting) & (data["epochs"] > 2), np.inf, data["loss"])
    found = equal_budgets(data)
    np.testing.assert_array_equal(found.learning_rates[0], [[10, 10]])
    np.testing.assert_array_equal(found.diverged[:, 0], [[0, 1], [0, 1], [0, 1], [0, 1]])
    np.testing.assert_array_equal(np.isnan(found.mean[0]), [[False, True]])
    assert np.isnan(found.scores[0, 0, 1]).tolist() == [False, False, True, False, False]
    assert found.verdicts[0].tolist() == [["no verdict", "no verdict"]]
    assert any(flag.startswith("1 of 5 reporting seeds diverged") for flag in found.flags)
    # At equal updates, 8, batches of 8 are read before they diverge.
    assert found.learning_rates[1, 0, 0] == 1


def test_a_run_that_diverged_does_not_hide_the_seconds_of_others(table):
    """SGD is as good at both batch sizes: 32 takes fewer updates, and here more seconds."""
    data = table([FINAL, [[0.5] * 3] * 2], methods=("adam", "sgd"))
    is_lost = (data["seed"] == 7) & (data["optimizer"] == "adam")
    data["loss"] = np.where(is_lost, np.inf, data["loss"])
    kept = {name: column[~is_lost | (data["epochs"] == 1)] for name, column in data.items()}
    kept["seconds"] = np.where(kept["batch_size"] == 32, 100, 1) * kept["seconds"]
    found = equal_budgets(kept, margin=0.1)
    np.testing.assert_array_equal(found.seconds[0], [[np.nan, np.nan], [8, 400]])
    assert found.recommended[0] == (1, 0)


def test_methods_of_other_seeds(table):
    data = table([FINAL, FINAL], methods=("adam", "sgd"))
    data["seed"] = np.where(data["optimizer"] == "sgd", data["seed"] + 100, data["seed"])
    found = equal_budgets(data)
    assert np.isfinite(found.mean).all()
    assert any("seeds of their own" in flag for flag in found.flags)


def test_a_budget_of_a_clock_that_is_not_there(table):
    without = {name: column for name, column in table(FINAL).items() if name != "seconds"}
    with pytest.raises(ValueError, match="budgets has 'seconds', which the data do not hold"):
        equal_budgets(without, budgets={"seconds": 3})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budgets": {"epoch": 3}}, "unknown clock 'epoch'; did you mean 'epochs'"),
        ({"budgets": {"epochs": 0}}, r"budgets\['epochs'\] must be finite and above 0, got 0"),
        ({"margin": -1}, "margin must be finite and 0 or more, got -1"),
        ({"schedule": "cosine"}, "unknown schedule 'cosine'"),
        ({"tuning": 10}, "tuning must leave some of the 10 seeds"),
    ],
)
def test_bad_arguments(table, options, message):
    with pytest.raises(ValueError, match=message):
        equal_budgets(table(FINAL), **options)
