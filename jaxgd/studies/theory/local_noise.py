"""The noise scale of a gradient, its Hessian and its covariance at one point, and the rates that follow.

Source: McCandlish, Kaplan, Amodei and OpenAI Dota Team 2018, "An Empirical Model of Large-Batch Training".
"""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.aliases import ModelState
from jaxgd.arguments import whole_number
from jaxgd.landscape.networks.objectives import CHUNK, Objective, flat_product, objective_of
from jaxgd.training.batching import take
from jaxgd.training.fitting import is_key
from jaxgd.training.gradients import EXAMPLES_AT_ONCE, example_losses
from jaxgd.training.problems.problem import Problem, given_state, num_examples


class LocalNoiseScale(NamedTuple):
    """Noise scales at a point, and the best learning rates that follow from them.

    Attributes:
        simple: `B_simple = tr Σ / |G|²`, which needs no Hessian.
        noise: `B_noise = tr HΣ / Gᵀ H G`, that of the quadratic the loss is like there.
        largest_rate: `|G|² / Gᵀ H G`, the best rate of the exact gradient.
        noise_error: the standard error of `noise`, which of a problem is estimated by probes; 0 of matrices.
    """

    simple: float
    noise: float
    largest_rate: float
    noise_error: float = 0.0

    def learning_rate(self, batch_size: Any) -> Any:
        """The rate whose next update lowers the expected loss most: `largest_rate / (1 + noise / B)`."""
        return self.largest_rate / (1 + self.noise / np.asarray(batch_size, np.float64))


def local_noise_scale(gradient: Any, hessian: Any, covariance: Any) -> LocalNoiseScale:
    """The noise scales of a gradient G, a Hessian H and the covariance Σ of one example's gradient.

    NaN where the divisor is not above 0: the gradient is 0, or the loss curves down along it. They are those
    of SGD, also at a point that another optimizer has come to; `noise_scale_of` has them of a problem.

    Args:
        gradient: [d].
        hessian: [d, d].
        covariance: [d, d].

    Raises:
        ValueError: shapes that do not go together.

    Source: McCandlish et al. 2018, equations 2.7 to 2.9.

    Example:
        >>> import jaxgd, numpy as np
        >>> found = jaxgd.studies.local_noise_scale([1, 1], np.diag([2, 0.5]), np.diag([4, 1]))
        >>> found.noise, found.simple, found.largest_rate
        (3.4, 2.5, 0.8)
    """
    g, h, covariance = (np.asarray(x, np.float64) for x in (gradient, hessian, covariance))
    if g.ndim != 1 or h.shape != covariance.shape or h.shape != (g.size, g.size):
        raise ValueError(
            "gradient, hessian and covariance must have shapes [d], [d, d] and [d, d], got "
            f"{list(g.shape)}, {list(h.shape)} and {list(covariance.shape)}"
        )
    return _local(
        float(g @ g), float(g @ h @ g), float(np.trace(covariance)), float(np.sum(h * covariance.T))
    )


