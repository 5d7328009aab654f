"""What fails while a sweep writes its folder or runs: the folder stays whole, and the sweep ends."""

import os
import tempfile
import warnings
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.sweeps.engine import execution
from jaxgd.sweeps.engine.driver import Driver
from jaxgd.sweeps.engine.programs import Compiled
from jaxgd.sweeps.folders import keeper, status
from jaxgd.sweeps.folders.in_folder import NotKeptError
from jaxgd.sweeps.folders.status import folder_status

AXES = {"batch_size": ["full", 6], "learning_rate": [0.01, 1e30], "seed": [0, 3]}
INPUTS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.linear(3), (INPUTS, INPUTS[:, 0]), (INPUTS[:5], INPUTS[:5, 1]))


def make_trainer(hp):
    return jaxgd.trainer(PROBLEM, jaxgd.momentum(hp.learning_rate), hp.batch_size)


PLAN = jaxgd.plan(make_trainer, AXES, 2, merge=False, kind="map", lanes=2, width=1)


def run(folder=None, progress: Any = False, plan: Any = PLAN, **options):
    return jaxgd.sweep(make_trainer, AXES, 2, progress=progress, folder=folder, plan=plan, **options)


@pytest.fixture(scope="module")
def plain():
    """The sweep without a folder."""
    return run()


@pytest.fixture(autouse=True)
def in_steps(monkeypatch):
    """Calls of an epoch, each followed by a checkpoint."""
    begin = Driver._begin

    def begin_slowly(self, expected_seconds):
        begin(self, expected_seconds)
        self.places, self.length = self.recipe.lanes, 20

    monkeypatch.setattr(Driver, "_begin", begin_slowly)
    monkeypatch.setattr(Driver, "_pace", lambda *_: None)
    monkeypatch.setattr(keeper, "_EVERY", 0.0)
    monkeypatch.setattr(keeper, "_COST", 0.0)


def is_part_of(result, whole):
    """Whether the runs of a result that have ended have the bits that they have in another."""
    ended = result.dataset.status != "not run"
    one, two = (each.dataset.reset_coords().where(ended) for each in (result, whole))
    states = zip(ended.values.ravel(), result.states, whole.states, strict=True)
    pairs = ((jax.tree.leaves(state), jax.tree.leaves(other)) for there, state, other in states if there)
    return one.equals(two) and all(
        np.array_equal(a, b) for leaves in pairs for a, b in zip(*leaves, strict=True)
    )


def num_ended(folder):
    return jaxgd.load(folder).num_ended


CALLS = [(os, "link"), (os, "replace"), (os, "unlink"), (os, "fsync"), (os, "open"), (np, "savez")]


@contextmanager
def trouble(monkeypatch, fails):
    """Calls that write fail where `fails(number)`; gives a list of the numbers of those made."""
    made = []

    def watched(call):
        def wrapper(*arguments, **keywords):
            made.append(len(made))
            if fails(made[-1]):
                raise OSError(28, "No space left on device")
            return call(*arguments, **keywords)

        return wrapper

    with monkeypatch.context() as patch:
        for module, name in CALLS:
            patch.setattr(module, name, watched(getattr(module, name)))
        yield made


def kept_under_trouble(monkeypatch, folder, whole, fails):
    """`(result or error, texts of warnings)` of a sweep whose folder is looked at after every call."""
    counts = [0]

    def look(done, total, text):
        found = jaxgd.load(folder)
        assert is_part_of(found, whole)
        counts.append(found.num_ended)

    healed = []
    with (
        warnings.catch_warnings(record=True) as caught,
        trouble(monkeypatch, lambda n: not healed and fails(n)),
    ):
        warnings.simplefilter("always")
        monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: healed.append(1) or f"{folder}-elsewhere")
        try:
            found = run(folder, progress=look)
        except OSError as error:
            found = error
    assert counts == sorted(counts)
    return found, [str(each.message) for each in caught if "cannot be written" in str(each.message)]


def count_calls(monkeypatch, folder):
    with trouble(monkeypatch, lambda number: False) as made:
        run(folder)
    return len(made)


def check_one_failure(monkeypatch, folder, plain, at):
    """The call `at` fails: the sweep says so at most once, and at its end everything is down."""
    found, texts = kept_under_trouble(monkeypatch, folder, plain, lambda number: number == at)
    if isinstance(found, OSError):
        assert not isinstance(found, NotKeptError), "what ends as the last is tried again"
        assert str(folder) in str(found)
        return "refused"
    assert len(texts) <= 1
    assert is_part_of(found, plain)
    assert found.num_ended == 8
    assert is_part_of(jaxgd.load(folder), plain)
    assert num_ended(folder) == 8
    return "kept"


def check_lasting_failure(monkeypatch, folder, plain, since):
    """From the call `since` on, all fail: the folder holds what was down, the result lies elsewhere."""
    found, texts = kept_under_trouble(monkeypatch, folder, plain, lambda number: number >= since)
    if isinstance(found, NotKeptError):
        assert len(texts) == 1
        assert f"{folder}-elsewhere, which jaxgd.load reads" in str(found)
        assert "\n" not in str(found)
        assert "No space left on device" in str(found)
        elsewhere = jaxgd.load(f"{folder}-elsewhere")
        assert is_part_of(elsewhere, plain)
        assert (elsewhere.num_ended, found.result.num_ended) == (8, 8)
        before = num_ended(folder)
        assert is_part_of(run(folder), plain)
        assert num_ended(folder) == 8
        return f"elsewhere after {before}"
    if isinstance(found, OSError):
        assert str(folder) in str(found)
        return "refused"
    assert num_ended(folder) == 8
    return "kept"


