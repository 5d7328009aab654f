"""The norm of gradients and parameters, which every update reads once."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxgd.machine.sharding import is_split
from jaxgd.numerics.dtypes import common_dtype

# Arrays of so many numbers, and rows of so few.
_LARGE = 2**12
_SHORT = 64


def squared_norm(tree: Any, of_one: bool = False) -> jax.Array:
    """The sum of squares over all leaves, at least in float32.

    `of_one` says that they are one example's gradient, in a dense layer the outer product of two vectors.
    """
    start = jnp.zeros(())
    return sum((_of_leaf(leaf, of_one).astype(start.dtype) for leaf in jax.tree.leaves(tree)), start=start)


def _of_leaf(leaf: jax.Array, of_one: bool) -> jax.Array:
    leaf = leaf.astype(common_dtype(leaf.dtype, jnp.float32))
    squares = jnp.square(jnp.abs(leaf)) if jnp.iscomplexobj(leaf) else leaf * leaf
    if is_split(leaf):
        return jnp.sum(squares)
    if leaf.size < _LARGE or (of_one and leaf.ndim > 1):
        return _down_columns(squares)
    return jax.lax.platform_dependent(squares, cpu=_along_rows, default=jnp.sum)


def _down_columns(squares: jax.Array) -> jax.Array:
    """Ones times the squares: XLA on a CPU vectorises it, and never makes the squares of an outer product."""
    if squares.ndim < 2 or not squares.size:
        return jnp.sum(squares)
    flat = squares.reshape(-1, squares.shape[-1])
    return jnp.sum(jnp.matmul(jnp.ones(len(flat), flat.dtype), flat, precision=jax.lax.Precision.HIGHEST))


def _along_rows(squares: jax.Array) -> jax.Array:
    """The squares times ones: XLA on a CPU fuses that in a run's loop; outside of one it makes the squares.

    Its sum goes through a pool of threads and waits there for other runs' matrix products; at 32 examples per
    batch that was up to a sixth of a step of 200,000 parameters.
    """
    length = squares.shape[-1]
    if length < _SHORT:
        length = next((n for n in range(_SHORT, 1024) if squares.size % n == 0), length)
    flat = squares.reshape(-1, length)
    return jnp.sum(jnp.matmul(flat, jnp.ones(length, flat.dtype), precision=jax.lax.Precision.HIGHEST))