def noise_scale_of(
    problem: Problem,
    params: Any,
    key: jax.Array,
    *,
    probes: int = 16,
    split: str = "train",
    chunk: int = CHUNK,
    model_state: ModelState = None,
) -> LocalNoiseScale:
    """The noise scales of a problem at these parameters: of batches drawn from its examples with replacement.

    G and tr Σ are exact sums over all examples. `tr HΣ` is a mean over probes `v = Σ ± (g - G) / √N` with
    random signs, of `vᵀHv`: one product with the Hessian each, and no matrix of it is ever there. The
    gradients of single examples are there 64 at a time. The loss is taken in evaluation mode.

    Both are noise scales of SGD. Of a run under a preconditioned optimizer, such as Adam, they say what SGD
    would meet at the same point; its own depend on the preconditioned gradient and its noise.

    Args:
        problem: whose examples do not depend on each other and have no weights.
        params: as its `init` gives them, or those of a run: `fit(...).state.params`, or of `iterate`.
        key: draws the signs.
        probes: 2 or more. Each is kept, as large as the parameters.
        split: "train", "valid" or "test".
        chunk: examples at once, in products with the Hessian.
        model_state: as the run ended with it, `fit.state.model_state`; needed where the problem has one.

    Raises:
        ValueError: a coupled or weighted loss, no model state of a problem that has one, or an argument out
            of its range.
        TypeError: a problem or a key that is none.

    Source: McCandlish et al. 2018, equations 2.7 to 2.9; Hutchinson 1990.

    Example:
        >>> import jax, jaxgd
        >>> problem = jaxgd.studies.noisy_quadratic([2.0, 0.5], [4.0, 1.0], start=[0.5, 2.0])
        >>> found = jaxgd.studies.noise_scale_of(problem, problem.init(None), jax.random.key(0))
        >>> round(found.simple, 3), round(found.largest_rate, 3)
        (2.5, 0.8)
    """
    objective, probes = objective_of(problem, split, chunk), whole_number("probes", probes, 2)
    objective = dataclasses.replace(objective, model_state=given_state(problem, model_state))
    if not is_key(key):
        raise TypeError(f"key must be one PRNG key such as jax.random.key(0), got {key!r}")
    if problem.coupled.value:
        raise ValueError("problem must not be coupled: the gradient of one example is not defined")
    one = jax.tree.map(lambda leaf: leaf[:1], objective.data)
    if example_losses(problem, params, one, objective.model_state).weights is not None:
        raise ValueError(
            "the loss of problem must have no weights: its gradients would have several variances"
        )
    found = _measured(objective, params, key, probes)
    squared_norm, curvature, trace, curved = (np.asarray(x, np.float64) for x in jax.device_get(found))
    scales = _local(float(squared_norm), float(curvature), float(trace), float(curved.mean()))
    error = float(curved.std(ddof=1)) / math.sqrt(probes)
    return scales._replace(noise_error=error / float(curvature) if curvature > 0 else math.nan)


@functools.partial(jax.jit, static_argnums=3)
def _measured(objective: Objective, params: Any, key: jax.Array, probes: int) -> tuple[jax.Array, ...]:
    """`|G|²`, `GᵀHG`, `tr Σ` and `vᵀHv` [probes]."""
    product, flat, unravel = flat_product(objective, params)
    gradient = jax.grad(lambda flat: objective.loss(unravel(flat)))(flat)
    size = num_examples(objective.data)
    blocks = -(-size // EXAMPLES_AT_ONCE)
    signs = jax.random.rademacher(key, (blocks * EXAMPLES_AT_ONCE, probes), flat.dtype)

    def loss(flat, example):
        batch = jax.tree.map(lambda leaf: leaf[None], example)
        return example_losses(objective.problem, unravel(flat), batch, objective.model_state).losses[0]

    def block(carry, start):
        trace, vectors = carry
        places = start + jnp.arange(EXAMPLES_AT_ONCE)
        batch = take(objective.data, jnp.minimum(places, size - 1))
        rest = jax.vmap(jax.grad(loss), (None, 0))(flat, batch) - gradient[None]
        rest = jnp.where((places < size)[:, None], rest, 0)
        drawn = jax.lax.dynamic_slice_in_dim(signs, start, EXAMPLES_AT_ONCE)
        return (trace + jnp.sum(rest * rest), vectors + jnp.matmul(drawn.T, rest, precision="highest")), None

    none = jnp.zeros((), flat.dtype), jnp.zeros((probes, flat.size), flat.dtype)
    (trace, vectors), _ = jax.lax.scan(block, none, EXAMPLES_AT_ONCE * jnp.arange(blocks))
    curved = jax.lax.map(lambda v: jnp.vdot(v, product(v)) / size, vectors)
    return jnp.vdot(gradient, gradient), jnp.vdot(gradient, product(gradient)), trace / size, curved


def _local(squared_norm: float, curvature: float, trace: float, curved_trace: float) -> LocalNoiseScale:
    return LocalNoiseScale(
        trace / squared_norm if squared_norm > 0 else math.nan,
        curved_trace / curvature if curvature > 0 else math.nan,
        squared_norm / curvature if curvature > 0 else math.nan,
    )
