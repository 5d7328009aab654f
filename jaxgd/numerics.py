"""Numbers of unlike dtypes that meet, norms, and sums as exact after a million terms as after one."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxgd.machine.meshes import is_split


def common_dtype(one: Any, other: Any) -> Any:
    """The dtype that JAX promotes both to, also under `jax_numpy_dtype_promotion="strict"`."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.promote_types(one, other)


def in_common_dtype(one: Any, other: Any) -> tuple[jax.Array, jax.Array]:
    """Both arrays as JAX's, in the dtype that it promotes theirs to."""
    one, other = jnp.asarray(one), jnp.asarray(other)
    dtype = common_dtype(one.dtype, other.dtype)
    return one.astype(dtype), other.astype(dtype)


# Arrays of so many numbers, and rows of so few.
_LARGE = 2**12
_SHORT = 64


def squared_norm(tree: Any, of_one: bool = False) -> jax.Array:
    """The sum of squares over all leaves, at least in float32.

    `of_one` says that they are one example's gradient, in a dense layer the outer product of two vectors.
    """
    start = jnp.zeros(())
    return sum((_of_leaf(leaf, of_one).astype(start.dtype) for leaf in jax.tree.leaves(tree)), start=start)


def has_finite_squares(tree: Any) -> jax.Array:
    """Whether the sum of squares over all leaves is finite.

    A product of each leaf with itself: `squared_norm`, whose bits are those of a history, is half as many
    kernels again on a CPU.
    """
    return jnp.isfinite(sum((_product_with_itself(leaf) for leaf in jax.tree.leaves(tree)), jnp.zeros(())))


def _product_with_itself(leaf: jax.Array) -> jax.Array:
    leaf = leaf.astype(common_dtype(leaf.dtype, jnp.float32))
    squares = jnp.sum(jnp.square(jnp.abs(leaf))) if is_split(leaf) else jnp.vdot(leaf, leaf).real
    return squares.astype(jnp.zeros(()).dtype)


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
    return _sum_of_rows(squares.reshape(-1, squares.shape[-1]))


@jax.custom_jvp
def _sum_of_rows(flat: jax.Array) -> jax.Array:
    """The sum of a matrix; of several at once, each by ones of its own.

    Ones that all had in common would be one product with all their columns, which XLA on a CPU makes a copy
    for: up to a quarter of a step of several lanes at batch size 1.
    """
    return _sum_of_matrix(flat)


@_sum_of_rows.defjvp
def _(primals, tangents):
    return _sum_of_rows(*primals), jnp.sum(*tangents)


@jax.custom_batching.custom_vmap
def _sum_of_matrix(flat: jax.Array) -> jax.Array:
    return jnp.sum(jnp.matmul(jnp.ones(len(flat), flat.dtype), flat, precision=jax.lax.Precision.HIGHEST))


@_sum_of_matrix.def_vmap
def _(size, is_batched, flats):
    ones = jnp.ones((size, 1, flats.shape[1]), flats.dtype)
    return jnp.sum(jnp.matmul(ones, flats, precision=jax.lax.Precision.HIGHEST), axis=(1, 2)), True


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


class Sums(NamedTuple):
    """Running sums and what rounding has taken from them. The sums are `totals`.

    Terms of one sign are summed to within twice the rounding of one addition, however many there are: one
    number alone is off by a hundredth after 10**6 terms in float32, and at 2**24 ones it stops growing.

    Source: Kahan 1965.
    """

    totals: Float[jax.Array, " sums"]
    errors: Float[jax.Array, " sums"]

    def plus(self, terms: Any) -> "Sums":
        """The sums with one more term in each: numbers [], as many as there are sums."""
        # One array of the terms: on a CPU what each is reduced from is then one kernel with it.
        return Sums(*_added(self.totals, self.errors, jnp.stack([_cast(x, self.totals) for x in terms])))

    def counting(self, terms: Any) -> "Sums":
        """As `plus`, of terms that are cheaply computed, such as counts: on a CPU no kernel of their own."""
        rows = zip(self.totals, self.errors, [_cast(x, self.totals) for x in terms], strict=True)
        return Sums(*map(jnp.stack, zip(*(_added(*row) for row in rows), strict=True)))

    def counted(self, index: int) -> jax.Array:
        """The sum at a place, of whole numbers, as an int32."""
        return self.totals[index].astype(jnp.int32) + self.errors[index].astype(jnp.int32)


def _cast(term: Any, totals: jax.Array) -> jax.Array:
    return jnp.asarray(term).astype(totals.dtype)


def _added(totals: jax.Array, errors: jax.Array, terms: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Totals and errors with one more term."""
    terms = terms + errors
    new = totals + terms
    # Once a sum is not finite it has no error; inf - inf would hide which of the two it was.
    return new, jnp.where(jnp.isfinite(new), terms - (new - totals), 0)


def no_sums_of(count: int, dtype: Any = float) -> Sums:
    """So many sums of nothing."""
    zeros = jnp.zeros(count, dtype)
    return Sums(zeros, zeros)
