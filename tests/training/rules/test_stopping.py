"""What early stopping restores, and waits that never end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import jaxgd

KEY = jax.random.key(0)
ROWS = np.random.default_rng(0).normal(loc=2.0, size=(24, 3)).astype(np.float32)


def running(params, batch, model_state, training):
    """Distances from a running mean of batches, which in evaluation is the model state."""
    mean = 0.5 * model_state + 0.5 * jnp.mean(batch, axis=0)
    used = jnp.where(training, mean, model_state)
    return jnp.sum((batch - (used + params)[None]) ** 2, axis=1), mean


def make_trainer(rate=0.6):
    problem = jaxgd.Problem(
        lambda key: jnp.ones(3), running, ROWS, valid=ROWS[:5], model_state=jnp.zeros(3), coupled=True
    )
    return jaxgd.trainer(problem, jaxgd.sgd(rate), 4)


def score(problem, params, model_state):
    return float(jaxgd.evaluate(problem, params, "valid", model_state)["loss"])


@pytest.mark.parametrize("monitor", ["valid_loss", "average_valid_loss"])
def test_what_is_restored_has_the_best_score(monitor):
    trainer = jaxgd.early_stopping(
        jaxgd.average_weights(make_trainer(), decay=0.5), patience=1e18, monitor=monitor
    )
    fit = jaxgd.fit(trainer, KEY, 12)
    history = fit.history[monitor]
    assert np.argmin(history) < 11  # or nothing is restored
    found = score(trainer.problem, fit.state.params, fit.state.model_state)
    np.testing.assert_allclose(found, np.min(history), rtol=1e-5)
    assert int(fit.state.rules[1][0].epoch) == np.argmin(history)
    again = jaxgd.train(trainer, KEY, 12, progress=False)
    np.testing.assert_array_equal(again.state.params, fit.state.params)
    np.testing.assert_array_equal(again.state.model_state, fit.state.model_state)


def test_a_sweep_hands_out_the_pair_that_scored_best():
    def make(hp):
        return jaxgd.early_stopping(make_trainer(hp.rate), hp.patience)

    axes = {"rate": [0.3, 0.6], "patience": [2, float("inf")]}
    result = jaxgd.sweep(make, axes, epochs=8, progress=False)
    for rate in axes["rate"]:
        for patience in axes["patience"]:
            run = {"rate": rate, "patience": patience}
            found = score(make_trainer().problem, result.params(**run), result.model_state(**run))
            losses = result.dataset.valid_loss.sel(run)
            np.testing.assert_allclose(found, losses.min("epoch"), rtol=1e-5)
            np.testing.assert_allclose(found, losses.sel(epoch=result.dataset.kept_epoch.sel(run)), rtol=1e-5)
    best = result.best("valid_loss")
    found = score(make_trainer().problem, result.params(**best.coords), result.model_state(**best.coords))
    np.testing.assert_allclose(found, best.value, rtol=1e-5)


def test_without_restoring_the_last_of_both_remain():
    trainer = jaxgd.early_stopping(make_trainer(), patience=99, restore_best=False)
    fit, plain = jaxgd.fit(trainer, KEY, 6).state, jaxgd.fit(make_trainer(), KEY, 6).state
    np.testing.assert_allclose(fit.params, plain.params, rtol=1e-6)
    np.testing.assert_allclose(fit.model_state, plain.model_state, rtol=1e-6)


class LastOfTwo(jaxgd.Rule):
    """A rule of one's own that chooses both."""

    def finish(self, own, seen):
        return jax.tree.map(lambda x: x + 1, seen.params), jax.tree.map(lambda x: x + 2, seen.model_state)


def test_a_rule_of_ones_own_may_choose_both():
    fit = jaxgd.fit(make_trainer().replace(rules=[LastOfTwo()]), KEY, 1).state
    plain = jaxgd.fit(make_trainer(), KEY, 1).state
    np.testing.assert_allclose(fit.params, plain.params + 1, rtol=1e-6)
    np.testing.assert_allclose(fit.model_state, plain.model_state + 2, rtol=1e-6)


WAITS = st.one_of(st.integers(0, 12), st.integers(0, 2**62), st.sampled_from([float("inf"), 2.0**31, 1e18]))
trace = jax.jit(jaxgd.early_stopping_trace)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=10, max_size=10), WAITS, WAITS)
def test_waits_of_any_length(values, patience, start):
    best, at, wait, epochs_run = float("inf"), -1, 0, 0
    for epoch, value in enumerate(values):
        epochs_run += 1
        if epoch < start:
            continue
        is_best = value < best
        wait = 0 if is_best else wait + 1
        best, at = (value, epoch) if is_best else (best, at)
        if not is_best and wait >= patience and epoch > 0:
            break
    # The numbers of a rule are leaves: as arguments of a program, and as they are given by hand.
    rule = jaxgd.early_stopping(make_trainer(), patience, start_from_epoch=start).rules[-1]
    values = np.array(values, np.float32)
    found = trace(values, rule.patience, start_from_epoch=rule.start_from_epoch)
    assert tuple(map(int, found)) == (epochs_run, at)
    found = trace(values, np.float32(patience), start_from_epoch=np.float32(start))
    assert tuple(map(int, found)) == (epochs_run, at)


@pytest.mark.parametrize("patience", [2**31, 1e10, 1e18, 99e99, float("inf")])
def test_patience_beyond_32_bits_waits_for_ever(patience):
    found = jaxgd.early_stopping_trace([2, 1, 1.5, 1.6, 0.9, 0.8], patience=patience)
    assert tuple(map(int, found)) == (6, 5)


def still(params, batch):
    return 0 * params + batch


@pytest.mark.parametrize(
    ("patience", "cooldown", "scales"),
    [
        (float("inf"), 0, [1, 1, 1, 1, 1]),
        (2**31, 0, [1, 1, 1, 1, 1]),
        (1, float("inf"), [1, 1, 0.1, 0.1, 0.1]),
        (1, 2**31 - 1, [1, 1, 0.1, 0.1, 0.1]),
        (1, 1e18, [1, 1, 0.1, 0.1, 0.1]),
        (1, 0, [1, 1, 0.1, 0.01, 0.001]),
    ],
)
def test_plateaus_of_any_length(patience, cooldown, scales):
    problem = jaxgd.Problem(lambda key: jnp.zeros(()), still, np.ones(4, np.float32))
    trainer = jaxgd.trainer(problem, jaxgd.sgd(0.1), 2)
    trainer = jaxgd.reduce_on_plateau(trainer, patience=patience, cooldown=cooldown, monitor="train_loss")
    np.testing.assert_allclose(jaxgd.fit(trainer, KEY, 5).history["rate_scale"], scales, rtol=1e-6)
