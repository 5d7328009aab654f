"""Sweeps that go on from states."""

import jax
import numpy as np
import pytest

import jaxgd

INPUTS = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.mlp([3, 4, 1]), (INPUTS, INPUTS[:, :1]), (INPUTS[:6], INPUTS[:6, :1]))
AXES = {"batch_size": [4, 6, "full"], "learning_rate": [0.01, 0.02]}


def trainer_of(size, rate, optimizer=jaxgd.adam):
    return jaxgd.trainer(PROBLEM, optimizer(rate), size)


def make_trainer(hp):
    return trainer_of(hp.batch_size, hp.learning_rate)


@pytest.fixture(scope="module")
def states():
    """The state of a run of two epochs at each of two rates."""
    return {rate: jaxgd.fit(trainer_of(8, rate), jax.random.key(3), 2).state for rate in (0.01, 0.02)}


def assert_is_fit(result, start, **place):
    fit = jaxgd.fit(trainer_of(*place.values()), jax.random.key(0), 2, start=start)
    for name in ("train_loss", "valid_loss", "updates", "examples"):
        found = result.dataset[name].sel(
            batch_size=24 if place["batch_size"] == "full" else place["batch_size"]
        )
        found = found.sel(learning_rate=place["learning_rate"])
        np.testing.assert_allclose(found, fit.history[name], rtol=2e-6, err_msg=name)
    params = result.params(**place)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-7), params, fit.state.params
    )


@pytest.mark.parametrize("options", [{"exact": True}, {"merge": 4}, {"merge": True, "width": 2}], ids=str)
def test_one_state_for_all(states, options):
    plan = None if "exact" in options else jaxgd.plan(make_trainer, AXES, 2, **options)
    exact = options.get("exact", False)
    result = jaxgd.sweep(make_trainer, AXES, 2, progress=False, plan=plan, exact=exact, start=states[0.01])
    assert result.dataset.updates.sel(batch_size=24).values[:, -1].tolist() == [2, 2]
    for size in AXES["batch_size"]:
        assert_is_fit(result, states[0.01], batch_size=size, learning_rate=0.02)


def test_a_state_for_each_point(states):
    result = jaxgd.sweep(make_trainer, AXES, 2, progress=False, start=lambda hp: states[hp.learning_rate])
    for rate, state in states.items():
        assert_is_fit(result, state, batch_size=6, learning_rate=rate)


def test_a_second_stage_compiles_nothing_for_another_state(states):
    sweep = lambda start: jaxgd.sweep(make_trainer, AXES, 2, progress=False, exact=True, start=start)  # noqa: E731
    sweep(states[0.01])
    with jax.log_compiles(False):
        before = len(jaxgd.sweeps.engine.programs._COMPILED)
        sweep(states[0.02])
        assert len(jaxgd.sweeps.engine.programs._COMPILED) == before


@pytest.mark.parametrize(
    ("start", "error", "message"),
    [
        (0, TypeError, r"start must be a state, .* got int at \(batch_size=4, learning_rate=0.01\)"),
        (lambda hp: None, TypeError, "start must be a state, .* got NoneType"),
        (
            lambda hp: jaxgd.fit(trainer_of(4, 0.1, jaxgd.sgd), jax.random.key(0), 1).state,
            ValueError,
            r"start does not fit the trainer: its opt_state.* \(from start at \(batch_size=4",
        ),
    ],
)
def test_bad_starts(start, error, message):
    with pytest.raises(error, match=message):
        jaxgd.sweep(make_trainer, AXES, 2, progress=False, start=start)


def test_merged_optimizers_have_no_start(states):
    make = lambda hp: trainer_of(4, 0.01, getattr(jaxgd, hp.optimizer))  # noqa: E731
    axes = {"optimizer": ["adam", "nadam"], "seed": [0, 1]}
    result = jaxgd.sweep(make, axes, 1, progress=False, start=states[0.01])
    assert not any(program.recipe.generalized for program in result.plan.groups)
