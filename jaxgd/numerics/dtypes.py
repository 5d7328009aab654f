"""Numbers of unlike dtypes that are meant to meet, where JAX may be told to refuse that."""

from typing import Any

import jax
import jax.numpy as jnp


def common_dtype(one: Any, other: Any) -> Any:
    """The dtype that JAX promotes both to, also under `jax_numpy_dtype_promotion="strict"`."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.promote_types(one, other)


def in_common_dtype(one: Any, other: Any) -> tuple[jax.Array, jax.Array]:
    """Both arrays as JAX's, in the dtype that it promotes theirs to."""
    one, other = jnp.asarray(one), jnp.asarray(other)
    dtype = common_dtype(one.dtype, other.dtype)
    return one.astype(dtype), other.astype(dtype)
