"""A problem's mean loss over a split and products with its Hessian, in chunks of examples."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxgd.arguments import whole_number
from jaxgd.numerics import common_dtype
from jaxgd.pytrees import PyTree, Static
from jaxgd.training.batching import take
from jaxgd.training.gradients import example_losses, or_one, weighted_sums
from jaxgd.training.problems.problem import Problem, num_examples

# Examples whose losses, or whose part of a product, are computed at once.
CHUNK = 4096


class Objective(PyTree):
    """The function that is looked at: a problem's mean loss over `data` as a function of its parameters.

    It is taken in evaluation mode: without dropout, augmentation and penalties, which belong to training.
    Weights are constants. chunk: examples at once, which bounds its memory; a coupled problem's data are one
    batch whatever it says.
    """

    problem: Problem
    data: Any
    model_state: Any
    chunk: Static

    def loss(self, params: Any) -> jax.Array:
        """`sum(w * l) / sum(w)` over all examples."""
        loss, weight = self._over_chunks(lambda batch, mask: self._sums(params, batch, mask))
        return loss / or_one(weight)

    def hessian_product(self, params: Any, vector: Any) -> Any:
        """The Hessian at `params` times `vector`, both trees of the same shapes."""

        def part(batch, mask):
            gradient = jax.grad(lambda params: self._sums(params, batch, mask), has_aux=True)
            (_, weight), (product, _) = jax.jvp(gradient, (params,), (vector,))
            return product, weight

        # Elsewhere than on a CPU products of matrices would be rounded to ten bits.
        with jax.default_matmul_precision("highest"):
            product, weight = self._over_chunks(part)
        return jax.tree.map(lambda x: x / or_one(weight).astype(x.dtype), product)

    def _sums(self, params: Any, batch: Any, mask: Any) -> tuple[jax.Array, jax.Array]:
        losses, weights, _ = example_losses(self.problem, params, batch, self.model_state)
        return weighted_sums(losses, weights, mask)

    def _over_chunks(self, part: Callable) -> Any:
        """The sum of `part(batch, mask)` over the chunks; the last is filled up with masked examples."""
        size = num_examples(self.data)
        chunk = self.chunk.value
        if self.problem.coupled.value or chunk >= size:
            return part(self.data, None)

        def one(start):
            positions = start + jnp.arange(chunk)
            return part(take(self.data, jnp.minimum(positions, size - 1)), positions < size)

        empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(one, 0))
        add = lambda k, total: jax.tree.map(jnp.add, total, one(k * chunk))  # noqa: E731
        return jax.lax.fori_loop(0, -(-size // chunk), add, empty)


def objective_of(problem: Problem, split: str, chunk: int) -> Objective:
    """The objective of a problem over a split, with the problem's own model state.

    Raises:
        ValueError, TypeError: an unknown split, or a chunk that is no whole number from 1 on.
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a jaxgd.Problem, got {type(problem).__name__}")
    count = whole_number("chunk", chunk, unit=" of examples")
    return Objective(problem, problem.split(split), problem.model_state, Static(count))


def flat_product(objective: Objective, params: Any) -> tuple[Callable, jax.Array, Callable]:
    """`(product, flat, unravel)`: the Hessian's product with flat vectors, and the parameters as one."""
    # In half precision neither a product nor a basis means anything.
    params = jax.tree.map(lambda x: x.astype(common_dtype(x.dtype, jnp.float32)), params)
    flat, unravel = ravel_pytree(params)

    def product(vector):
        return ravel_pytree(objective.hessian_product(params, unravel(vector)))[0]

    return product, flat, unravel
