"""Batches that do not fit into memory are summed over micro-batches."""

import jax
import jax.numpy as jnp
import pytest

import jaxgd


def temporary_bytes(microbatch):
    rows, labels = jnp.ones((5000, 784)), jnp.zeros(5000, int)
    problem = jaxgd.classification(jaxgd.mlp([784, 256, 10]), (rows, labels))
    tr = jaxgd.trainer(problem, jaxgd.sgd(0.1), "full", microbatch=microbatch)
    run = jax.jit(lambda tr, key: jaxgd.fit(tr, key, 2).state.params)
    return run.lower(tr, jax.random.key(0)).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.slow
def test_batch_gradient_descent_in_less_memory():
    whole, accumulated = temporary_bytes(None), temporary_bytes(100)
    # The activations of 5000 examples, forward and back, against those of 100 and three copies of parameters.
    assert whole > 2 * 5000 * 256 * 4
    assert accumulated < whole / 2
