"""Numbers of unlike dtypes that are meant to meet, where JAX may be told to refuse that."""

from typing import Any

import jax
import jax.numpy as jnp


def common_dtype(*dtypes: Any) -> Any:
    """The dtype that JAX promotes these to, also under `jax_numpy_dtype_promotion="strict"`."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.result_type(*dtypes)


def in_common_dtype(*arrays: Any) -> list[jax.Array]:
    """The arrays as JAX's, in the dtype that JAX promotes theirs to."""
    given = [jnp.asarray(array) for array in arrays]
    dtype = common_dtype(*(array.dtype for array in given))
    return [array.astype(dtype) for array in given]
