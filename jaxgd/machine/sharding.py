"""Arrays split over a mesh whose axes are Explicit, as those of `jax.make_mesh` are if nothing else is said.

Their shardings are part of their types: a contraction or a reshape over a split axis is an error, and a
`select` wants one sharding for all. Sums and elementwise arithmetic do without a word about shardings.
"""

from collections.abc import Callable
from typing import Any

import jax


def is_split(array: Any) -> bool:
    """Whether the type of an array says that one of its axes is split."""
    return any(part is not None for part in jax.typeof(array).sharding.spec)


def split_alike(function: Callable, *like: Any) -> Any:
    """`function(*like)`, whose results are trees like its first arguments, split as these are.

    A function that is not written for Explicit axes, and that JAX therefore refuses, is called again with
    shardings within that JAX chooses, as it does for Auto axes.
    """
    try:
        return function(*like)
    except Exception as error:
        if type(error).__name__ != "ShardingTypeError":  # JAX does not export it
            raise
        specs = jax.tree.map(lambda array: jax.typeof(array).sharding.spec, like[:2])
        return jax.sharding.auto_axes(function, out_sharding=specs)(*like)
