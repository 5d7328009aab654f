"""The study of trials: its sentences name what was found, and say where the evidence is thin."""

import numpy as np
import pytest

import jaxgd
from jaxgd.studies import study_of
from tests.studies.scaling.tables import table_of

SIZES, RATES = (4, 8, 16, 32, 64, 128), (0.1, 0.2, 0.4)


def table(seeds=10, spread=0.05, seed=0, sizes=SIZES, rates=RATES):
    """Updates 20 (1 + 32 / B); the middle rate is best."""
    random = np.random.default_rng(seed)
    best = np.log(20 * (1 + 32 / np.array(sizes)))[:, None, None]
    worse = np.abs(np.arange(len(rates)) - len(rates) // 2)[:, None] * 0.4
    return table_of(best + worse + spread * random.normal(size=(len(sizes), len(rates), seeds)), sizes, rates)


def test_the_first_line_names_cell_and_uncertainty():
    found = study_of(table(), {"loss": 1.0}, name="known curves")
    assert found.sentence.startswith("On known curves, to loss=1: use batch size ")
    assert f"batch size {found.pick.batch_size:g}, rate 0.2: " in found.sentence
    assert f"({found.pick.low:.3g} to {found.pick.high:.3g})" in found.sentence
    assert "Thin evidence" not in found.sentence
    fit = found.methods[0].critical.fit
    assert fit.low < 32 < fit.high


def test_nothing_beyond_what_was_measured_is_recommended():
    found = study_of(table(), {"loss": 1.0})
    assert found.pick.batch_size in SIZES
    assert found.pick.learning_rate in RATES


def test_without_a_goal_one_is_chosen_and_said():
    found = study_of(table())
    assert not found.goal_is_given
    assert any("No goal was given: loss=" in line for line in found.details)
    assert found.methods[0].steps.is_reached.any()


def test_thin_evidence_is_in_the_first_line():
    few = study_of(table(seeds=6), {"loss": 1.0})
    assert "Thin evidence: 3 reporting seeds, of 5 that are needed." in few.sentence
    edge = study_of(table(rates=(0.2, 0.4)), {"loss": 1.0}).sentence
    assert "the rate is the highest of its grid" in edge or "the rate is the lowest of its grid" in edge


def test_a_goal_nobody_reaches_still_tells_what_can_be_told():
    found = study_of(table(), {"loss": 1e-6})
    assert found.pick is None
    assert "nothing to recommend: at no batch size does every reporting seed get there." in found.sentence
    assert "At equal examples the best mean loss is" in found.sentence
    assert any("goal is not reached at batch size 4, 8" in line for line in found.warnings)


def test_methods_are_told_apart():
    one, other = table(), table(seed=1)
    both = {name: one[name] + other[name] for name in one}
    both["optimizer"] = ["adam"] * len(one["loss"]) + ["sgd"] * len(other["loss"])
    found = study_of(both, {"loss": 1.0})
    assert [one.steps.method for one in found.methods] == ["adam", "sgd"]
    assert any(line.startswith("adam: critical batch size") for line in found.details)


def test_the_same_of_a_file(tmp_path):
    import pandas as pd

    path = tmp_path / "trials.csv"
    pd.DataFrame(table()).to_csv(path, index=False)
    assert study_of(str(path), {"loss": 1.0}).sentence == study_of(table(), {"loss": 1.0}).sentence


def test_one_batch_size_is_refused():
    with pytest.raises(ValueError, match="batch sizes must be two or more, got 4 alone"):
        study_of(table(sizes=SIZES[:1]), {"loss": 1.0})


def test_it_is_pure():
    trials = jaxgd.studies.trials_of(table())
    before = trials.values.copy()
    assert study_of(trials, {"loss": 1.0}).sentence == study_of(trials, {"loss": 1.0}).sentence
    np.testing.assert_array_equal(trials.values, before)
