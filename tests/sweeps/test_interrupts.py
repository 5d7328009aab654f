"""Signals at a sweep: what has ended is kept, wherever they come."""

import os
import signal
import threading
from typing import Any

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.sweeps.engine import clock, execution

pytestmark = pytest.mark.usefixtures("default_handlers")

INPUTS = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.linear(2), (INPUTS, INPUTS[:, 0]), (INPUTS[:6], INPUTS[:6, 0]))
AXES = {"batch_size": [4, 8, 24], "learning_rate": [0.1, 0.2], "seed": [0, 1]}
EPOCHS = 3
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def make_trainer(hp):
    return jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.learning_rate), hp.batch_size)


@pytest.fixture(scope="module")
def plan():
    return jaxgd.plan(make_trainer, AXES, EPOCHS, merge=False)


@pytest.fixture(scope="module")
def whole(plan):
    return jaxgd.sweep(make_trainer, AXES, EPOCHS, plan=plan, progress=False)


def interrupted(plan, progress: Any = False, **options):
    with pytest.raises(jaxgd.Interrupted) as raised:
        jaxgd.sweep(make_trainer, AXES, EPOCHS, plan=plan, progress=progress, **options)
    return raised.value


def send(number):
    os.kill(os.getpid(), number)


def assert_part_of(result, whole):
    """What has ended has the bits of the whole sweep, and the rest has none."""
    assert list(result.dataset.variables) == [n for n in whole.dataset.variables if n in result.dataset]
    ended = result.dataset.status != "not run"
    for name in ("train_loss", "valid_loss", "updates", "stopped_at"):
        found, expected = (each.dataset[name].where(ended) for each in (result, whole))
        np.testing.assert_array_equal(found, expected)
    for there, state, expected in zip(ended.values.ravel(), result.states, whole.states, strict=True):
        if there:
            jax.tree.map(np.testing.assert_array_equal, state, expected)
        else:
            assert state is None
    assert result.num_ended == int(ended.sum())


@pytest.mark.parametrize("number", SIGNALS)
def test_between_two_calls(plan, whole, number):
    stop = interrupted(plan, lambda done, total, text: send(number))
    result = stop.result
    assert stop.signal is number
    assert 0 < result.num_ended < 12
    assert str(stop) == f"interrupted: {result.num_ended} of 12 runs ended; .result holds them"
    assert_part_of(result, whole)
    assert "not run" in repr(result)
    covered = [run for program in result.plan.groups for run in program.runs]
    assert sorted(covered) == list(range(12))


def test_the_rest_is_trained_with_its_plan(plan, whole):
    result = interrupted(plan, lambda *_: send(signal.SIGINT)).result
    again = jaxgd.sweep(make_trainer, AXES, EPOCHS, plan=result.plan, progress=False)
    np.testing.assert_array_equal(again.dataset.valid_loss, whole.dataset.valid_loss)


def test_while_a_program_compiles(plan, monkeypatch):
    main = threading.get_ident()
    gate, once, compiled = threading.Event(), threading.Semaphore(1), execution.compiled

    def slow(*arguments):
        if once.acquire(blocking=False):
            signal.pthread_kill(main, signal.SIGINT)
        gate.wait()
        return compiled(*arguments)

    monkeypatch.setattr(execution, "compiled", slow)
    monkeypatch.setattr(execution, "known", lambda *_: None)
    result = interrupted(plan).result  # it waits for no program
    assert not gate.is_set()
    gate.set()
    assert result.num_ended == 0
    assert result.dataset.valid_loss.isnull().all()
    with pytest.raises(ValueError, match="0 of 12 runs diverged, and 12 were not run"):
        result.best()


def test_while_updates_are_timed(plan, whole, monkeypatch):
    timed, calls = clock.LaneAlone.seconds_per_update, []

    def interrupting(lane):
        calls.append(lane)
        send(signal.SIGINT)
        return timed(lane)

    monkeypatch.setattr(clock.LaneAlone, "seconds_per_update", interrupting)
    with pytest.raises(KeyboardInterrupt) as raised:
        jaxgd.sweep(make_trainer, AXES, EPOCHS, plan=plan, progress=False, clock=True)
    assert not isinstance(raised.value, jaxgd.Interrupted)  # the second one leaves at once
    assert len(calls) == 2
    monkeypatch.setattr(clock, "_CLOCK_CALLS", 1)
    calls.clear()
    result = interrupted(plan, clock=True).result
    assert len(calls) == 1
    assert result.num_ended == 12
    assert_part_of(result, whole)
    assert "seconds" not in result.dataset


def test_when_all_has_ended_it_is_all_kept(plan, whole):
    result = interrupted(plan, lambda done, total, text: done == total and send(signal.SIGTERM)).result
    assert result.num_ended == 12
    assert_part_of(result, whole)


def test_in_another_thread_it_runs_to_its_end(plan, whole):
    found, handlers = [], [signal.getsignal(number) for number in SIGNALS]

    def work():
        progress = lambda *_: found.append([signal.getsignal(number) for number in SIGNALS])  # noqa: E731
        found.append(jaxgd.sweep(make_trainer, AXES, EPOCHS, plan=plan, progress=progress))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert all(each == handlers for each in found[:-1])
    assert_part_of(found[-1], whole)
