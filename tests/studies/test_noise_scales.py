"""The gradient noise scale: by hand, its interval's coverage, and what a training loop measures."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgd
from jaxgd import optim
from jaxgd.studies import gradient_noise_scale


def squared_norms(rows):
    """The mean squared norm of each row, and that of the mean of all."""
    rows = np.asarray(rows, float)
    return np.mean(np.sum(rows**2, axis=1)), np.sum(rows.mean(axis=0) ** 2)


def test_by_hand():
    small, large = squared_norms([[1, 0], [0, 1], [2, 1], [1, 2]])
    found = gradient_noise_scale([small], [large], 1, 4)
    assert (found.squared_norm, found.trace, found.value) == pytest.approx((1.66667, 1.33333, 0.8), rel=1e-5)
    assert math.isnan(found.low)
    assert found.reason == "one step has no interval"


def test_no_ratio_without_a_gradient():
    small, large = squared_norms([[2, 0], [-2, 0], [0, 1], [0, -1]])
    found = gradient_noise_scale([small], [large], 1, 4)
    assert (found.squared_norm, found.trace) == pytest.approx((-0.833333, 3.33333), rel=1e-5)
    assert math.isnan(found.value)
    assert found.reason == "the estimate of |G|² is -0.833, not above 0: the gradient is lost in its noise"
    found = gradient_noise_scale([1.0, 1.0], [1.5, 1.2], 1, 4)
    assert math.isnan(found.value)
    assert found.reason.startswith("the estimate of tr Σ is -0.467, below 0")
    assert gradient_noise_scale([1.0, math.inf], [1.5, 1.2], 1, 4).reason == "a squared norm is not finite"


def test_means_first_and_the_ratio_last():
    small, large = np.array([3.0, 10.0]), np.array([2.0, 4.0])
    found = gradient_noise_scale(small, large, 1, 4)
    assert found.value == pytest.approx((4 / 3 + 8) / (5 / 3 + 2))
    assert found.value != pytest.approx(np.mean([0.8, 4]))


def test_batch_sizes_may_change():
    found = gradient_noise_scale([3.0, 3.0], [2.0, 2.5], [1, 1], [4, 2])
    assert found.squared_norm == pytest.approx((5 / 3 + 2) / 2)
    assert found.trace == pytest.approx((4 / 3 + 1) / 2)


def draws(rng, steps, small, ratio, trace, dim=10):
    """Squared norms of gradients of mean length 1 and this trace of covariance."""
    gradients = rng.normal(size=(steps, ratio, dim)) * math.sqrt(trace / dim / small) + np.eye(dim)[0]
    return np.sum(gradients**2, axis=2).mean(axis=1), np.sum(gradients.mean(axis=1) ** 2, axis=1)


@pytest.mark.parametrize(("small", "ratio", "trace"), [(4, 4, 16), (1, 8, 50), (2, 2, 4)])
def test_the_interval_covers(small, ratio, trace):
    """0.95 within four standard errors of 400 trials."""
    rng = np.random.default_rng(0)
    trials = [
        gradient_noise_scale(*draws(rng, 100, small, ratio, trace), small, small * ratio) for _ in range(400)
    ]
    covered = np.mean([found.low <= trace <= found.high for found in trials])
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 400)


def test_an_interval_may_have_no_upper_end():
    rng = np.random.default_rng(1)
    found = gradient_noise_scale(*draws(rng, 200, 1, 2, 30), 1, 2)
    assert found.high == math.inf
    assert 0 < found.low < found.value
    assert "no upper end" in found.reason


def test_more_steps_say_more():
    rng = np.random.default_rng(2)
    widths = []
    for steps in (100, 10_000):
        found = gradient_noise_scale(*draws(rng, steps, 4, 4, 16), 4, 16)
        assert found.interval == (found.low, found.high)
        widths.append(found.high - found.low)
    assert 0.01 < widths[1] / 16 < 0.1 < widths[0] / 16 < 1
    assert gradient_noise_scale([2.0, 2.0], [2.0, 2.0], 1, 2).interval == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], 1, 2), r"numbers of one or more steps, \[steps\], got shapes \[0\] and \[0\]"),
        (([1, 2], [1], 1, 2), r"got shapes \[2\] and \[1\]"),
        (([1], [1], 2, 2), "large_batch must be above small_batch, got 2 and 2 at step 0"),
        (([1], [1], 0, 2), "small_batch must be 1 or more examples, got 0"),
        (([1], [1], 1, [2, 3]), r"large_batch must be a number or \[1\], got shape \[2\]"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        gradient_noise_scale(*arguments)


ROWS = jnp.array([[1.0, 0], [0, 1], [2, 1], [1, 2], [3, 0], [0, 3], [1, 1], [2, 2]])


def tracked(transform, gradients):
    """The states after each gradient, by `lax.scan`."""

    def step(state, gradient):
        updates, state = transform.update({"w": gradient}, state)
        return state, (updates["w"], state)

    run = lambda rows: jax.lax.scan(step, transform.init({"w": rows[0]}), rows)[1]  # noqa: E731
    return jax.jit(run)(gradients)


def test_tracked_norms_are_those_of_each_batch():
    passed, states = tracked(optim.track_gradient_norms(4), ROWS)
    np.testing.assert_array_equal(passed, ROWS)
    np.testing.assert_array_equal(states.count, [0, 0, 0, 1, 1, 1, 1, 2])
    np.testing.assert_array_equal(states.micro_step, [1, 2, 3, 0] * 2)
    pairs = [squared_norms(ROWS[:4]), squared_norms(ROWS[4:])]
    found = np.stack([states.small_squared_norm, states.large_squared_norm], axis=1)[3::4]
    np.testing.assert_allclose(found, pairs, rtol=1e-6)
    np.testing.assert_allclose(states.sums.totals[-1], np.sum(pairs, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(states.small_squared_norm[4:7], states.small_squared_norm[3])


def test_tracked_lanes_are_those_alone():
    lanes = jnp.stack([ROWS, 2 * ROWS, -ROWS[::-1]])
    together = jax.vmap(lambda rows: tracked(optim.track_gradient_norms(2), rows))(lanes)
    for k, rows in enumerate(lanes):
        alone = tracked(optim.track_gradient_norms(2), rows)
        jax.tree.map(lambda a, b, k=k: np.testing.assert_allclose(a[k], b, rtol=1e-6), together, alone)


def test_a_batch_with_a_nan_spoils_no_other():
    rows = ROWS.at[1].set(jnp.nan)
    states = tracked(optim.track_gradient_norms(4), rows)[1]
    assert np.isnan(states.large_squared_norm[3])
    np.testing.assert_allclose(states.large_squared_norm[7], squared_norms(ROWS[4:])[1], rtol=1e-6)


def test_bfloat16_is_summed_in_float32():
    state = optim.track_gradient_norms(2).init(jnp.zeros(3, jnp.bfloat16))
    assert state.gradient_sum.dtype == jnp.float32
    updates, _ = optim.track_gradient_norms(2).update(jnp.ones(3, jnp.bfloat16), state)
    assert updates.dtype == jnp.bfloat16


@pytest.mark.parametrize("bad", [1, 0, 2.5, None, True])
def test_micro_batches_are_two_or_more(bad):
    with pytest.raises((TypeError, ValueError), match="micro_batches must be a whole number, 2 or more, got"):
        optim.track_gradient_norms(bad)


def test_a_loop_with_micro_batches_finds_a_known_noise_scale():
    """At a standing point of a quadratic with noise: G = 1 along one of 10 axes, tr Σ = 16."""
    rng = np.random.default_rng(0)
    gradients = jnp.asarray(rng.normal(size=(800, 10)) * math.sqrt(1.6 / 4) + np.eye(10)[0], jnp.float32)
    optimizer = jaxgd.chain(optim.track_gradient_norms(4), optax.MultiSteps(optax.sgd(0.0), 4))

    def step(carry, gradient):
        params, state = carry
        updates, state = optimizer.update(gradient, state, params)
        tracked = state[0]
        pair = tracked.small_squared_norm, tracked.large_squared_norm
        return (jaxgd.apply_updates(params, updates), state), pair

    params = jnp.zeros(10)
    with jax.numpy_dtype_promotion("standard"):
        _, (small, large) = jax.lax.scan(step, (params, optimizer.init(params)), gradients)
    found = gradient_noise_scale(small[3::4], large[3::4], 4, 16)
    assert found.low <= 16 <= found.high
    assert found.steps == 200
