"""What values are called in signatures and states, with the shapes that they have in one run.

A function under `jax.vmap` sees one run too; what comes out of it has the axes of the lanes before these.
"""

from collections.abc import Callable
from typing import Any, SupportsIndex, TypeAlias

import jaxtyping
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Int32, Num, PyTree, Real, Shaped, UInt32

# What is trained: a tree of arrays of floating-point numbers, or of Python's own numbers.
Params: TypeAlias = PyTree[Num[ArrayLike, "..."]]
# A tree like the parameters: what is added to them, or the gradient that it is made of.
Updates: TypeAlias = PyTree[Num[ArrayLike, "..."]]
# What an optimizer keeps from one update to the next: the tree of arrays that its `init` gives.
OptState: TypeAlias = PyTree[Shaped[ArrayLike, "..."]]
# What training changes and no gradient does, such as running averages: a tree of arrays, or None without.
ModelState: TypeAlias = PyTree[Shaped[ArrayLike, "..."]]
# Examples: a tree of arrays, all with the same number of examples on axis 0.
Batch: TypeAlias = PyTree[Shaped[ArrayLike, "examples ..."]]
# A split of the data: a tree of arrays with its examples on axis 0.
Split: TypeAlias = PyTree[Shaped[ArrayLike, "_examples ..."]]
# A hyperparameter: a real number of Python's, or an array of one; it has axes only where lanes are stacked.
Number: TypeAlias = int | float | np.number | Real[np.ndarray, "..."] | Real[Array, "..."]
# A hyperparameter that may change during a run: a number, or a function of the updates made so far.
NumberOrSchedule: TypeAlias = Number | Callable[[Any], Any]
# A number of things that a person gives: a whole number of Python's, NumPy's or JAX's.
WholeNumber: TypeAlias = SupportsIndex
# One PRNG key, as `jax.random.key` makes it or as the older `jax.random.PRNGKey` does.
Key: TypeAlias = jaxtyping.Key[Array, ""] | UInt32[Array, "2"]
# What a run has measured, by name: a number of each epoch.
History: TypeAlias = dict[str, Real[Array, " epochs"]]
# One floating-point number, such as a loss.
FloatScalar: TypeAlias = Float[Array, ""]
# One whole number, such as a count of updates.
IntScalar: TypeAlias = Int32[Array, ""]
