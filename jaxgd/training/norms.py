"""The norm of a gradient, which every update reads once."""

from typing import Any

import jax
import jax.numpy as jnp

# Arrays of so many numbers, and rows of so few.
_LARGE = 2**12
_SHORT = 64


def squared_norm(tree: Any, of_one: bool = False) -> jax.Array:
    """The sum of squares over all leaves, at least in float32.

    `of_one` says that they are one example's gradient, in a dense layer the outer product of two vectors.
    """
    leaves = [leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)) for leaf in jax.tree.leaves(tree)]
    is_large = [leaf.size >= _LARGE and not (of_one and leaf.ndim > 1) for leaf in leaves]
    small = [leaf for leaf, is_so in zip(leaves, is_large, strict=True) if not is_so]
    large = [leaf for leaf, is_so in zip(leaves, is_large, strict=True) if is_so]
    total = sum(map(_down_columns, small), start=jnp.zeros(()))
    return total + jax.lax.platform_dependent(large, cpu=_along_rows, default=_sums) if large else total


def _squares(leaf: jax.Array) -> jax.Array:
    return jnp.square(jnp.abs(leaf)) if jnp.iscomplexobj(leaf) else leaf * leaf


def _sums(leaves: list[jax.Array]) -> Any:
    return sum(jnp.sum(_squares(leaf)) for leaf in leaves)


def _down_columns(leaf: jax.Array) -> jax.Array:
    """Ones times the squares: XLA on a CPU vectorises it, and never makes the squares of an outer product."""
    if leaf.ndim < 2 or not leaf.size:
        return jnp.sum(_squares(leaf))
    flat = _squares(leaf).reshape(-1, leaf.shape[-1])
    return jnp.sum(jnp.matmul(jnp.ones(len(flat), flat.dtype), flat, precision=jax.lax.Precision.HIGHEST))


def _along_rows(leaves: list[jax.Array]) -> Any:
    """The squares times ones.

    A sum goes through XLA's pool of threads on a CPU and waits there for other runs' matrix products; at 32
    examples per batch that was a sixth of a step of 200,000 parameters. This fuses with the squares instead.
    """
    return sum(map(_along_the_rows_of, leaves))


def _along_the_rows_of(leaf: jax.Array) -> jax.Array:
    length = leaf.shape[-1]
    if length < _SHORT:
        length = next((n for n in range(_SHORT, 1024) if leaf.size % n == 0), length)
    flat = _squares(leaf).reshape(-1, length)
    return jnp.sum(jnp.matmul(flat, jnp.ones(length, flat.dtype), precision=jax.lax.Precision.HIGHEST))
