"""A function of a person's own as a sweep: bits of the run alone, programs, folders, isolation, devices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgd
from jaxgd.pytrees import Static
from jaxgd.sweeps import conducting
from jaxgd.sweeps.engine import programs
from jaxgd.sweeps.engine.driver import Driver
from jaxgd.sweeps.folders import keeper
from jaxgd.sweeps.folders.opening import ContradictionError
from jaxgd.sweeps.functions.routines import Routine

X = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
Y = np.sin(X.sum(axis=1))
EPOCHS = 12


def train(key, learning_rate, width=4, activation="tanh"):
    """A small network by gradient descent with momentum, of Optax's."""
    function, optimizer = getattr(jnp, activation), optax.sgd(learning_rate, momentum=0.9)
    first, second = jax.random.split(key)
    params = {"w": jax.random.normal(first, (4, width)) / 2, "v": jax.random.normal(second, (width,)) / 2}

    def loss(params):
        return jnp.mean((function(X @ params["w"]) @ params["v"] - Y) ** 2)

    def step(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(params, updates), state), value

    (params, _), losses = jax.lax.scan(step, (params, optimizer.init(params)), length=EPOCHS)
    ends = {"final_loss": loss(params), "norms": {"w": jnp.sum(params["w"] ** 2)}}
    return {"train_loss": losses, "params": params, "updates": 2 * jnp.arange(1, EPOCHS + 1), **ends}


AXES = {"learning_rate": [0.01, 0.1, 1e20], "seed": [0, 1, 2, 3]}


def sweep(axes=AXES, function=train, **options):
    return jaxgd.sweep_function(function, axes, progress=False, **options)


