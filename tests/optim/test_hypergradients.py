"""Hypergradients of examples/hypergradients.py against finite differences, in float64 on digits."""

import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd

SCRIPT = Path(__file__).parents[2] / "examples" / "hypergradients.py"
NAMES = ("rate", "damping", "weight_decay", "rate_decay")


@pytest.fixture(scope="module")
def tuning():
    """The logarithms of the numbers, the final loss as a compiled function of them, and its slopes."""
    example = runpy.run_path(str(SCRIPT))
    train, valid, _ = jaxgd.datasets.load("digits")
    with jax.enable_x64(True):
        splits = [(np.asarray(inputs, np.float64), labels) for inputs, labels in (train, valid)]
        final_loss = example["final_loss_on"](*splits)
        logs = {name: jnp.log(number) for name, number in example["START"].items()}
        yield logs, jax.jit(final_loss), jax.jit(jax.grad(final_loss))(logs)


def test_every_number_is_tuned(tuning):
    assert set(tuning[0]) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_hypergradient_is_the_finite_difference(tuning, name):
    logs, final_loss, slopes = tuning
    with jax.enable_x64(True):
        h = 1e-4
        up, down = (final_loss(logs | {name: logs[name] + by}) for by in (h, -h))
        assert up.dtype == np.float64
        assert abs(slopes[name]) > 1e-6
        np.testing.assert_allclose(slopes[name], (up - down) / (2 * h), rtol=1e-6)
