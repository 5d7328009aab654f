"""Sweeps: each lane is the run that `fit` makes alone."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.sweeps import conducting
from jaxgd.sweeps.engine import programs

RATES = [0.01, 0.1, 1e30]
AXES = {"batch_size": ["full", 6], "learning_rate": RATES, "seed": [0, 3]}


def make_problem(dtype=np.float32):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(20, 3)).astype(dtype)
    targets = generator.normal(size=20).astype(dtype)
    return jaxgd.regression(jaxgd.linear(3, init="he_normal"), (inputs, targets), (inputs[:5], targets[:5]))


PROBLEM = make_problem()


def make_trainer(hp):
    return jaxgd.trainer(PROBLEM, jaxgd.momentum(hp.learning_rate), hp.batch_size)


def sweep(make_trainer=make_trainer, axes=AXES, epochs=2, progress=False, **options):
    return jaxgd.sweep(make_trainer, axes, epochs, progress=progress, **options)


@pytest.fixture(scope="module")
def result():
    return sweep()


def assert_same_bits(tree, other):
    jax.tree.map(np.testing.assert_array_equal, tree, other)


def lane(result, *place):
    variables = result.dataset.reset_coords(["updates", "examples"])
    return {name: column.values[place] for name, column in variables.items()}


def test_every_lane_has_the_bits_of_the_run_alone(result):
    for i, batch_size in enumerate(AXES["batch_size"]):
        for j, rate in enumerate(RATES):
            for k, seed in enumerate(AXES["seed"]):
                point = {"batch_size": batch_size, "learning_rate": rate, "seed": seed}
                tr = jaxgd.trainer(PROBLEM, jaxgd.momentum(rate), batch_size)
                fit = jaxgd.fit(tr, jax.random.key(seed), 2)
                assert_same_bits(result.params(**point), fit.state.params)
                values = lane(result, i, j, k)
                assert_same_bits({name: values[name] for name in fit.history}, fit.history)
                assert values["stopped_at"] == fit.state.stopped_at
                assert values["status"] == ["completed", "", "diverged"][int(fit.state.status)]


def test_a_diverged_lane(result):
    diverged = result.dataset.sel(learning_rate=1e30)
    assert (diverged.status == "diverged").all()
    assert (diverged.stopped_at >= 0).all()
    assert np.isnan(diverged.valid_loss).all()
    others = result.dataset.sel(learning_rate=RATES[:2])
    assert (others.status == "completed").all()
    assert (others.stopped_at == -1).all()


def test_neighbours_and_their_order_do_not_matter(result):
    compiled = len(programs._COMPILED)
    for sizes in ([6, "full"], [6]):  # then also without the other loop in the program
        other = sweep(axes={"seed": [3], "learning_rate": [0.1, 0.01], "batch_size": sizes})
        assert len(programs._COMPILED) == compiled + (len(sizes) == 1)
        expected = result.dataset.sel(seed=[3], learning_rate=[0.1, 0.01], batch_size=[6, 20][: len(sizes)])
        for name, column in other.dataset.items():
            np.testing.assert_array_equal(column, expected[name].transpose(*column.dims))


def test_a_second_sweep_compiles_nothing(result, monkeypatch):
    def refuse(*_):
        raise AssertionError("compiled")

    monkeypatch.setattr(programs, "build_program", refuse)
    again = sweep(axes=AXES | {"learning_rate": [0.02, 0.1, 0.2, 0.3], "seed": [1, 2, 3]})
    assert again.dataset.sizes["seed"] == 3
    with pytest.raises(AssertionError, match="compiled"):
        sweep(epochs=3)


def test_the_plan_counts_groups(result):
    groups = result.plan.groups
    assert [(group.batch_size, len(group.runs)) for group in groups] == [("6, 20", 12)]
    assert "12 runs of 2 epochs in 1 program" in repr(result.plan)
    assert all(group.recipe.kind == "map" for group in groups)


def test_lanes_all_at_once(x64):
    problem = make_problem(np.float64)
    axes = {"learning_rate": [0.01, 0.1, 0.2], "seed": [0, 1, 2]}

    def make(hp):
        return jaxgd.trainer(problem, jaxgd.adam(hp.learning_rate), 6)

    in_turn = sweep(make, axes)
    at_once = sweep(make, axes, plan=jaxgd.plan(make, axes, 2, kind="vmap", lanes=2))
    assert at_once.plan.groups[0].recipe.kind == "vmap"
    for name, column in in_turn.dataset.items():
        if column.dtype.kind == "f":
            assert column.dtype == np.float64
            np.testing.assert_allclose(at_once.dataset[name], column, rtol=1e-9)
        else:
            np.testing.assert_array_equal(at_once.dataset[name], column)


def test_batch_sizes_as_lanes_of_one_program():
    def make(hp):
        return jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), jnp.asarray(hp.batch_size), microbatch=4)

    result = sweep(make, {"batch_size": [2, 6, 20]})
    assert len(result.plan.groups) == 1
    np.testing.assert_array_equal(result.dataset.updates, [[10, 20], [4, 8], [1, 2]])
    fit = jaxgd.fit(jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), np.array(6), 4), jax.random.key(0), 2)
    np.testing.assert_array_equal(result.dataset.train_loss.sel(batch_size=6), fit.history["train_loss"])


def test_numbers_of_a_loss_are_lanes():
    def loss(scale, params, batch):
        return scale * (params - batch) ** 2

    def make(hp):
        function = jax.tree_util.Partial(loss, hp.scale)
        return jaxgd.trainer(
            jaxgd.Problem(lambda key: jnp.zeros(()), function, jnp.ones(4)), jaxgd.sgd(0.1), 4
        )

    result = sweep(make, {"scale": [1.0, 2.0]}, epochs=1)
    assert len(result.plan.groups) == 1
    np.testing.assert_array_equal(result.dataset.train_loss, [[1], [2]])


def test_progress_is_reported_up_to_the_end():
    calls = []
    sweep(progress=lambda *call: calls.append(call))
    done, total, texts = zip(*calls, strict=True)
    assert done[-1] == 12
    assert set(total) == {12}
    assert list(done) == sorted(set(done))
    assert texts[0] == "compiled"
    assert all("examples/s" in text for text in texts[1:])


def refuse(hp):
    raise RuntimeError(f"no trainer at {hp}")


@pytest.mark.parametrize(
    ("make", "axes", "epochs", "error", "message"),
    [
        (make_trainer, {"learning_rate": []}, 2, ValueError, "axis 'learning_rate' is empty"),
        (make_trainer, {**AXES, "batch_size": [21]}, 2, ValueError, "batch_size must be .* got 21"),
        (make_trainer, {**AXES, "batch_size": ["full", 20]}, 2, ValueError, "twice: 'full' is 20 examples"),
        (make_trainer, {**AXES, "learning_rate": [-1.0]}, 2, ValueError, "learning_rate must be .* got -1"),
        (make_trainer, AXES, 0, ValueError, "epochs must be a whole number, 1 or more, got 0"),
        (make_trainer, {**AXES, "status": [1]}, 2, ValueError, "axis 'status' has the name of a result"),
        (make_trainer, {**AXES, "valid_loss": [1]}, 2, ValueError, "axis 'valid_loss' has the name"),
        (lambda hp: None, AXES, 2, TypeError, r"make_trainer must return a jaxgd.trainer\(...\), got None"),
        (refuse, AXES, 2, RuntimeError, r"no trainer at \(batch_size='full', learning_rate=0.01, seed=0\)"),
        (lambda hp: hp.rate, AXES, 2, AttributeError, "unknown axis 'rate'"),
    ],
)
def test_bad_input_compiles_nothing(monkeypatch, make, axes, epochs, error, message):
    monkeypatch.setattr(conducting, "Engine", lambda *_: pytest.fail("it ran"))
    with pytest.raises(error, match=message):
        sweep(make, axes, epochs)


SCRIPT = """
import sys, jax
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
import numpy as np, jaxgd
x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
problem = jaxgd.regression(jaxgd.linear(3), (x, x[:, 0]))
"""
ALONE = """
result = jaxgd.sweep(
    lambda hp: jaxgd.trainer(problem, jaxgd.adam(hp.learning_rate), 6),
    {"learning_rate": [0.01, 0.1, 1.0], "seed": [0, 1, 2]}, 2, progress=False)
