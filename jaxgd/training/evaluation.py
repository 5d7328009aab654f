"""Trained parameters on a split: the mean loss and metrics, and the scores of each example."""

import functools

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxgd.aliases import FloatScalar, ModelState, Params
from jaxgd.machine.compiling import own_programs
from jaxgd.pytrees import check_unchanged
from jaxgd.training.batching import take
from jaxgd.training.gradients import CHUNK, example_losses, example_metrics, or_one, split_means
from jaxgd.training.problems.problem import Problem, given_state, num_examples


@functools.partial(jax.jit, static_argnums=2)
def _evaluate(problem, params, split, model_state):
    return split_means(problem, params, problem.split(split), model_state)


def evaluate(
    problem: Problem, params: Params, split: str = "valid", model_state: ModelState = None
) -> dict[str, FloatScalar]:
    """The mean loss and the mean of every metric over a split, in evaluation mode (no dropout).

    Args:
        problem: the problem.
        params: parameters as its `init` gives them.
        split: "train", "valid" or "test".
        model_state: what belongs to the parameters where the problem has a model state: of a run
            `fit.state.model_state`, of a sweep `result.model_state(...)`, before training
            `problem.model_state`.

    Raises:
        ValueError: an unknown split, or one that the problem does not have; no model state, of a problem that
            has one.
    """
    problem.split(split)
    check_unchanged(problem)
    state = given_state(problem, model_state)
    with own_programs(has_marks=False):
        return _evaluate(problem, params, split, state)


def example_scores(
    problem: Problem, params: Params, split: str = "valid", model_state: ModelState = None
) -> dict[str, Float[Array, " examples"]]:
    """The loss and every metric of each example of a split, [examples], in evaluation mode.

    Their means over the examples are what `evaluate` gives: where a loss has weights, an example's is
    `w * l / mean(w)`.

    Args:
        problem: the problem.
        params: as in `evaluate`.
        split: as in `evaluate`.
        model_state: as in `evaluate`.

    Raises:
        ValueError: as `evaluate`.
    """
    problem.split(split)
    check_unchanged(problem)
    state = given_state(problem, model_state)
    with own_programs(has_marks=False):
        return _example_scores(problem, params, split, state)


@functools.partial(jax.jit, static_argnums=2)
def _example_scores(problem, params, split, model_state):
    data = problem.split(split)
    size = num_examples(data)
    chunk = size if problem.coupled.value else min(size, CHUNK)

    def chunk_scores(start):
        batch = take(data, jnp.minimum(start + jnp.arange(chunk), size - 1))
        losses, weights, _ = example_losses(problem, params, batch, model_state)
        weights = jnp.ones_like(losses) if weights is None else weights
        return losses, weights, example_metrics(problem, params, batch, model_state)

    parts = jax.lax.map(chunk_scores, jnp.arange(0, size, chunk))
    losses, weights, metrics = jax.tree.map(lambda part: part.reshape(-1)[:size], parts)
    losses = jnp.where(weights == 0, 0, losses) * weights / or_one(jnp.mean(weights))
    return {"loss": losses, **metrics}
