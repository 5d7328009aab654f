"""Lanes on their way through the slots of a program."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.machine.kept import Kept
from jaxgd.sweeps.engine import driver, programs
from jaxgd.sweeps.engine.driver import Driver
from jaxgd.sweeps.engine.execution import is_out_of_memory
from jaxgd.sweeps.lanes.sources import Sources

RATES = [0.01, 0.03, 0.1, 0.2, 0.3]
KINDS = {
    "in turn": {"kind": "map"},
    "several at a time": {"kind": "map", "width": 2, "lanes": 4},
    "at once": {"kind": "vmap", "lanes": 2},
}
each_kind = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)


def make_problem():
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(24, 3)).astype(np.float32)
    targets = (inputs @ [1, -1, 2] + generator.normal(size=24)).astype(np.float32)
    return jaxgd.regression(jaxgd.linear(3), (inputs, targets), (inputs[:8], targets[:8]))


PROBLEM = make_problem()


def make_trainer(hp):
    return jaxgd.trainer(PROBLEM, jaxgd.adam(hp.learning_rate), 6)


def stops_early(hp):
    return jaxgd.early_stopping(make_trainer(hp), patience=1, min_delta=0.02, restore_best=True)


def sweep(options, make=make_trainer, axes=None, epochs=5, **others):
    axes = {"learning_rate": RATES} if axes is None else axes
    plan = jaxgd.plan(make, axes, epochs, **options)
    return jaxgd.sweep(make, axes, epochs, plan=plan, progress=False, **others)


def assert_same(result, other, **place):
    for name, column in result.dataset.sel(place).items():
        np.testing.assert_array_equal(column, other.dataset.sel(place)[name], err_msg=name)


@each_kind
@pytest.mark.parametrize("make", [make_trainer, stops_early])
def test_where_a_sweep_is_cut_changes_nothing(monkeypatch, options, make):
    whole = sweep(options, make)
    calls = []
    original = driver.extent

    def cut(begin, end, num, **_):
        calls.append((begin, end))
        return original(begin, end, num)

    monkeypatch.setattr(driver, "extent", cut)
    for seconds in (1e-9, 1e-3):  # a batch at a time, and some epochs
        monkeypatch.setattr(Driver, "call_seconds", seconds)
        assert_same(sweep(options, make), whole)
    assert any(end - begin < 24 for begin, end in calls)
    assert any(begin > 0 for begin, _ in calls)


@each_kind
def test_early_stopping_as_alone(options):
    result = sweep(options, stops_early, {"learning_rate": RATES, "seed": [0, 1]}, epochs=12)
    stopped = result.dataset.status == "stopped early"
    assert 0 < stopped.sum() < stopped.size or stopped.all()
    for i, rate in enumerate(RATES):
        fit = jaxgd.fit(stops_early(type("hp", (), {"learning_rate": rate})), jax.random.key(1), 12)
        place = {"learning_rate": rate, "seed": 1}
        for name in ("updates", "examples"):
            np.testing.assert_array_equal(result.dataset[name].sel(place), fit.history[name], err_msg=str(i))
        np.testing.assert_allclose(result.dataset.valid_loss.sel(place), fit.history["valid_loss"], rtol=1e-5)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
            result.params(**place),
            jax.device_get(fit.state.params),
        )


def test_a_lane_that_ends_makes_room(monkeypatch):
    monkeypatch.setattr(Driver, "call_seconds", 1e-9)  # an epoch, or less, a call
    moved = []
    original = Driver.fill

    def fill(work):
        fresh = original(work)
        moved.append((int(fresh.sum()), sum(lane is not None for lane in work.lane_of)))
        return fresh

    monkeypatch.setattr(Driver, "fill", fill)
    result = sweep(
        {"kind": "vmap", "lanes": 2}, stops_early, {"learning_rate": np.geomspace(0.001, 2, 12)}, 8
    )
    assert len(set(result.dataset.updates.values[:, -1].tolist())) > 1
    assert sum(count for count, _ in moved) == 12
    full = 2 * len(jax.devices())
    # Until nothing waits, every slot is busy at each epoch's start.
    waiting = 12
    for count, busy in moved:
        waiting -= count
        assert busy == full or waiting == 0


@each_kind
@pytest.mark.parametrize("bad", [1e30, float(np.finfo(np.float32).max)])
def test_a_diverging_neighbour_changes_nothing(options, bad):
    calm = sweep(options, axes={"learning_rate": [0.01, 0.05, 0.1, 0.2]})
    wild = sweep(options, axes={"learning_rate": [0.01, bad, 0.1, 0.2]})
    for rate in (0.01, 0.1, 0.2):
        assert_same(calm, wild, learning_rate=rate)
    lane = wild.dataset.sel(learning_rate=bad)
    assert lane.status == "diverged"
    assert lane.stopped_at >= 0


@each_kind
def test_a_neighbour_of_nan_changes_nothing(options):
    def loss(scale, params, batch):
        return scale * (params - batch) ** 2

    def make(hp):
        problem = jaxgd.Problem(
            lambda key: jnp.zeros(()), jax.tree_util.Partial(loss, hp.scale), jnp.arange(8.0), jnp.arange(3.0)
        )
        return jaxgd.trainer(problem, jaxgd.adam(0.1), 4)

    calm = sweep(options, make, {"scale": np.array([1.0, 2.0, 3.0])})
    wild = sweep(options, make, {"scale": np.array([1.0, np.nan, 3.0])})
    for scale in (1.0, 3.0):
        assert_same(calm, wild, scale=scale)
    assert wild.dataset.status.values.tolist() == ["completed", "diverged", "completed"]
    assert wild.dataset.stopped_at.values[1] == 0


@each_kind
def test_order_changes_nothing(options):
    result, other = sweep(options), sweep(options, axes={"learning_rate": RATES[::-1]})
    for rate in RATES:
        assert_same(result, other, learning_rate=rate)


def out_of_memory_above(lanes, monkeypatch):
    original = Driver.call

    def call(work):
        if work.recipe.lanes > lanes and sum(map(len, work.waiting.values())) < 30:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1000 bytes.")
        return original(work)

    monkeypatch.setattr(Driver, "call", call)


def test_out_of_memory_halves_the_lanes(monkeypatch):
    axes = {"learning_rate": np.geomspace(0.01, 0.3, 40)}
    expected = sweep({"kind": "map", "lanes": 1}, axes=axes)
    out_of_memory_above(2, monkeypatch)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = sweep({"kind": "map", "lanes": 8}, axes=axes)
    assert_same(result, expected)
    messages = [str(warning.message) for warning in caught]
    assert "out of memory with 8 lanes on a device: going on with 4" in messages
    groups = result.plan.groups
    assert [group.recipe.lanes for group in groups][-1] == 2
    assert "halved: out of memory with 4 lanes" in repr(result.plan)
    assert sorted(index for group in groups for index in group.runs) == list(range(40))


def test_out_of_memory_where_several_move_at_a_time(monkeypatch):
    axes = {"learning_rate": np.geomspace(0.01, 0.3, 40)}
    out_of_memory_above(2, monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = sweep({"kind": "map", "lanes": 12, "width": 4}, axes=axes)
    recipes = [group.recipe for group in result.plan.groups]
    assert [(recipe.lanes, recipe.width) for recipe in recipes if recipe.lanes < 12] == [(2, 2)]
    monkeypatch.undo()
    alone = sweep({"kind": "map", "lanes": 1}, axes=axes)
    np.testing.assert_allclose(result.dataset.train_loss, alone.dataset.train_loss, rtol=1e-5)


@pytest.mark.parametrize("call_seconds", [pytest.param(1e-9, marks=pytest.mark.slow), 0.5])
def test_lanes_of_several_batch_sizes_some_at_a_time(monkeypatch, call_seconds):
    """Lanes that move at once are of one batch size; one that has ended is replaced by one of that size."""
    monkeypatch.setattr(Driver, "call_seconds", call_seconds)
    together, original = [], Driver.call

    def call(work):
        ended = original(work)
        sizes = [None if lane is None else work.choice(lane) for lane in work.lane_of]
        together.extend({s for s in sizes[i : i + 2] if s is not None} for i in range(0, len(sizes), 2))
        return ended

    def make(hp):
        stopped = jaxgd.early_stopping(make_trainer(hp), patience=1, min_delta=0.02, restore_best=True)
        return stopped.replace(batch_size=hp.batch_size)

    axes = {"batch_size": [2, 6, "full"], "learning_rate": [*RATES, 1e30]}
    monkeypatch.setattr(Driver, "call", call)
    result = sweep({"merge": True, "width": 2, "lanes": 4}, make, axes)
    alone = sweep({"merge": True, "width": 1}, make, axes)
    assert max(map(len, together)) <= 1
    for name, column in alone.dataset.items():
        if column.dtype.kind == "f":
            np.testing.assert_allclose(result.dataset[name], column, rtol=1e-4, err_msg=name)
        else:
            np.testing.assert_array_equal(result.dataset[name], column, err_msg=name)


def test_out_of_memory_with_one_lane(monkeypatch):
    out_of_memory_above(0, monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(
            MemoryError, match=r"one run of batch 6, adam, needs about [\d,]+ bytes .* are free"
        ):
            sweep({"kind": "map", "lanes": 2})


def test_other_errors_are_not_taken_for_memory(monkeypatch):
    def fail(work):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(Driver, "call", fail)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        sweep({})
    assert is_out_of_memory(MemoryError())


def test_orders_made_in_the_program(monkeypatch):
    expected = sweep({"kind": "map"})
    monkeypatch.setattr(Sources, "max_orders", 1)
    monkeypatch.setattr(programs, "_COMPILED", Kept())
    result = sweep({"kind": "map"})
    metric = "valid_squared_error"  # computed beside the run: another program may sum it in another order
    np.testing.assert_allclose(result.dataset[metric], expected.dataset[metric], rtol=3e-7)
    result.dataset[metric] = expected.dataset[metric]
    assert_same(result, expected)
