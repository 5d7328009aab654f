"""Noise scales from a gradient, a Hessian and a covariance."""

import math

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.studies import local_noise_scale, noise_scale_of

G, H, COVARIANCE = [1, 1], np.diag([2, 0.5]), np.diag([4, 1])


def test_known_numbers():
    found = local_noise_scale(G, H, COVARIANCE)
    assert found == pytest.approx((2.5, 3.4, 0.8, 0))
    assert found.learning_rate(16) == pytest.approx(0.659794, rel=1e-5)


def test_the_rate_lowers_the_loss_most():
    """E L(x - r g) = L - r |G|² + r² (GᵀHG + tr(HΣ) / B) / 2 for a quadratic."""
    rng = np.random.default_rng(0)
    root, other = rng.normal(size=(2, 3, 3))
    hessian, covariance, g = root @ root.T, other @ other.T, rng.normal(size=3)
    found = local_noise_scale(g, hessian, covariance)
    rates = found.learning_rate(5) * np.linspace(0.5, 1.5, 1001)
    change = -rates * (g @ g) + rates**2 * (g @ hessian @ g + np.trace(hessian @ covariance) / 5) / 2
    assert rates[np.argmin(change)] == pytest.approx(found.learning_rate(5))


def test_where_there_is_none():
    assert math.isnan(local_noise_scale([0, 0], H, COVARIANCE).simple)
    assert math.isnan(local_noise_scale(G, -H, COVARIANCE).noise)
    with pytest.raises(ValueError, match=r"shapes \[d\], \[d, d\] and \[d, d\], got \[2\], \[3, 3\]"):
        local_noise_scale(G, np.eye(3), np.eye(3))


@pytest.fixture(scope="module")
def regression():
    """A problem of half squared errors, weights, and its gradient, Hessian and covariance in NumPy."""
    rng = np.random.default_rng(0)
    inputs, targets, weights = rng.normal(size=(150, 3)), rng.normal(size=150), rng.normal(size=3)
    problem = jaxgd.Problem(
        init=lambda key: jnp.zeros(3),
        loss=lambda w, batch: (batch[0] @ w - batch[1]) ** 2 / 2,
        train=(inputs.astype(np.float32), targets.astype(np.float32)),
    )
    gradients = inputs * (inputs @ weights - targets)[:, None]
    exact = gradients.mean(axis=0), inputs.T @ inputs / 150, np.cov(gradients.T, ddof=0)
    return problem, jnp.asarray(weights, jnp.float32), exact


@pytest.mark.parametrize("chunk", [4096, 40])
def test_of_a_problem_are_those_of_its_matrices(regression, chunk):
    problem, weights, exact = regression
    found = noise_scale_of(problem, weights, jax.random.key(0), probes=400, chunk=chunk)
    expected = local_noise_scale(*exact)
    assert (found.simple, found.largest_rate) == pytest.approx(
        (expected.simple, expected.largest_rate), rel=5e-4
    )
    assert abs(found.noise - expected.noise) < 4 * found.noise_error
    assert found.noise_error < expected.noise / 5


def test_of_a_network_that_has_been_trained_are_those_of_its_matrices():
    """Its Hessian, which is of no quadratic, and the covariance of its examples' gradients as they are."""
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(90, 3)).astype(np.float32)
    problem = jaxgd.regression(jaxgd.mlp([3, 4, 1]), (inputs, np.sin(inputs[:, 0]).astype(np.float32)))
    fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.adam(0.01), 10), jax.random.key(0), 1)
    flat, unravel = jax.flatten_util.ravel_pytree(fit.state.params)
    losses = lambda flat: problem.loss(unravel(flat), problem.train)  # noqa: E731
    gradients = jax.jacobian(losses)(flat)
    hessian = jax.hessian(lambda flat: losses(flat).mean())(flat)
    expected = local_noise_scale(gradients.mean(axis=0), hessian, np.cov(gradients.T, ddof=0))
    found = noise_scale_of(problem, fit.state.params, jax.random.key(0), probes=300)
    assert (found.simple, found.largest_rate) == pytest.approx(
        (expected.simple, expected.largest_rate), rel=1e-3
    )
    assert abs(found.noise - expected.noise) < 4 * found.noise_error < abs(expected.noise - expected.simple)


def test_a_model_state_is_that_which_is_given(regression):
    problem, weights, _ = regression

    def loss(w, batch, model_state):
        return (batch[0] @ w - batch[1]) ** 2 / 2 * model_state, model_state

    stateful = problem.replace(loss=loss, model_state=jnp.ones(()))
    found = noise_scale_of(stateful, weights, jax.random.key(0), model_state=jnp.float32(2))
    alone = noise_scale_of(problem, weights, jax.random.key(0))
    assert found.largest_rate == pytest.approx(alone.largest_rate / 2, rel=1e-5)  # of twice the loss
    with pytest.raises(ValueError, match=r"^model_state is missing: "):
        noise_scale_of(stateful, weights, jax.random.key(0))


def test_what_has_no_such_noise(regression):
    problem, weights, _ = regression
    with pytest.raises(ValueError, match="problem must not be coupled"):
        noise_scale_of(problem.replace(coupled=True), weights, jax.random.key(0))
    weighted = problem.replace(loss=lambda w, batch: ((batch[0] @ w) ** 2, jnp.ones_like(batch[1])))
    with pytest.raises(ValueError, match="the loss of problem must have no weights"):
        noise_scale_of(weighted, weights, jax.random.key(0))
    with pytest.raises(TypeError, match=r"key must be one PRNG key such as jax.random.key\(0\), got 0"):
        noise_scale_of(problem, weights, 0)
    with pytest.raises(ValueError, match="probes must be a whole number, 2 or more, got 1"):
        noise_scale_of(problem, weights, jax.random.key(0), probes=1)
