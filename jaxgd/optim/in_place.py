"""A compiled update of parameters and optimizer state in place, for one's own training loop."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxgd.aliases import FloatScalar
from jaxgd.optim.transform import Transform


def make_update(optimizer: Transform, loss: Callable[..., FloatScalar]) -> Callable[..., tuple]:
    """`update(params, state, *batch) -> (params, state, loss)`, compiled, and in place.

    `params` and `state` are donated: their memory holds the result, and the arrays given are gone. An array
    that is in them twice, or in the batch too, is copied. Arguments and results are in the same order because
    JAX pairs donated memory in that order; a step that returns them in another order is copied several times.
    The gradient of complex parameters is conjugated, so that they descend.

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


def value_and_gradient(function: Callable, has_aux: bool = False) -> Callable:
    """`jax.value_and_grad` by the first argument, such that a step against the gradient descends.

    The two differ for complex parameters: JAX gives the derivative by the real part minus i times that by the
    imaginary part, whose conjugate points uphill.
    """
    differentiated = jax.value_and_grad(function, has_aux=has_aux)

    def both(*arguments):
        value, gradient = differentiated(*arguments)
        return value, jax.tree.map(lambda g: g.conj() if jnp.iscomplexobj(g) else g, gradient)

    return both


def _compiled(loss):
    @partial(jax.jit, donate_argnums=(1, 2))
    def compiled(optimizer, params, state, *batch):
        value, gradient = value_and_gradient(loss)(params, *batch)
        updates, state = optimizer.update(gradient, state, params, value=value, grad=gradient)
        return optax.apply_updates(params, updates), state, value

    def update(optimizer, params, state, *batch):
        params, state = _each_once((params, state), batch)
        return compiled(optimizer, params, state, *batch)

    return update


def _each_once(donated: Any, kept: Any) -> Any:
    """`donated` with an array that occurs again, or in `kept`, copied: memory is given away only once."""
    leaves = jax.tree.leaves((donated, kept))
    if len(set(map(id, leaves))) == len(leaves):
        return donated
    seen = set(map(id, jax.tree.leaves(kept)))

    def once(leaf):
        is_again = id(leaf) in seen and isinstance(leaf, jax.Array)
        seen.add(id(leaf))
        return leaf.copy() if is_again else leaf

    return jax.tree.map(once, donated)
