"""A sweep that workers train: of a pool of threads, of processes, and what is refused."""

import concurrent.futures
import multiprocessing
import os
import pickle
import threading
import warnings

import jax
import numpy as np
import own_sweep
import pytest
from own_sweep import same

import jaxgd
from jaxgd.sweeps.axes import checked_axes
from jaxgd.sweeps.planning import cutting
from jaxgd.sweeps.runs import checked_runs
from jaxgd.sweeps.store.manifest import MANIFEST
from jaxgd.sweeps.workers import manager, unit
from jaxgd.sweeps.workers.recipes import ImportPaths, Scattered, runs_of
from jaxgd.sweeps.workers.unit import WorkerMismatchError


def train(**options):
    return own_sweep.train(own_sweep.make, **options)


def here(result):
    return own_sweep.here(result, own_sweep.make)


@pytest.fixture
def small_units(monkeypatch):
    monkeypatch.setattr(cutting, "_LEAST_SECONDS", 1e-6)


class Inline:
    """An engine without workers: it pickles as one with processes does, and calls at once.

    Attributes:
        calls: names of the functions, in the order in which they were asked for.
    """

    def __init__(self, fails=()):
        self.calls, self.fails, self.cancelled = [], list(fails), 0

    def submit(self, function, *arguments):
        self.calls.append(function.__name__)
        future = concurrent.futures.Future()
        try:
            if self.fails and function.__name__ == "train_unit":
                raise self.fails.pop(0)
            future.set_result(function(*pickle.loads(pickle.dumps(arguments))))
        except Exception as error:
            future.set_exception(error)
        return future


def test_workers_give_the_bits_of_this_process(small_units, tmp_path):
    result = train(executor=Inline(), folder=tmp_path / "out")
    same(result, here(result))
    same(jaxgd.load(tmp_path / "out"), result)
    assert {program.recipe.devices for program in result.plan.groups} == {1}


def test_each_program_is_compiled_by_one_worker_before_the_others_begin(small_units):
    engine = Inline()
    train(executor=engine)
    programs = {program.recipe for program in train(executor=Inline()).plan.groups}
    assert engine.calls[: len(programs)] == ["prepare_unit"] * len(programs)
    assert engine.calls.count("prepare_unit") == len(programs) < engine.calls.count("train_unit")


def test_arrays_lie_in_the_folder_once_and_recipes_are_small(small_units, tmp_path):
    sizes = []

    class Weighing(Inline):
        def submit(self, function, *arguments):
            sizes.append(len(pickle.dumps(arguments)))
            return super().submit(function, *arguments)

    train(executor=Weighing(), folder=tmp_path)
    arrays = [path.stat().st_size for path in tmp_path.glob("data-*.npz")]
    assert sum(arrays) > 300_000
    assert len(arrays) == 4  # inputs and labels, of training and of validation
    assert max(sizes) < 20_000


def test_the_folder_goes_on_where_workers_were_interrupted(small_units, tmp_path):
    class Stopping(Inline):
        def submit(self, function, *arguments):
            future = super().submit(function, *arguments)
            if self.calls.count("train_unit") == 2:
                os.kill(os.getpid(), 2)
            return future

    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals come to the main thread")
    with pytest.raises(KeyboardInterrupt) as caught:
        train(executor=Stopping(), folder=tmp_path)
    assert caught.value.result.num_ended < 24
    engine = Inline()
    result = train(executor=engine, folder=tmp_path)
    same(result, here(result))


def test_what_fails_once_is_tried_again(small_units):
    with pytest.warns(UserWarning, match=r"runs has failed \(OSError: the network\): it is tried again"):
        result = train(executor=Inline([OSError("the network")]))
    same(result, here(result))
    assert "failures" not in result.dataset.attrs


def test_what_fails_three_times_is_marked_and_the_rest_completes(small_units, tmp_path, monkeypatch):
    broken = {}

    class Breaking(Inline):
        def submit(self, function, *arguments):
            recipe = arguments[0]
            broken.setdefault("key", recipe.key)
            if function.__name__ == "train_unit" and recipe.key == broken["key"]:
                self.fails = [ValueError("no such number")]
            return super().submit(function, *arguments)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = train(executor=Breaking(), folder=tmp_path)
    said = [str(each.message) for each in caught if "a unit of" in str(each.message)]
    assert len(said) == 3
    assert said[-1].endswith("3 times: its runs are marked as failed")
    (failure,) = result.dataset.attrs["failures"]
    assert failure["error"] == "ValueError: no such number"
    status = result.dataset.status.values.ravel()
    assert set(np.flatnonzero(status == "failed")) == set(failure["runs"])
    assert np.isnan(result.dataset.train_loss.values.reshape(24, -1)[failure["runs"]]).all()
    assert set(status) <= {"failed", "completed", "diverged"}
    assert "completed" in status
    # The folder does not have them, so that they can be trained later.
    again = train(executor=Inline(), folder=tmp_path)
    assert "failed" not in again.dataset.status
    result.save(tmp_path / "other")
    assert jaxgd.load(tmp_path / "other").dataset.attrs["failures"] == [failure]


