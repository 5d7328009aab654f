"""The clock of a result: seconds that are measured later."""

import pickle
import signal

import numpy as np
import pytest

import jaxgd
from jaxgd.reports.figures.scores import on_the_clock
from jaxgd.specs.runs import SpecRuns, runs_of
from jaxgd.specs.spec import parse_spec
from jaxgd.sweeps.engine import clock
from jaxgd.sweeps.engine.driver import Driver

INPUTS = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.linear(3), (INPUTS, INPUTS[:, 0]), (INPUTS[:6], INPUTS[:6, 0]))
AXES = {"batch_size": [4, "full"], "learning_rate": [0.1, 0.2], "seed": [0, 1]}


def make_trainer(hp):
    return jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.learning_rate), hp.batch_size)


def sweep(**options):
    return jaxgd.sweep(make_trainer, AXES, 2, progress=False, **options)


@pytest.fixture(scope="module")
def result():
    return sweep()


@pytest.fixture
def nothing_runs(monkeypatch):
    """A driver that is asked to move its lanes."""

    def refuse(*arguments):
        raise AssertionError("a run is trained")

    monkeypatch.setattr(Driver, "call", refuse)


def assert_timed(timed, result):
    """The result with seconds that grow with the updates, of one size the same for every run."""
    assert "seconds" not in result.dataset
    rates = timed.dataset.seconds / timed.dataset.updates
    assert rates.dims == (*AXES, "epoch")
    assert (rates > 0).all()
    assert float((rates.max(["learning_rate", "seed", "epoch"]) - rates).max()) < 1e-12
    seconds = timed.plan.clock_seconds
    assert 0 < seconds <= timed.plan.seconds
    without = timed.dataset.drop_vars("seconds")
    names = ["plan", "sweep_seconds"]
    assert without.drop_attrs().identical(result.dataset.drop_attrs())
    assert {n: v for n, v in without.attrs.items() if n not in names} == {
        n: v for n, v in result.dataset.attrs.items() if n not in names
    }
    return timed


def test_a_result_is_timed_later(result, nothing_runs):
    timed = assert_timed(result.clocked(), result)
    assert timed.plan.groups == result.plan.groups
    assert timed.states is result.states
    assert list(timed.dataset.coords) == [*result.dataset.coords, "seconds"]


def test_in_the_sweep_it_is_the_same_clock(result):
    assert result.plan.clock_seconds == 0
    timed = assert_timed(sweep(clock=True, plan=result.plan), result)
    assert [program.recipe for program in timed.plan.groups] == [
        program.recipe for program in result.plan.groups
    ]


def test_lanes_at_once_are_timed_one_at_a_time(nothing_runs, result, monkeypatch):
    recipes = []
    made = clock.LaneAlone.__init__
    monkeypatch.setattr(
        clock.LaneAlone,
        "__init__",
        lambda lane, driver, run=0: recipes.append(driver.recipe) or made(lane, driver, run),
    )
    result.clocked()
    assert len(recipes) == 2  # of each batch size
    assert all(recipe.is_alone for recipe in recipes)


def test_a_loaded_result_says_what_it_needs(result, tmp_path):
    result.save(tmp_path)
    loaded = jaxgd.load(tmp_path)
    with pytest.raises(ValueError, match=r"has no trainers to time: give them, as result\.clocked\(make"):
        loaded.clocked()
    assert_timed(loaded.clocked(make_trainer), loaded)


SPEC = {
    "data": "breast_cancer",
    "epochs": 1,
    "fixed": {"model": "linear", "optimizer": "sgd", "batch_size": 32},
    "axes": {"learning_rate": [0.01, 0.1]},
}


def test_the_trainers_of_a_spec_are_named(tmp_path):
    result = SpecRuns(parse_spec(SPEC, "spec.toml")).run(progress=False)
    result.save(tmp_path)
    loaded = jaxgd.load(tmp_path)
    with pytest.raises(ValueError, match=r"with jaxgd\.specs\.runs\.runs_of\(result\)\.make_trainer for"):
        loaded.clocked()
    assert (loaded.clocked(runs_of(loaded).make_trainer).dataset.seconds > 0).all()


def test_runs_that_were_not_run_have_taken_no_seconds(default_handlers):
    apart = jaxgd.plan(make_trainer, AXES, 2, merge=False)
    stop = lambda *_: signal.raise_signal(signal.SIGINT)  # noqa: E731
    with pytest.raises(jaxgd.Interrupted) as raised:
        jaxgd.sweep(make_trainer, AXES, 2, progress=stop, plan=apart)
    dataset = raised.value.result.clocked().dataset
    ended = dataset.status != "not run"
    assert 0 < int(ended.sum()) < 8
    np.testing.assert_array_equal(dataset.seconds > 0, ended.broadcast_like(dataset.seconds))


def test_a_pickle_has_no_trainers(result):
    found = pickle.loads(pickle.dumps(result))
    assert found.make_trainer is None
    assert found.dataset.identical(result.dataset)
    assert result.make_trainer is make_trainer


def test_figures_ask_for_seconds_where_they_draw_them(result, nothing_runs):
    figure = jaxgd.figures.learning_curves(result, clock="seconds")
    assert list(figure.layout.meta["clocks"]) == ["epochs", "updates", "examples", "seconds"]
    assert "seconds" not in jaxgd.figures.learning_curves(result).layout.meta["clocks"]
    timed = on_the_clock(result)
    assert on_the_clock(timed) is timed
