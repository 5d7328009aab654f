"""Transforms of the gradient written here because Optax lacks them or writes large temporaries."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgd.aliases import FloatScalar, IntScalar, Number, NumberOrSchedule, Updates, WholeNumber
from jaxgd.machine.meshes import is_split
from jaxgd.numerics import Sums, common_dtype, no_sums_of, squared_norm
from jaxgd.optim.counts import incremented
from jaxgd.optim.moments import cast, root, scheduled, square
from jaxgd.optim.roles import NotNegative, Pieces, Strength
from jaxgd.optim.transform import Kind, Transform
from jaxgd.optim.trees.parameters import as_arrays


def clip_by_global_norm(max_norm: Number) -> Transform:
    """The transform that scales the whole gradient down to L2 norm `max_norm` where it is longer.

    Optax's numbers, to rounding. The norm is a sum of dot products and the gradient is multiplied by one
    scalar, so that no clipped copy of it is stored before the next transform reads it.

    Args:
        max_norm: number, 0 or more.

    Source: Pascanu, Mikolov and Bengio 2013, algorithm 1.
    """
    return Transform.build(_CLIP_BY_GLOBAL_NORM, max_norm=max_norm)


def soft_threshold(threshold: NumberOrSchedule) -> Transform:
    """The proximal step of the L1 norm: updated parameters shrink by `threshold`, those below it to 0.

    Put it last in a `chain`. With the penalty `strength * sum(abs(p))` and a rate `learning_rate`, the
    threshold is their product; the zeros are exact.

    Args:
        threshold: number, 0 or more, or schedule.

    Source: Daubechies, Defrise and De Mol 2004; Beck and Teboulle 2009, equation 1.5.
    """
    return Transform.build(_SOFT_THRESHOLD, threshold=threshold)


def track_gradient_norms(micro_batches: WholeNumber) -> Transform:
    """The transform that passes gradients on and keeps what `studies.gradient_noise_scale` needs of them.

    Call it once for every micro-batch, with the mean gradient of its examples: put it in front of what adds
    micro-batches up. Its state then holds, of the last complete batch, the mean of the micro-batches' squared
    norms and the squared norm of their mean, and the sums of both over all batches. It needs one more copy of
    the parameters, in float32 or wider.

    Args:
        micro_batches: how many are a batch, 2 or more, all of one size. Structure: another number is another
            program.

    Source: McCandlish et al. 2018, appendix A.1.

    Example:
        >>> import jax, jax.numpy as jnp, jaxgd, optax
        >>> from jaxgd import optim, studies
        >>> optimizer = jaxgd.chain(optim.track_gradient_norms(4), optax.MultiSteps(optax.sgd(0.1), 4))
        >>> gradients = jnp.array([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [1.0, 2.0]])  # of micro-batches of 1
        >>> state = optimizer.init(jnp.zeros(2))
        >>> for gradient in gradients:
        ...     updates, state = optimizer.update(gradient, state, jnp.zeros(2))
        >>> small, large = jax.device_get(state[0].sums.totals) / state[0].count
        >>> round(studies.gradient_noise_scale([small], [large], small_batch=1, large_batch=4).value, 6)
        0.8
    """
    return Transform.build(_TRACK_GRADIENT_NORMS, micro_batches=micro_batches)


def _no_state(h, params):
    return optax.EmptyState()


def _clip(h, updates, state, params=None, **extra):
    updates = as_arrays(updates)
    squared = sum(_squared_norm(leaf) for leaf in jax.tree.leaves(updates))
    norm = root(jnp.asarray(squared))
    factor = jnp.where(norm < h.max_norm, 1, h.max_norm / jnp.where(norm > 0, norm, 1))
    return jax.tree.map(lambda g: g * cast(factor, g).astype(g.dtype), updates), state


def _squared_norm(leaf):
    real = jnp.float32 if jnp.finfo(leaf.dtype).bits < 32 else leaf.dtype
    if is_split(leaf):
        return jnp.sum(square(leaf.astype(real)))
    return jnp.vdot(leaf, leaf, preferred_element_type=real).real


class SoftThresholdState(NamedTuple):
    """count: updates made."""

    count: IntScalar


def _init_threshold(h, params):
    return SoftThresholdState(jnp.zeros([], jnp.int32))


def _soften(h, updates, state, params=None, **extra):
    if params is None:
        raise ValueError("soft_threshold needs the parameters: call update(grads, state, params)")
    threshold = scheduled(h.threshold, state.count)

    def step(u, p):
        moved = p + u.astype(p.dtype)
        shrunk = jnp.sign(moved) * jnp.maximum(jnp.abs(moved) - cast(threshold, p), 0)
        return (shrunk - p).astype(u.dtype)

    updates = jax.tree.map(step, as_arrays(updates), as_arrays(params))
    return updates, SoftThresholdState(incremented(state.count))


class GradientNormsState(NamedTuple):
    """What `track_gradient_norms` keeps.

    Attributes:
        micro_step: micro-batches seen of the batch under way.
        gradient_sum: the sum of their gradients.
        squared_norm_sum: the sum of their squared norms.
        small_squared_norm: the mean of the squared norms of the last complete batch's micro-batches, and
        large_squared_norm: the squared norm of their mean gradient; both 0 before the first.
        sums: the sums of these two over all complete batches, without a loss of digits.
        count: complete batches.
    """

    micro_step: IntScalar
    gradient_sum: Updates
    squared_norm_sum: FloatScalar
    small_squared_norm: FloatScalar
    large_squared_norm: FloatScalar
    sums: Sums
    count: IntScalar


def _init_norms(h, params):
    wide = jax.tree.map(lambda p: jnp.zeros_like(p, common_dtype(p.dtype, jnp.float32)), as_arrays(params))
    none, zero = jnp.zeros([], jnp.int32), jnp.zeros(())
    return GradientNormsState(none, wide, zero, zero, zero, no_sums_of(2), none)


def _track(h, updates, state, params=None, **extra):
    gradients, is_first = as_arrays(updates), state.micro_step == 0
    total = jax.tree.map(
        lambda s, g: jnp.where(is_first, jnp.zeros_like(s), s) + g.astype(s.dtype),
        state.gradient_sum,
        gradients,
    )
    squared = jnp.where(is_first, 0, state.squared_norm_sum) + squared_norm(gradients)
    is_last = state.micro_step == h.micro_batches - 1
    small, large = squared / h.micro_batches, squared_norm(total) / h.micro_batches**2
    sums = jax.tree.map(
        lambda new, old: jnp.where(is_last, new, old), state.sums.plus([small, large]), state.sums
    )
    return gradients, GradientNormsState(
        jnp.where(is_last, 0, state.micro_step + 1),
        total,
        squared,
        jnp.where(is_last, small, state.small_squared_norm),
        jnp.where(is_last, large, state.large_squared_norm),
        sums,
        jnp.where(is_last, incremented(state.count), state.count),
    )


_CLIP_BY_GLOBAL_NORM = Kind("clip_by_global_norm", _no_state, _clip, frozenset(), {"max_norm": NotNegative})
_SOFT_THRESHOLD = Kind("soft_threshold", _init_threshold, _soften, frozenset(), {"threshold": Strength})
_TRACK_GRADIENT_NORMS = Kind(
    "track_gradient_norms", _init_norms, _track, frozenset(), {"micro_batches": Pieces}
)
