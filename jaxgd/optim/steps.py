"""A compiled update of parameters and optimizer state in place, for one's own training loop."""

from collections.abc import Callable
from functools import partial

import jax
import optax

from jaxgd.optim.transform import Transform


def make_update(optimizer: Transform, loss: Callable[..., jax.Array]) -> Callable[..., tuple]:
    """`update(params, state, *batch) -> (params, state, loss)`, compiled, and in place.

    `params` and `state` are donated: their memory holds the result, and the arrays given are gone. Arguments
    and results are in the same order because JAX pairs donated memory in that order; a step that returns them
    in another order is copied several times.

    Args:
        optimizer: an argument of the compiled function, so that a new learning rate compiles nothing new
            where `loss` is the same function.
        loss: `loss(params, *batch) -> scalar`.

    Example:
        >>> import jax.numpy as jnp, jaxgd
        >>> optimizer = jaxgd.sgd(0.1)
        >>> update = make_update(optimizer, lambda p, x: 0.5 * jnp.sum((p - x) ** 2))
        >>> params = jnp.zeros(2)
        >>> params, state, loss = update(params, optimizer.init(params), jnp.ones(2))
        >>> params
        Array([0.1, 0.1], dtype=float32)
    """
    return partial(_compiled(loss), optimizer)


def _compiled(loss):
    @partial(jax.jit, donate_argnums=(1, 2))
    def update(optimizer, params, state, *batch):
        value, gradient = jax.value_and_grad(loss)(params, *batch)
        updates, state = optimizer.update(gradient, state, params, value=value, grad=gradient)
        return optax.apply_updates(params, updates), state, value

    return update
