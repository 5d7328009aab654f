"""A sweep whose programs are compiled: how often it asks JAX for something, and what it leaves behind."""

import collections
import gc
import sys
import threading

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.machine.kept import Kept
from jaxgd.sweeps.engine import driver, execution
from jaxgd.sweeps.planning import planner

INPUTS = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
PROBLEM = jaxgd.classification(
    jaxgd.mlp([3, 4, 2]), (INPUTS, np.arange(24) % 2), (INPUTS[:6], np.arange(6) % 2)
)
ONE = {"batch_size": [24], "learning_rate": [0.1]}
SEVERAL = {"batch_size": [4, 8, "full"], "learning_rate": [0.1, 0.2], "seed": [0, 1]}


def make_trainer(hp):
    return jaxgd.trainer(PROBLEM, jaxgd.adam(hp.learning_rate), hp.batch_size)


def sweep(axes=ONE, **options):
    return jaxgd.sweep(make_trainer, axes, 1, progress=False, **options)


@pytest.fixture
def counts(monkeypatch):
    """How often JAX is asked for what, and how many threads begin."""
    found = collections.Counter()

    def counted(owner, name):
        function = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: found.update([name]) or function(*a, **k))

    for name in ("device_put", "device_get", "eval_shape", "make_jaxpr"):
        counted(jax, name)
    counted(threading.Thread, "start")
    counted(planner, "work_of")
    note = lambda event, duration, **_: found.update([event.rpartition("/")[2]])  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(note)
    yield found
    jax.monitoring.unregister_event_duration_listener(note)


def test_a_cold_sweep_compiles_what_draws_parameters_and_what_trains(counts):
    """Keys and orders are made on the host."""
    data = INPUTS[:21], np.arange(21) % 2
    problem = jaxgd.classification(jaxgd.mlp([3, 5, 2]), data)  # of sizes that no other test has
    for sampling in ("shuffle", "replacement"):
        trainer = jaxgd.trainer(problem, jaxgd.adam(0.1), 7, sampling=sampling)
        jaxgd.sweep(lambda hp, trainer=trainer: trainer, ONE, 3, progress=False)
    assert counts["jaxpr_to_mlir_module_duration"] == 3


def test_a_warm_sweep_traces_compiles_and_evaluates_nothing(counts):
    """Of one run what goes to the device is its inputs, and what comes back its counts and its results."""
    first = sweep()
    counts.clear()
    again = sweep()
    assert counts == {"device_put": 1, "device_get": 3}
    np.testing.assert_array_equal(again.dataset.train_loss, first.dataset.train_loss)


@pytest.mark.parametrize(("options", "programs"), [({"merge": False}, 3), ({"merge": True}, 1)])
def test_nor_does_one_of_several_programs(options, programs, counts):
    plan = jaxgd.plan(make_trainer, SEVERAL, 1, **options)
    first = sweep(SEVERAL, plan=plan)
    counts.clear()
    again = sweep(SEVERAL, plan=plan)
    assert counts == {"device_put": programs, "device_get": 3 * programs}
    assert again.dataset.drop_attrs().identical(first.dataset.drop_attrs())


def test_choosing_the_plan_again_traces_nothing(counts):
    sweep(SEVERAL)
    counts.clear()
    jaxgd.plan(make_trainer, SEVERAL, 1)
    assert counts == {}


def test_what_is_drawn_under_other_settings_is_drawn_anew():
    short = sweep().params()
    with jax.enable_x64(True):
        long = sweep().params()
    leaves = [jax.tree.leaves(tree)[0].dtype for tree in (short, long, sweep().params())]
    assert [dtype.itemsize for dtype in leaves] == [4, 8, 4]


def test_results_come_in_blocks(monkeypatch):
    """As many arrays as calls give, however many runs; one run's own are made when it is asked for."""
    blocks = []
    collect = driver.Driver._collect

    def collected(self, *arguments):
        blocks.append(collect(self, *arguments))
        return blocks[-1]

    monkeypatch.setattr(driver.Driver, "_collect", collected)
    axes = {"batch_size": [8], "learning_rate": np.linspace(0.1, 0.2, 50).tolist(), "seed": [0, 1]}
    result = sweep(axes, plan=jaxgd.plan(make_trainer, axes, 1, kind="vmap", lanes=25))
    blocks = [block for block in blocks if block is not None]
    assert sorted(map(len, blocks)) == [50, 50]
    assert [part.states for part in result.states.parts] == [block.states for block in blocks]
    held = sum(
        leaf.nbytes for block in blocks for leaf in jax.tree.leaves((block.states.trees, block.history))
    )
    one = jax.tree.leaves((result.states[3], result.dataset.isel(learning_rate=1, seed=1).train_loss.values))
    assert held < 100 * 3 * sum(leaf.nbytes for leaf in one)
    rates = [result.params(learning_rate=rate, seed=1) for rate in axes["learning_rate"][:2]]
    assert not np.array_equal(*(jax.tree.leaves(params)[0] for params in rates))


def test_a_sweep_leaves_nothing_behind_that_grows_with_its_runs():
    def left_by(num):
        rates = np.linspace(0.1, 0.2, num).tolist()
        sweep({"batch_size": [8], "learning_rate": rates})  # what is compiled stays
        gc.collect()
        blocks, arrays = sys.getallocatedblocks(), sum(array.nbytes for array in jax.live_arrays())
        sweep({"batch_size": [8], "learning_rate": rates})
        gc.collect()
        return sys.getallocatedblocks() - blocks, sum(array.nbytes for array in jax.live_arrays()) - arrays

    few, many = left_by(20), left_by(400)
    assert few[1] == many[1] == 0
    assert many[0] - few[0] < 380


def test_the_slots_of_the_last_sweep_change_nothing(monkeypatch):
    """Old lanes lie in them, of which one has diverged."""
    wild, calm = (
        {"batch_size": [6], "learning_rate": rates} for rates in ([1e30, 0.1, 1e20], [0.1, 0.2, 0.3])
    )
    plan = jaxgd.plan(make_trainer, calm, 1, lanes=4, width=4)
    monkeypatch.setattr(driver, "_SPARES", Kept(0))
    before = sweep(calm, plan=plan)
    monkeypatch.setattr(driver, "_SPARES", Kept(2**24, driver._SPARES._weigh))
    sweep(wild, plan=plan)
    after = sweep(calm, plan=plan)
    assert after.dataset.drop_attrs().identical(before.dataset.drop_attrs())


def test_programs_that_are_not_compiled_compile_in_threads(monkeypatch, counts):
    sweep()
    monkeypatch.setattr(execution, "known", lambda *_: None)
    counts.clear()
    sweep()
    assert counts["start"] > 0
