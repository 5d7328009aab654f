"""What makes two optimizers, or two schedules, equal: their structure and the numbers in it."""

import sys
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.pytrees import Static

# So many optimizers of one structure as static arguments are a sweep, not a choice between a few.
_MANY = 8
_static_arguments: dict[int, set[int]] = {}


def identity(tree: Any) -> tuple:
    """A hashable value that two pytrees share if their structure and all their concrete numbers are equal.

    A number is equal whatever its dtype, and NaN is equal to NaN. Arrays with axes, tracers and what is no
    number are told apart as `Static` does: an array and a tracer are equal to themselves alone.
    """
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(map(_comparable, leaves))


def _comparable(leaf: Any) -> Any:
    is_array = isinstance(leaf, np.ndarray | np.generic | jax.Array) and not isinstance(leaf, Tracer)
    if is_array and leaf.ndim == 0 and not jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
        leaf = leaf.item()
    if not isinstance(leaf, int | float):
        return Static(leaf)
    return leaf if leaf == leaf else "nan"


def notice_static_argument(name: str, key: tuple) -> None:
    """Warn, once for each structure, when many optimizers that differ in numbers alone are static arguments.

    It is called where an optimizer is hashed. Only JAX's own code hashes one before it traces a function for
    it as a static argument; a set or a dict of a person's is filled from that person's code.

    Args:
        name: that of the kind of optimizer that is hashed.
        key: its `identity`.
    """
    caller = sys._getframe(2)
    if not caller.f_globals.get("__name__", "").startswith("jax."):
        return
    structure, numbers = key
    if any(isinstance(number, Static) and number.tracers for number in numbers):
        return  # within another function: that one has it as an argument
    seen = _static_arguments.setdefault(hash((name, structure)), set())
    if len(seen) == _MANY:
        return
    seen.add(hash(key))
    if len(seen) == _MANY:
        warnings.warn(
            f"{_MANY} optimizers {name}(...) that differ in numbers alone were static arguments, "
            "and each was compiled for: take the optimizer out of static_argnums and static_argnames, as in "
            "step = jax.jit(step), so that it is an argument like any other and all share one program",
            stacklevel=_depth_of_user(caller),
        )


def _depth_of_user(frame: Any) -> int:
    """The stacklevel, seen from the function that called this one, of the first frame outside of JAX."""
    level = 3
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(("jax.", "jaxlib.")):
        frame, level = frame.f_back, level + 1
    return level
