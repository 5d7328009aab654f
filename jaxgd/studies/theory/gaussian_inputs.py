"""Linear regression on Gaussian inputs: noise that shrinks with the error, as that of a model that fits."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.arguments import whole_number
from jaxgd.studies.theory.quadratics import coordinates
from jaxgd.training.problems.problem import Problem


def gaussian_regression(
    eigenvalues: Any, noise: float = 0.0, *, start: Any = 1.0, examples: int = 256
) -> Problem:
    """The problem of linear regression on inputs that are drawn anew for every batch.

    An input is normal with covariance `diag(eigenvalues)`, its target normal with mean 0 and deviation
    `noise`, so that the best weights are 0. `valid_loss` is the expected loss over all inputs.

    Args:
        eigenvalues: of the covariance of the inputs, [d], above 0.
        noise: standard deviation of the targets around the best model, 0 or more.
        start: weights before the first update, [d] or a number.
        examples: in an epoch.

    Raises:
        ValueError: an argument out of its range.
    """
    values = coordinates("eigenvalues", eigenvalues, above_0=True)
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise must be finite and 0 or more, got {noise!r}")
    start = np.broadcast_to(np.asarray(start, float), values.shape)
    dtype = jnp.result_type(float)
    deviations = np.append(np.sqrt(values), noise)
    # A validation example for each direction: half the mean of their squared errors is the expected loss.
    inputs = np.sqrt(values.size + 1) * np.diag(deviations)
    return Problem(
        init=jax.tree_util.Partial(_weights, start),
        loss=_half_squared_error,
        train=np.zeros((whole_number("examples", examples), values.size + 1), dtype),
        valid=inputs.astype(dtype),
        augment=jax.tree_util.Partial(_drawn, deviations),
    )


def _weights(start, key):
    return jnp.asarray(start, jnp.result_type(float))


def _half_squared_error(weights, batch):
    return (batch[:, :-1] @ weights - batch[:, -1]) ** 2 / 2


def _drawn(deviations, batch, key):
    """A batch drawn anew, inputs and then the target."""
    draws = jax.random.normal(key, batch.shape, batch.dtype)
    return draws * jnp.asarray(deviations, batch.dtype)[None]


def regression_loss(
    eigenvalues: Any,
    noise: float,
    learning_rate: float,
    batch_size: float,
    updates: float,
    *,
    s0: Any = 1.0,
) -> float:
    """The expected loss of SGD on linear regression with Gaussian inputs, new ones in every batch, exact.

    With weights w from the best ones and `s = E w²` along the eigenvectors of the inputs, an update makes
    `s <- (1 - 2 r λ + (1 + 1 / B) r² λ²) s + r² λ (Σ λ s + noise²) / B`, and the loss is
    `½ (Σ λ s + noise²)`. So the noise of a gradient grows with the loss, and a rate that is stable with exact
    gradients may not be at a small batch.

    Args:
        eigenvalues: λ, of the covariance of the inputs, [d], above 0.
        noise: standard deviation of the targets around the best model, 0 or more.
        learning_rate: r, 0 or more.
        batch_size: B, above 0.
        updates: a whole number, or `math.inf` for the loss in the end: infinite if there is none.
        s0: E w² before the first update, [d] or a number.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import jaxgd
        >>> jaxgd.studies.regression_loss([1.0], 0.0, 0.5, batch_size=1, updates=1)
        0.375
    """
    values = coordinates("eigenvalues", eigenvalues, above_0=True)
    s0 = coordinates("s0", s0, like=values)
    for name, value, least in (("noise", noise, 0), ("learning_rate", learning_rate, 0)):
        if not least <= value < math.inf:
            raise ValueError(f"{name} must be finite and {least} or more, got {value!r}")
    if not 0 < batch_size < math.inf:
        raise ValueError(f"batch_size must be finite and above 0, got {batch_size!r}")
    if not math.isinf(updates):
        updates = whole_number("updates", updates, 0)
    share = learning_rate * values
    kept = np.diag((1 - share) ** 2 + share**2 / batch_size)
    by_loss = learning_rate**2 * values / batch_size
    moments = _moments(kept + np.outer(by_loss, values), by_loss * noise**2, s0, updates)
    return float(values @ moments + noise**2) / 2


def _moments(matrix: np.ndarray, added: np.ndarray, first: np.ndarray, updates: float) -> np.ndarray:
    """`s <- matrix s + added`, so many times: [d]. No number is negative, so that no sum cancels."""
    size = len(added)
    if not math.isinf(updates):
        whole = np.block([[matrix, added[:, None]], [np.zeros((1, size)), np.ones((1, 1))]])
        with np.errstate(over="ignore", invalid="ignore"):
            after = np.linalg.matrix_power(whole, int(updates)) @ np.append(first, 1.0)
        return np.where(np.isnan(after[:-1]), np.inf, after[:-1])
    if not added.any() and np.array_equal(matrix, np.eye(size)):
        return first  # a rate of 0
    if np.abs(np.linalg.eigvals(matrix)).max() >= 1:
        return np.full(size, np.inf)
    return np.linalg.solve(np.eye(size) - matrix, added)
