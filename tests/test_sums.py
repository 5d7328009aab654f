"""Sums of a million terms, against float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import jaxgd
from jaxgd.numerics import Sums, no_sums_of

KEY = jax.random.key(0)
MILLION = 10**6


@jax.jit
def sums_of(terms, sums):
    """Two sums: of the terms, and of as many ones."""
    one = jnp.ones((), terms.dtype)
    return jax.lax.fori_loop(0, len(terms), lambda i, sums: sums.plus([terms[i], one]), sums)


KINDS = {
    "equal": lambda rng: np.full(MILLION, rng.uniform(0.01, 1)),
    "alike": lambda rng: rng.uniform(0, rng.uniform(0.01, 10), MILLION),
    "far apart": lambda rng: rng.lognormal(0, 4, MILLION),
    "falling": lambda rng: np.sort(rng.exponential(size=MILLION))[::-1],
    "rising": lambda rng: np.sort(rng.exponential(size=MILLION)),
    "of both signs": lambda rng: rng.normal(0.1, 1, MILLION),
}


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(list(KINDS)), st.integers(0, 2**32 - 1), st.sampled_from(["float32", "bfloat16"]))
def test_a_million_terms(kind, seed, dtype):
    terms = KINDS[kind](np.random.default_rng(seed)).astype(jnp.dtype(dtype))
    total, number = sums_of(terms, no_sums_of(2)).totals
    exact = terms.astype(np.float64)
    assert abs(float(total) - math.fsum(exact)) <= 1e-6 * math.fsum(np.abs(exact))
    assert number == MILLION


def test_a_million_terms_in_float64(x64):
    terms = KINDS["far apart"](np.random.default_rng(0))
    total = sums_of(terms, no_sums_of(2)).totals[0]
    np.testing.assert_allclose(total, math.fsum(terms), rtol=1e-15)


def test_ones_go_on_being_counted():
    start = no_sums_of(2)._replace(totals=jnp.full(2, 2.0**24 - 5))
    assert sums_of(np.ones(1001, np.float32), start).totals.tolist() == [2.0**24 + 996] * 2


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_so(bad):
    total = sums_of(np.array([1, bad, 2, 3], np.float32), no_sums_of(2)).totals[0]
    np.testing.assert_array_equal(total, bad)


def test_the_derivative_is_that_of_a_sum():
    def total(scale):
        terms = scale * jnp.arange(5.0)
        return sums_of(terms, Sums(jnp.zeros(2), jnp.zeros(2))).totals[0]

    np.testing.assert_allclose(jax.jvp(total, (0.3,), (1.0,)), [3.0, 10.0], rtol=1e-6)


def constant(params, batch):
    """A loss of 0.1 with a gradient of 0.1 for every example, and its weight."""
    return batch + 0.1 * (params - jax.lax.stop_gradient(params)), 1 + 0 * batch


def errors_of(num, batch_size, microbatch=None):
    """Relative errors of the loss in training and validation, and of the gradient's norm."""
    data = np.full(num, 0.1, np.float32)
    problem = jaxgd.Problem(lambda key: jnp.zeros(()), constant, data, valid=data)
    history = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.1), batch_size, microbatch), KEY, 1).history
    return [abs(float(history[name][0]) / 0.1 - 1) for name in ("train_loss", "valid_loss", "grad_norm")]


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 64, "full"])
def test_an_epoch_of_a_million_examples(batch_size):
    assert max(errors_of(MILLION, batch_size)) <= 1e-6


@pytest.mark.slow
def test_a_batch_of_many_micro_batches():
    train_loss, valid_loss, _ = errors_of(100_000, np.asarray(100_000), microbatch=1)
    assert max(train_loss, valid_loss) <= 1e-6