assert result.plan.groups[0].recipe.devices == int(sys.argv[1])
print(result.dataset.train_loss.values.tobytes().hex())
print(result.params(learning_rate=1.0, seed=2)["w"].tobytes().hex())
saddle = jaxgd.landscape.surface("saddle")
escapes = jaxgd.landscape.escape_times(
    saddle, {"sgd": jaxgd.sgd(0.1)}, [0.0, 0.0], lambda x: abs(x[1]) > 1, 50, noise=1.0,
    batch_sizes=[1], seeds=9)
print(escapes.updates.values.tobytes().hex())
"""
SOME_AT_A_TIME = """
make = lambda hp: jaxgd.trainer(problem, jaxgd.adam(hp.learning_rate), hp.batch_size)
axes = {"batch_size": [1, 6], "learning_rate": [0.01, 0.1, 1.0], "seed": [0, 1, 2]}
result = jaxgd.sweep(make, axes, 2, progress=False, plan=jaxgd.plan(make, axes, 2, width=4))
print(result.dataset.train_loss.values.tobytes().hex())
"""


@pytest.mark.parametrize("part", [ALONE, pytest.param(SOME_AT_A_TIME, marks=pytest.mark.slow)])
def test_eight_devices_give_the_numbers_of_one(part):
    runs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT + part, str(n)], capture_output=True, text=True, check=True
        )
        for n in (1, 8)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout) > 100


@pytest.mark.parametrize("two", [np.int64(2), np.uint8(2)], ids=repr)
def test_numbers_of_other_libraries(two, tmp_path):
    rates = list(jnp.logspace(-2, -1, 2))
    found = sweep(
        axes={"batch_size": [np.uint8(6)], "learning_rate": rates, "seed": list(jnp.arange(2))}, epochs=two
    )
    assert found.dataset.sizes["epoch"] == found.plan.epochs == 2
    found.save(tmp_path)
    for each in (found, jaxgd.load(tmp_path)):
        best = each.best().coords
        assert best in ({"batch_size": 6, "learning_rate": rate} for rate in (0.01, 0.1))
        trainer = jaxgd.trainer(PROBLEM, jaxgd.momentum(rates[0]), 6)
        expected = jaxgd.fit(trainer, jax.random.key(1), 2).state.params
        given = each.params(batch_size=6, learning_rate=0.01, seed=1)
        jax.tree.map(np.testing.assert_array_equal, given, expected)


def test_idle_cores_are_told_and_no_warning(monkeypatch, capsys):
    """Progress says so; a sweep that was long says what to set. With no progress nothing is said."""
    told = []
    monkeypatch.setattr(conducting, "num_cores", lambda: 64)
    sweep(progress=lambda done, total, text: told.append(text))
    assert told[-1].endswith(f", on {jax.device_count()} of 64 cores")
    monkeypatch.setattr(conducting, "_LONG", 0)
    sweep(progress=True)
    line = capsys.readouterr().err.splitlines()[-1]
    note = f"the sweep ran on {jax.device_count()} of 64 cores; with all: "
    assert line == note + 'jax.config.update("jax_num_cpu_devices", 64) before the first use of JAX'
    sweep()
    monkeypatch.setattr(conducting, "num_cores", lambda: jax.device_count())
    sweep(progress=True)
    assert "cores" not in capsys.readouterr().err
