"""Transforms of the gradient written here because Optax lacks them or writes large temporaries."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgd.aliases import IntScalar, Number, NumberOrSchedule
from jaxgd.machine.devices import is_split
from jaxgd.optim.counts import incremented
from jaxgd.optim.moments import cast, root, scheduled, square
from jaxgd.optim.roles import NotNegative, Strength
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


_CLIP_BY_GLOBAL_NORM = Kind("clip_by_global_norm", _no_state, _clip, frozenset(), {"max_norm": NotNegative})
_SOFT_THRESHOLD = Kind("soft_threshold", _init_threshold, _soften, frozenset(), {"threshold": Strength})
