"""Updates to a goal: means by hand, intervals, misses that are said and never filled in."""

import numpy as np
import pytest
from scipy.stats import t

from jaxgd.studies import measured_steps, trials_of
from tests.studies.scaling.tables import table_of

SIZES, RATES = (8, 32, 128), (0.1, 0.3)


def logs_of(seeds=6, spread=0.1, seed=0):
    """Log updates [3, 2, seeds]: the second rate is 0.5 faster at batch size 128, the first one elsewhere."""
    best = np.log([100.0, 30.0, 12.0])[:, None, None] + np.array([[0, 0.5], [0, 0.5], [0.5, 0]])[..., None]
    return best + spread * np.random.default_rng(seed).normal(size=(3, 2, seeds))


def test_the_mean_and_the_interval_of_the_reporting_seeds():
    logs = logs_of()
    found = measured_steps(table_of(logs, SIZES, RATES), {"loss": 1.0})
    own = np.stack([logs[0, 0, 3:], logs[1, 0, 3:], logs[2, 1, 3:]])
    np.testing.assert_allclose(np.log(found.steps), own.mean(-1), rtol=1e-9)
    half = t.ppf(0.975, 2) * own.std(-1, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(np.log(found.high / found.steps), half, rtol=1e-9)
    np.testing.assert_allclose(np.log(found.steps / found.low), half, rtol=1e-9)
    assert found.learning_rates.tolist() == [0.1, 0.1, 0.3]
    assert found.found == ["reached"] * 3
    np.testing.assert_allclose(found.examples, found.steps * SIZES)


def test_a_choice_that_might_have_been_another_widens_the_interval():
    logs = logs_of()
    logs[:, 1] = logs[:, 0] + 0.05 * np.random.default_rng(3).normal(size=(3, 6))
    wide = measured_steps(table_of(logs, SIZES, RATES), {"loss": 1.0})
    own = np.log(wide.steps)
    spread = np.nanvar(wide.retuned, axis=0)
    assert (spread > 0).any()
    half = np.log(wide.high) - own
    seeds = wide.log_steps.var(-1, ddof=1) / 3
    np.testing.assert_allclose(half, t.ppf(0.975, 2) * np.sqrt(seeds + spread), rtol=1e-9)


def test_a_seed_that_misses_leaves_a_lower_end_alone():
    logs = logs_of()
    table = table_of(logs, SIZES, RATES, most=1e4)
    lost = [
        i for i, row in enumerate(zip(table["batch_size"], table["seed"], strict=True)) if row == (8.0, 5.0)
    ]
    for i in lost:
        table["loss"][i] = 2.0
    found = measured_steps(table, {"loss": 1.0})
    assert found.found == ["at least", "reached", "reached"]
    assert (found.reached[0], found.seeds[0]) == (2, 3)
    assert found.low[0] == pytest.approx(np.exp(logs[0, 0, 3:5].min()))
    assert found.high[0] == np.inf
    assert found.steps[0] == pytest.approx(np.exp(logs[0, 0, 3:5].max()))  # the median of three, one infinite


def test_half_of_the_seeds_that_miss_are_not_reached():
    logs = logs_of(4)
    table = table_of(logs, SIZES, RATES, most=1e4)
    for i, row in enumerate(zip(table["batch_size"], table["seed"], strict=True)):
        if row == (8.0, 3.0):
            table["loss"][i] = 2.0
    found = measured_steps(table, {"loss": 1.0})
    assert found.found[0] == "not reached"
    assert np.isnan([found.steps[0], found.low[0], found.high[0]]).all()


def test_a_goal_nobody_reaches():
    found = measured_steps(table_of(logs_of(), SIZES, RATES), {"loss": 1e-9})
    assert found.found == ["not reached"] * 3
    assert np.isnan(found.learning_rates).all()


def test_one_reporting_seed_has_no_interval():
    found = measured_steps(table_of(logs_of(2), SIZES, RATES), {"loss": 1.0})
    assert np.isfinite(found.steps).all()
    assert np.isnan(found.low).all()


def test_the_edge_of_the_grid_is_said():
    found = measured_steps(table_of(logs_of(), SIZES, RATES), {"loss": 1.0})
    assert found.edges == ["lowest", "lowest", "highest"]


def test_a_goal_that_the_first_evaluation_has_is_marked():
    logs = logs_of()
    found = measured_steps(table_of(logs, SIZES, RATES), {"loss": 20.0})
    assert found.found == ["at most"] * 3
    assert found.low.tolist() == [0.0] * 3
    assert not found.is_reached.any()


def test_several_methods_want_a_name():
    table = table_of(logs_of(), SIZES, RATES)
    both = {name: values * 2 for name, values in table.items()}
    both["optimizer"] = ["adam"] * len(table["loss"]) + ["sgd"] * len(table["loss"])
    with pytest.raises(ValueError, match="method must be one of adam, sgd"):
        measured_steps(both, {"loss": 1.0})
    with pytest.raises(ValueError, match="did you mean 'adam'"):
        measured_steps(both, {"loss": 1.0}, method="adm")
    one, other = (measured_steps(both, {"loss": 1.0}, **{name: "sgd"}) for name in ("method", "optimizer"))
    np.testing.assert_array_equal(one.steps, other.steps)


def test_one_batch_size_is_refused():
    with pytest.raises(ValueError, match="batch sizes must be two or more, got 8 alone"):
        measured_steps(table_of(logs_of()[:1], SIZES[:1], RATES), {"loss": 1.0})


def test_trials_of_another_metric_are_refused():
    trials = trials_of(table_of(logs_of(), SIZES, RATES))
    with pytest.raises(ValueError, match="unknown metric 'accuracy'"):
        measured_steps(trials, {"accuracy": 0.9})