@pytest.mark.parametrize("check", [check_one_failure, check_lasting_failure])
def test_some_calls_that_write_fail(check, monkeypatch, tmp_path, plain):
    calls = count_calls(monkeypatch, tmp_path / "counted")
    for at in range(3, calls, calls // 5):
        check(monkeypatch, tmp_path / str(at), plain, at)


@pytest.mark.slow
@pytest.mark.parametrize(("check", "every"), [(check_one_failure, 1), (check_lasting_failure, 3)])
def test_every_call_that_writes_fails(check, every, monkeypatch, tmp_path, plain):
    calls = count_calls(monkeypatch, tmp_path / "counted")
    found = [check(monkeypatch, tmp_path / str(at), plain, at) for at in range(0, calls, every)]
    assert {"refused", "kept"} <= set(found)


class Stop(BaseException):
    """Nothing in the package takes it."""


class Small:
    """A program for whose calls memory runs out where `fails(number)`."""

    def __init__(self, executable, calls, fails):
        self._executable, self._calls, self._fails = executable, calls, fails

    def __getattr__(self, name):
        return getattr(self._executable, name)

    def __call__(self, *arguments):
        self._calls.append(None)
        if self._fails(len(self._calls) - 1):
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte")
        return self._executable(*arguments)


def small_memory(monkeypatch, fails):
    """Have the k-th call of programs fail; gives the list of the calls that are made."""
    compiled, calls = execution.compiled, []

    def wrapped(*arguments):
        made = compiled(*arguments)
        return Compiled(Small(made.executable, calls, fails), made.digest)

    monkeypatch.setattr(execution, "compiled", wrapped)
    monkeypatch.setattr(execution, "known", lambda *_: None)
    return calls


def fill_one(fill):
    """A driver's `fill`, of one slot of each device at a time, so that lanes end one after the other."""

    def filled(self):
        self.places = 1
        return fill(self)

    return filled


@pytest.mark.parametrize("at", [0, 2, 5])
@pytest.mark.filterwarnings("ignore:out of memory with 2 lanes")
def test_what_memory_was_too_small_for_is_done_in_halves_and_gone_on_with(at, monkeypatch, tmp_path, plain):
    def stop(done, total, text):
        if done >= 6:
            raise Stop

    monkeypatch.setattr(Driver, "fill", fill_one(Driver.fill))
    with monkeypatch.context() as patch:
        calls = small_memory(patch, lambda number: number == at)
        with pytest.raises(Stop):
            run(tmp_path / "cut", progress=stop)
        calls.clear()
        assert is_part_of(run(tmp_path / "whole"), plain)
    halved = jaxgd.load(tmp_path / "whole").plan
    assert {program.recipe.lanes for program in halved.groups} == {1, 2}
    for folder in (tmp_path / "cut", tmp_path / "whole"):
        found = run(folder, plan=None)
        assert (found.num_ended, num_ended(folder)) == (8, 8)
        assert is_part_of(found, plain)


@pytest.mark.filterwarnings("ignore:out of memory with 2 lanes")
def test_a_program_that_another_process_began_and_that_does_not_fit_here(monkeypatch, tmp_path, plain):
    def stop(done, total, text):
        if done == 2:
            raise Stop

    plan = jaxgd.plan(make_trainer, AXES, 2, merge=True, kind="map", lanes=2, width=1)
    monkeypatch.setattr(Driver, "fill", fill_one(Driver.fill))
    with pytest.raises(Stop):
        run(tmp_path, progress=stop, plan=plan)
    before, compiled, failed = num_ended(tmp_path), execution.compiled, []

    def too_large(inputs, recipe, *arguments):
        if recipe.lanes == 2:
            failed.append(recipe)
            raise MemoryError
        return compiled(inputs, recipe, *arguments)

    monkeypatch.setattr(execution, "compiled", too_large)
    monkeypatch.setattr(execution, "known", lambda *_: None)
    found = run(tmp_path, plan=None)
    assert failed
    assert 0 < before < found.num_ended == 8
    assert is_part_of(found, plain)
    assert is_part_of(run(tmp_path, plan=None), plain)


def test_a_file_that_somebody_deletes_meanwhile_is_no_loss(monkeypatch, tmp_path, plain):
    """What is gone from the folder at the end, the result elsewhere has."""
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: f"{tmp_path}/elsewhere")

    def delete(done, total, text):
        for path in (tmp_path / "kept").glob("unit-*"):
            path.unlink()

    with (
        pytest.warns(UserWarning, match=r"kept cannot be written \(unit-\w+\.npz has been deleted\)"),
        pytest.raises(NotKeptError, match=r"has been deleted; the result was saved in .*elsewhere"),
    ):
        run(tmp_path / "kept", progress=delete)
    assert is_part_of(jaxgd.load(tmp_path / "elsewhere"), plain)


def test_the_status_beside_a_writer_calls_nothing_damaged(monkeypatch, tmp_path):
    """A sweep puts down more and deletes the file of before, while its status is looked at."""
    run(tmp_path / "kept")
    read, moved = status.saved_runs, []

    def late(*arguments):
        if not moved:
            moved.append(run(tmp_path / "kept", replace=True, plan=None))
        return read(*arguments)

    monkeypatch.setattr(status, "saved_runs", late)
    found = folder_status(tmp_path / "kept", check=True)
    assert (found.damaged, found.num_ended) == ([], 8)
