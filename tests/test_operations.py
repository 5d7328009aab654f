"""The operations of a function that is traced."""

import jax
import jax.numpy as jnp

from jaxgd.operations import is_jaxpr, operations_of


def test_those_within_are_counted_once():
    def step(total, x):
        return total + jnp.sin(x), None

    traced = jax.make_jaxpr(lambda xs: jax.lax.scan(step, jnp.zeros(()), xs)[0] * 2)(jnp.ones(5))
    assert [operation.primitive.name for operation in operations_of(traced)] == ["scan", "sin", "add", "mul"]
    assert is_jaxpr(traced)
    assert not is_jaxpr(step)