@pytest.mark.parametrize("name", ["jax", "jaxgd", "jaxlib"])
def test_workers_of_other_versions_are_refused(monkeypatch, name):
    now = unit.versions()
    monkeypatch.setattr(unit, "versions", lambda: now | {name: "0.0.1"})
    match = rf"has {name} 0\.0\.1, the sweep was planned with {name} {now[name]}"
    with pytest.raises(WorkerMismatchError, match=match):
        train(executor=Inline())


def test_workers_with_another_device_are_refused(monkeypatch):
    monkeypatch.setattr(unit, "device_name", lambda devices: "1 x abacus")
    with pytest.raises(WorkerMismatchError, match="has 1 x abacus, the sweep was planned for 1 x cpu"):
        train(executor=Inline())


def test_a_worker_that_does_not_see_the_folder_says_so(small_units, tmp_path):
    class Elsewhere(Inline):
        def submit(self, function, recipe):
            return super().submit(function, recipe._replace(folder=str(tmp_path / "nowhere")))

    with pytest.warns(UserWarning, match="give folder= a folder that all workers see"):
        result = train(executor=Elsewhere())
    assert set(result.dataset.status.values.ravel()) == {"failed"}
    with pytest.raises(ValueError, match="0 of 24 runs diverged and 24 failed"):
        result.best()
    with pytest.raises(ValueError, match=r"the run at .* failed"):
        result.params(batch_size=64, learning_rate=0.1, seed=0)


@pytest.mark.parametrize("executor", [3, "dask://host:1", concurrent.futures.ThreadPoolExecutor])
def test_no_executor(executor):
    with pytest.raises(TypeError, match=r"executor must have submit\(function, \*arguments\)"):
        train(executor=executor)


def test_a_pool_that_forks_is_refused():
    context = multiprocessing.get_context("fork")
    with (
        concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool,
        pytest.raises(ValueError, match=r"executor forks this process.*get_context\(\"spawn\"\)"),
    ):
        train(executor=pool)


def test_runs_arrive_as_they_were_sent(tmp_path):
    runs, _ = checked_runs(own_sweep.make, checked_axes(own_sweep.AXES), own_sweep.EPOCHS)
    parts = pickle.loads(pickle.dumps(Scattered(tmp_path).like_runs(runs)))
    arrived = runs_of(parts, lambda stored: unit._loaded(tmp_path, stored))
    assert [run.index for run in arrived] == list(range(24))
    for one, other in zip(runs, arrived, strict=True):
        assert one.seed == other.seed
        assert jax.tree.structure(one.trainer) == jax.tree.structure(other.trainer)
        for a, b in zip(jax.tree.leaves(one.trainer), jax.tree.leaves(other.trainer), strict=True):
            np.testing.assert_array_equal(a, b)
    assert any(tmp_path.iterdir())


def test_folders_of_modules_are_searched_where_they_arrive(monkeypatch):
    import sys

    monkeypatch.setattr(sys, "path", ["a"])
    paths = ImportPaths(["a", "b"])
    again = pickle.loads(pickle.dumps(paths))
    assert again.paths == ("a", "b")
    assert sys.path == ["a", "b"]


def test_a_unit_that_ends_is_heard_of_at_once(small_units, monkeypatch):
    waits = []

    class Heard(threading.Event):
        def wait(self, timeout=None):
            waits.append(super().wait(60))
            return waits[-1]

    monkeypatch.setattr(manager, "Event", Heard)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        train(executor=pool)
    assert waits
    assert all(waits)


def test_threads_are_workers_too(small_units):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        result = train(executor=pool)
    same(result, here(result))


def test_a_run_goes_on_from_a_state(small_units):
    start = jaxgd.fit(own_sweep.make(_point(64, 0.1)), jax.random.key(0), 1).state
    axes = {"batch_size": [64], "learning_rate": [0.01, 0.1], "seed": [0, 1]}
    options = {"epochs": 2, "progress": False, "start": start}
    result = jaxgd.sweep(own_sweep.make, axes, executor=Inline(), **options)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the plan was made on 1 x cpu")
        same(result, jaxgd.sweep(own_sweep.make, axes, plan=result.plan, **options))


def _point(batch_size, learning_rate):
    from types import SimpleNamespace

    return SimpleNamespace(batch_size=batch_size, learning_rate=learning_rate)


@pytest.mark.slow
def test_processes_compile_a_program_once_and_have_the_bits(small_units, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(own_sweep.COMPILED, str(tmp_path / "compiled"))
    make = own_sweep.gated("never", os.getpid())
    context = multiprocessing.get_context("spawn")
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            result = own_sweep.train(make, executor=pool, folder=tmp_path / "out")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
    same(result, own_sweep.here(result, make))
    programs = {program.recipe for program in result.plan.groups}
    assert (tmp_path / "compiled").read_text().split().count("misses") == len(programs)
    assert MANIFEST in os.listdir(tmp_path / "out")
