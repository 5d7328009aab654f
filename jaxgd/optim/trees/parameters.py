"""What may be a parameter: arrays of floating-point numbers, and Python's own numbers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def check_trainable(params: Any) -> None:
    """Raise TypeError, naming the leaf, unless every array in `params` is of floating-point numbers.

    Complex ones are too. A Python int is taken for a float, as JAX takes it in arithmetic.
    """
    if all(_is_trainable(leaf) for leaf in jax.tree.leaves(params)):
        return
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not _is_trainable(leaf):
            raise TypeError(
                f"params{jax.tree_util.keystr(path)} is {getattr(leaf, 'dtype', type(leaf).__name__)}: "
                "only floating-point parameters can be trained; keep others in the loss or in model_state"
            )


def _is_trainable(leaf: Any) -> bool:
    if isinstance(leaf, bool):
        return False
    return not hasattr(leaf, "dtype") or jnp.issubdtype(leaf.dtype, jnp.inexact)


def as_arrays(tree: Any) -> Any:
    """The tree with Python's numbers as arrays of the default float dtype."""
    return jax.tree.map(as_array, tree)


def as_array(leaf: Any) -> Any:
    """A Python number as an array of the default float dtype, or anything else as it is."""
    is_python = isinstance(leaf, int | float) and not isinstance(leaf, np.generic)
    return jnp.asarray(leaf, jnp.result_type(float)) if is_python else leaf
