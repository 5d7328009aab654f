"""The cost of an update."""

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.sweeps import timing
from jaxgd.sweeps.axes import Point
from jaxgd.sweeps.engine.clock import LaneAlone
from jaxgd.sweeps.engine.execution import Engine
from jaxgd.sweeps.planning.planner import Options, Planner
from jaxgd.sweeps.runs import Run

INPUTS = np.random.default_rng(0).normal(size=(256, 64)).astype(np.float32)


PROBLEM = jaxgd.regression(jaxgd.linear(64), (INPUTS, INPUTS[:, 0]), (INPUTS, INPUTS[:, 0]))


def make_trainer(rate):
    return lambda hp: jaxgd.trainer(PROBLEM, jaxgd.sgd(rate), hp.batch_size)


@pytest.fixture(scope="module")
def clock():
    return jaxgd.throughput(make_trainer(0.01), ["full", 1], repeats=3, seconds=0.01)


def test_variables(clock):
    assert dict(clock.sizes) == {"batch_size": 2}
    assert clock.batch_size.values.tolist() == [256, 1]
    assert set(clock) == {"seconds_per_update", "examples_per_second", "bytes"}
    np.testing.assert_allclose(clock.examples_per_second * clock.seconds_per_update, clock.batch_size)


def test_sizes_are_plausible(clock):
    assert (clock.seconds_per_update > 1e-8).all()
    assert (clock.seconds_per_update < 1).all()
    assert (clock.bytes > INPUTS.nbytes).all()
    assert (clock.bytes < 10 * INPUTS.nbytes).all()


def alone(trainer):
    """The trainer's run on the clock, 20 epochs at most."""
    engine = Engine(jax.devices(), 20)
    planner = Planner(engine.devices, engine.sources, engine.bytes_of, Options())
    group, program = planner.choose([Run(0, trainer, 0)])[0]
    return LaneAlone(engine.driver(group, program.recipe))


def test_a_call_takes_about_as_long_as_asked_for():
    lane = alone(make_trainer(0.01)(Point({"batch_size": 16})))
    lane.calibrate(seconds=0)
    assert lane.examples == 16
    lane.calibrate(seconds=100)
    assert lane.examples == 20 * 256


def scripted(seconds_of, disturbed=()):
    """A lane of 20,000 updates whose calls take `seconds_of(updates)`; some take a hundred times longer."""
    lane = object.__new__(LaneAlone)
    lane.num, lane.longest, lane.batch = 1000, 20, 1
    lane.calls = 0

    def timed():
        lane.calls += 1
        slower = 100 if lane.calls in disturbed else 1
        return slower * seconds_of(lane.examples), lane.examples

    lane._timed = timed
    return lane


@pytest.mark.parametrize("settle", [False, True])
@pytest.mark.parametrize("call", range(1, 8))
def test_one_disturbed_call_does_not_end_the_search(call, settle):
    lane = scripted(lambda n: 1e-4 + 4e-5 * n, {call})
    lane.calibrate(0.05, settle)
    assert 4e-5 * lane.examples > 0.025


def test_calls_that_cost_more_than_their_updates():
    lane = scripted(lambda n: 0.024 + 4e-5 * n)
    lane.calibrate(0.05, settle=True)
    assert lane.seconds_per_update() < 1.4 * 4e-5
    slow = scripted(lambda n: 1.0 * n)
    slow.calibrate(0.05, settle=True)
    assert (slow.examples, slow.calls) == (1, 3)


def test_turns_are_kept(clock):
    turns = np.array(clock.attrs["seconds_by_turn"])
    assert turns.shape == (2, 3)
    np.testing.assert_allclose(np.median(turns, axis=1), clock.seconds_per_update)


def test_runs_take_turns_whatever_their_optimizers(monkeypatch):
    """A machine that slows down slows all of them: no run is timed after another one is done."""
    calls = []

    class Recorded(LaneAlone):
        def calibrate(self, seconds, settle=False):
            calls.append(("calibrate", id(self)))

        def seconds_per_update(self):
            calls.append(("timed", id(self)))
            return float(len(calls))

    monkeypatch.setattr(timing, "LaneAlone", Recorded)
    optimizers = [jaxgd.sgd(0.01), jaxgd.momentum(0.01), jaxgd.adam(0.01)]
    runs = [Run(i, jaxgd.trainer(PROBLEM, one, 16), 0) for i, one in enumerate(optimizers)]
    timed = timing.time_alone(runs, 2, repeats=2, seconds=0.01)
    assert [what for what, _ in calls] == ["calibrate"] * 3 + ["timed"] * 6
    order = [lane for _, lane in calls]
    assert len(set(order)) == 3
    assert order == order[:3] * 3
    assert timed.seconds.tolist() == [[4, 7], [5, 8], [6, 9]]
    assert (timed.bytes > INPUTS.nbytes).all()


def test_only_updates_that_were_made_are_counted():
    lane = alone(jaxgd.budget(make_trainer(0.01)(Point({"batch_size": 16})), updates=5))
    assert lane._timed()[1] == 5
    lane._timed = lambda: (10.0, 5)
    assert lane.seconds_per_update() == 2.0
    diverging = alone(make_trainer(1e30)(Point({"batch_size": 16})))
    assert diverging._timed()[1] < 20


@pytest.mark.parametrize(
    ("make", "sizes", "options", "error", "message"),
    [
        (make_trainer(0.1), [], {}, ValueError, "axis 'batch_size' is empty"),
        (make_trainer(0.1), [257], {}, ValueError, "batch_size must be .* got 257"),
        (
            make_trainer(0.1),
            [1],
            {"repeats": 0},
            ValueError,
            "repeats must be a whole number, 1 or .* got 0",
        ),
        (lambda hp: None, [1], {}, TypeError, "make_trainer must return"),
    ],
)
def test_bad_input(make, sizes, options, error, message):
    with pytest.raises(error, match=message):
        jaxgd.throughput(make, sizes, **options)