@pytest.fixture(scope="module", autouse=True)
def _promoting():
    """Optax promotes here and there."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture(scope="module")
def result():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return sweep(exact=True)


def assert_is_solo(result, function, seed, **numbers):
    """The run has every bit of the jitted function alone; `function` has what is structure."""
    alone = jax.jit(function)(jax.random.key(seed), **numbers)
    point = result.dataset.sel(seed=seed, **numbers)
    np.testing.assert_array_equal(point.train_loss, alone["train_loss"])
    np.testing.assert_array_equal(point.final_loss, np.full(EPOCHS, alone["final_loss"]))
    params = result.params(seed=seed, **numbers)
    jax.tree.map(np.testing.assert_array_equal, params, alone["params"])
    assert jax.tree.map(lambda x: x.dtype, params) == jax.tree.map(lambda x: x.dtype, alone["params"])


def test_every_run_has_the_bits_of_the_jitted_run_alone(result):
    for rate in AXES["learning_rate"]:
        for seed in AXES["seed"]:
            assert_is_solo(result, train, seed, learning_rate=rate)


@pytest.mark.slow
def test_so_it_has_with_64_bits():
    with jax.enable_x64(True):
        found = sweep({"learning_rate": [0.01, 0.1], "seed": [0, 1]}, exact=True)
        assert found.dataset.train_loss.dtype == np.float64
        for rate in (0.01, 0.1):
            assert_is_solo(found, train, 1, learning_rate=rate)


def test_twelve_lanes_are_one_program_over_two_devices(result):
    (program,) = result.plan.groups
    assert (len(program.runs), program.recipe.devices, program.recipe.lanes) == (12, 2, 1)
    assert program.title == "12 runs, train()"
    assert "12 runs of 12 epochs in 1 program" in repr(result.plan)


def test_a_second_sweep_compiles_nothing_whatever_its_numbers(result, monkeypatch):
    def refuse(*_):
        raise AssertionError("compiled")

    monkeypatch.setattr(programs, "build_program", refuse)
    again = sweep({"learning_rate": [0.02, 0.1], "seed": [3, 9]}, exact=True)
    one, two = (each.dataset.sel(learning_rate=0.1, seed=3) for each in (again, result))
    np.testing.assert_array_equal(one.train_loss, two.train_loss)
    with pytest.raises(AssertionError, match="compiled"):
        sweep({"learning_rate": [np.float32(0.02)], "seed": [3]}, exact=True)


def test_words_and_sizes_are_programs_and_rates_are_lanes():
    axes = {"activation": ["tanh", "sin"], "width": [3, 5], "learning_rate": [0.01, 0.1]}
    found = sweep(axes, exact=True)
    titles = {program.title for program in found.plan.groups}
    assert titles == {
        f"2 runs, train(activation={name!r}, width={width})" for width in (3, 5) for name in ("tanh", "sin")
    }
    assert found.params(activation="sin", width=5, learning_rate=0.1)["v"].shape == (5,)
    alone = jax.jit(lambda key, learning_rate: train(key, learning_rate, 5, "sin"))(jax.random.key(0), 0.1)
    point = found.dataset.sel(activation="sin", width=5, learning_rate=0.1)
    np.testing.assert_array_equal(point.train_loss, alone["train_loss"])


def test_the_result_is_that_of_any_sweep(result):
    dataset = result.dataset
    assert dataset.train_loss.dims == ("learning_rate", "seed", "epoch")
    np.testing.assert_array_equal(dataset.updates[0, 0], 2 * np.arange(1, EPOCHS + 1))
    assert "examples" not in dataset.variables
    best = result.best("final_loss")
    assert best.coords == {"learning_rate": 0.1}
    assert best.value == pytest.approx(float(dataset.final_loss.sel(learning_rate=0.1)[:, -1].mean()))
    norm = np.sum(result.params(learning_rate=0.1, seed=2)["w"] ** 2)
    assert result.model_state(learning_rate=0.1, seed=2)["norms"]["w"] == pytest.approx(norm, rel=1e-5)


def test_a_run_that_diverges_is_marked_and_touches_no_other(result):
    status = result.dataset.status
    assert (status.sel(learning_rate=1e20) == "diverged").all()
    assert (status.sel(learning_rate=[0.01, 0.1]) == "completed").all()
    assert (result.dataset.stopped_at.sel(learning_rate=1e20) > 0).all()
    for options in ({"exact": True}, {}):
        without = sweep({"learning_rate": [0.01, 0.1], "seed": AXES["seed"]}, **options)
        beside = result if options else sweep()
        same = beside.dataset.sel(learning_rate=[0.01, 0.1])
        np.testing.assert_array_equal(without.dataset.train_loss, same.train_loss)


@pytest.mark.parametrize(
    ("axes", "options", "error", "text"),
    [
        ({"learning_rte": [0.1]}, {}, ValueError, "did you mean 'learning_rate'"),
        ({"learning_rate": []}, {}, ValueError, "axis 'learning_rate' is empty"),
        ({"learning_rate": [0.1], "updates": [1]}, {}, ValueError, "unknown axis 'updates'"),
        ({"learning_rate": [0.1], "seed": [-1]}, {}, ValueError, "whole numbers from 0"),
        (AXES, {"part": (3, 2)}, ValueError, "number of a part must be from 1 to 2|part needs folder="),
    ],
)
def test_bad_input_compiles_nothing(monkeypatch, axes, options, error, text):
    monkeypatch.setattr(conducting, "Engine", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(error, match=text):
        sweep(axes, **options)


def test_what_looks_for_nan_does_not_stop_the_others():
    with jax.debug_nans(True), pytest.warns(UserWarning, match="4 of 12 runs diverged.*call the function by"):
        found = sweep(exact=True)
    assert (found.dataset.status == "diverged").sum() == 4


def test_several_lanes_at_a_time_give_nearly_the_same(result):
    found = sweep()
    assert found.plan.groups[0].recipe.width > 1
    one, two = (each.dataset.train_loss.sel(learning_rate=[0.01, 0.1]) for each in (found, result))
    np.testing.assert_allclose(one, two, rtol=1e-4)
    again = sweep(plan=found.plan)
    np.testing.assert_array_equal(again.dataset.train_loss, found.dataset.train_loss)


def test_lanes_at_once_and_a_failing_allocation_are_as_in_any_sweep(result, monkeypatch):
    (program,) = result.plan.groups
    recipe = program.recipe._replace(kind="vmap", lanes=4)
    plan = dataclasses.replace(result.plan, groups=(dataclasses.replace(program, recipe=recipe),))
    calls, call = [], Driver.call

    def short_of_memory(self):
        calls.append(self.recipe.lanes)
        if len(calls) == 2:
            raise MemoryError
        return call(self)

    monkeypatch.setattr(Driver, "call", short_of_memory)
    with pytest.warns(UserWarning, match="out of memory with 4 lanes on a device: going on with 2"):
        found = sweep(plan=plan)
    assert calls == [4, 4, 2]
    one, two = (each.dataset.train_loss.sel(learning_rate=[0.01, 0.1]) for each in (found, result))
    np.testing.assert_allclose(one, two, rtol=1e-4)
    assert (found.dataset.status == result.dataset.status).all()


def test_views_and_the_page_draw(result):
    from jaxgd.reports.pages.of_sweep import page

    assert jaxgd.views.learning_curves(result, by="learning_rate", clock="updates").data
    assert jaxgd.views.learning_curves(result, "final_loss").data
    text = page(result, "final_loss")
    assert "Best final loss" in text
    assert "train()" in text


def test_a_function_with_metrics_of_its_own_is_drawn():
    def rewarded(key, rate):
        return {"episode_return": rate * jnp.arange(3.0), "other": jnp.zeros(3)}

    found = sweep({"rate": [1.0, 2.0]}, rewarded)
    assert jaxgd.views.learning_curves(found).layout.title.text == "episode_return, best point of each rate"
    assert found.best("episode_return").coords == {"rate": 2.0}
    unknown = sweep({"rate": [1.0, 2.0]}, lambda key, rate: {"other": rate * jnp.ones(3)})
    with pytest.raises(ValueError, match="metric is needed: of other no name says what is better"):
        jaxgd.views.learning_curves(unknown)


def returns_a_list(key, rate):
    return {"loss": [rate, rate / 2]}


def indexes_numpy(key, rate):
    _, losses = jax.lax.scan(lambda at, row: (at, rate * DATA[row]), 0.0, jnp.arange(3))
    return {"loss": losses}


def loops_in_python(key, rate):
    place = rate
    for _ in range(3000):
        place = place - rate * 2 * place
    return {"loss": place}


DATA = np.arange(3.0, dtype=np.float32)


@pytest.mark.parametrize(
    ("train", "text"),
    [
        (returns_a_list, "got a list of numbers in 'loss': jnp.stack makes an array of it"),
        (
            indexes_numpy,
            r"indexes_numpy gives a traced array to NumPy .*jnp\.asarray\(data\) of data",
        ),
    ],
)
def test_what_a_function_does_wrong_is_one_line(train, text):
    with pytest.raises(TypeError, match=text):
        jaxgd.sweep_function(train, {"rate": [0.1, 0.2]}, progress=False)


def test_a_python_loop_is_told_of_before_it_compiles():
    routine = Routine(Static(loops_in_python), {"rate": jnp.float32(0.1)}, Static({}))
    with pytest.warns(UserWarning, match=r"loops_in_python has 9,\d+ operations, .* loop is unrolled"):
        assert routine.traced.shapes["loss"].shape == ()


def test_a_function_has_no_updates_to_time(result):
    with pytest.raises(ValueError, match=r"result of a function: clocked\(\) times the updates of trainers"):
        result.clocked()


def test_a_log_gets_a_row_for_each_run():
    rows = []
    sweep({"learning_rate": [0.1], "seed": [0, 1]}, exact=True, log=rows.append)
    assert [(row["run"], row["learning_rate"], row["updates"]) for row in rows] == [
        (0, 0.1, 24),
        (1, 0.1, 24),
    ]
    assert all(np.isnan(row["examples"]) and row["final_loss"] > 0 for row in rows)


def test_a_function_without_params_gives_all_that_is_no_history(tmp_path):
    def plain(key, rate):
        return {"loss": rate * jnp.ones(3), "grid": rate * jnp.ones((2, 2)), "score": rate}

    found = sweep({"rate": [1.0, 2.0]}, plain, folder=tmp_path / "with")
    assert found.params(rate=2.0).keys() == {"grid"}
    nothing = sweep({"rate": [1.0, 2.0]}, lambda key, rate: {"score": rate}, folder=tmp_path / "without")
    for folder in ("with", "without"):
        loaded = jaxgd.load(tmp_path / folder)
        np.testing.assert_array_equal(loaded.dataset.score[:, -1], [1.0, 2.0])
    assert nothing.params(rate=2.0) == jaxgd.load(tmp_path / "without").params(rate=2.0) == {}
    assert nothing.best("score", mode="max").coords == {"rate": 2.0}


class Killed(BaseException):
    """What ends a process without a word."""


def assert_same(one, two):
    for name in one.dataset.variables:
        np.testing.assert_array_equal(one.dataset[name], two.dataset[name], err_msg=name)
    jax.tree.map(np.testing.assert_array_equal, list(one.states), list(two.states))


@pytest.fixture
def after_every_call(monkeypatch):
    """What has ended is put down after every call."""
    monkeypatch.setattr(keeper, "_EVERY", 0.0)
    monkeypatch.setattr(keeper, "_COST", 0.0)


@pytest.mark.usefixtures("after_every_call")
def test_a_sweep_that_was_killed_trains_what_its_folder_lacks(result, tmp_path, monkeypatch):
    call, calls = Driver.call, []

    def counted(self):
        calls.append(1)
        if len(calls) == 4:
            raise Killed
        return call(self)

    monkeypatch.setattr(Driver, "call", counted)
    with pytest.raises(Killed):
        sweep(exact=True, folder=tmp_path)
    partly = jaxgd.load(tmp_path)
    assert 0 < partly.num_ended < 12
    left = -(-(12 - partly.num_ended) // 2)  # a call has a run on each of two devices
    calls[:] = [1] * 4
    assert_same(sweep(exact=True, folder=tmp_path), result)
    assert len(calls) == 4 + left
    calls.clear()
    assert_same(sweep(exact=True, folder=tmp_path), result)
    assert not calls
    assert_same(jaxgd.load(tmp_path), result)


def test_new_values_of_an_axis_are_trained_besides(result, tmp_path):
    sweep(AXES | {"learning_rate": [0.01]}, exact=True, folder=tmp_path)
    assert_same(sweep(exact=True, folder=tmp_path), result)


def test_a_folder_knows_another_function(tmp_path):
    def constant(number):
        return lambda key, rate: {"loss": rate * number * jnp.ones(2)}

    sweep({"rate": [1.0]}, constant(2.0), folder=tmp_path)
    sweep({"rate": [1.0]}, constant(2.0), folder=tmp_path)
    with pytest.raises(ContradictionError, match="what has changed is the code"):
        sweep({"rate": [1.0]}, constant(3.0), folder=tmp_path)


def test_parts_come_together(result, tmp_path):
    for number in (1, 2):
        last = sweep(exact=True, folder=tmp_path, part=(number, 2))
    assert_same(last, result)


def test_points_are_axes_too():
    points = [{"learning_rate": 0.1, "activation": "tanh"}, {"learning_rate": 0.2, "activation": "sin"}]
    found = sweep({"point": points, "seed": [0]}, exact=True)
    assert found.dataset.activation.values.tolist() == ["tanh", "sin"]
    assert found.params(activation="sin")["v"].shape == (4,)
