"""Lanczos' tridiagonalisation of a symmetric matrix that is known by its products with vectors.

Written out here because a library's loop cannot be guarded from outside: matfree 0.6.3 divides by the norm of
the residual, which is 0 once the Krylov space is exhausted (a zero matrix, an eigenvector to start from, a
matrix of low rank), and everything after that is NaN.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

# A residual of so many rounding errors of the largest product is nothing but rounding errors.
_NOISE = 10.0


class Tridiagonal(NamedTuple):
    """`Q H Qᵀ = T` with orthonormal rows of Q: basis [steps, dim], diagonal [steps], off_diagonal [steps].

    The last entry of `off_diagonal` is the norm of the residual: what T leaves out.
    """

    basis: jax.Array
    diagonal: jax.Array
    off_diagonal: jax.Array


class Ritz(NamedTuple):
    """The eigenvalues of T, ascending, and what they say about H.

    values, weights (squared first components: those of Gauss quadrature for the starting vector), residuals
    (an eigenvalue of H lies within that distance of the value; rounding errors at least): [steps]. vectors:
    [steps, dim], by rows.
    """

    values: jax.Array
    weights: jax.Array
    residuals: jax.Array
    vectors: jax.Array


def tridiagonalize(product: Callable, start: jax.Array, steps: int) -> Tridiagonal:
    """The tridiagonal form after `steps` Lanczos steps with full reorthogonalisation.

    Where the Krylov space is exhausted early, the recursion goes on in its orthogonal complement: T then
    falls into blocks, and the quadrature weights of the new block are 0.

    Args:
        product: `v [dim] -> H v [dim]`.
        start: [dim], any length; zeros stand for a coordinate axis.
        steps: from 1 to dim.
    """
    numbers = jnp.zeros(steps, start.dtype)
    form = Tridiagonal(jnp.zeros((steps, start.size), start.dtype), numbers, numbers)

    def step(k, carry):
        (basis, diagonal, off_diagonal), residual, norm, scale = carry
        vector = _next_vector(basis, residual, norm)
        image = product(vector)
        diagonal = diagonal.at[k].set(_dot(vector, image))
        basis = basis.at[k].set(vector)
        residual = _complement(basis, image)
        norm, scale = jnp.linalg.norm(residual), jnp.maximum(scale, jnp.linalg.norm(image))
        norm = jnp.where(norm <= _NOISE * jnp.finfo(norm.dtype).eps * scale, 0, norm)
        return Tridiagonal(basis, diagonal, off_diagonal.at[k].set(norm)), residual, norm, scale

    initial = (form, start, jnp.linalg.norm(start), jnp.zeros((), start.dtype))
    return jax.lax.fori_loop(0, steps, step, initial)[0]


def ritz(form: Tridiagonal) -> Ritz:
    """The Ritz values of a tridiagonal form, with weights, error bounds and vectors."""
    beside = form.off_diagonal[:-1]
    matrix = jnp.diag(form.diagonal) + jnp.diag(beside, 1) + jnp.diag(beside, -1)
    values, vectors = jnp.linalg.eigh(matrix)
    rounding = jnp.finfo(values.dtype).eps * jnp.max(jnp.abs(values))
    residuals = jnp.maximum(jnp.abs(form.off_diagonal[-1] * vectors[-1]), rounding)
    return Ritz(values, vectors[0] ** 2, residuals, _dot(vectors.T, form.basis))


def _next_vector(basis: jax.Array, residual: jax.Array, norm: jax.Array) -> jax.Array:
    """The residual at length 1; where it is 0, a vector of length 1 orthogonal to the basis.

    That one is the coordinate axis of which the basis holds least, without what the basis holds of it.
    """
    axis = jnp.argmin(jnp.sum(basis**2, axis=0))
    fresh = jnp.zeros_like(residual).at[axis].set(1)
    vector = _complement(basis, jnp.where(norm == 0, fresh, residual / _or_one(norm)))
    return vector / _or_one(jnp.linalg.norm(vector))


def _complement(basis: jax.Array, vector: jax.Array) -> jax.Array:
    """The vector without its part in the basis, whose rows are orthonormal, or zeros, which hold nothing.

    Twice: the first time removes the bulk, the second what rounding has left of it.
    """
    return jax.lax.fori_loop(0, 2, lambda _, v: v - _dot(_dot(basis, v), basis), vector)


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    # Elsewhere than on a CPU the default precision would round to ten bits and lose orthogonality.
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _or_one(norm: jax.Array) -> jax.Array:
    return jnp.where(norm == 0, 1, norm)
