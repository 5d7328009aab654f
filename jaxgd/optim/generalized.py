"""Every optimizer of the family as one program: all parts of the recursion on, every coefficient a leaf."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxgd.aliases import Params, Updates
from jaxgd.optim.counts import incremented, real
from jaxgd.optim.hyperparameters import Hyperparameters
from jaxgd.optim.layouts import NAMES, Recursion
from jaxgd.optim.moments import MomentsState, bias_correction, cast, root, scheduled, square, widened
from jaxgd.optim.transform import Kind, Transform
from jaxgd.optim.trees.parameters import as_arrays, check_trainable

# What a part that is off is set to. A complement of 1 is a decay of 0: its correction is 1.
_OFF = {
    "l2": 0.0,
    "m_decay": 0.0,
    "m_in": 1.0,
    "m_debias": 1.0,
    "from_m": 1.0,
    "from_g": 0.0,
    "v_decay": 1.0,
    "v_in": 0.0,
    "v_debias": 1.0,
    "eps_in": 0.0,
    "eps_out": 0.0,
    "d_decay": 0.0,
    "d_in": 0.0,
    "weight_decay": 0.0,
    "learning_rate": None,
    "velocity_decay": 0.0,
}


def generalize(optimizer: Transform) -> Transform:
    """`optimizer` with all parts of the recursion on and its coefficients as leaves: the same trajectory.

    All optimizers of the family then have one tree structure, so that SGD, Adagrad and Adam are lanes of one
    `jax.vmap`. The state is five copies of the parameters and an update takes about as long as Adam's.

    Args:
        optimizer: one of the named optimizers but Adamax's two and AMSGrad, without a mask, a dtype of its
            own or `momentum_decay`.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(optimizer, Recursion):
        raise TypeError(f"must be one of the named optimizers ({', '.join(NAMES)}), got {optimizer!r}")
    c = optimizer.coefficients
    if c.keeps_maximum or c.infinity_norm:
        raise TypeError(f"generalize has neither AMSGrad's maximum nor Adamax's norm, got {optimizer!r}")
    used = [name for name in ("mask", "mu_dtype", "momentum_decay") if getattr(c, name) is not None]
    if used:
        raise TypeError(f"generalize needs an optimizer without {used[0]}, got {optimizer!r}")
    numbers = {name: off if getattr(c, name) is None else getattr(c, name) for name, off in _OFF.items()}
    numbers["g_debias"] = numbers["m_debias"]
    if c.centered or (c.m_in is None and c.v_in is not None):  # the numerator is the gradient as it is
        numbers |= {"from_m": 0.0, "from_g": 1.0, "g_debias": 1.0}
    flags = {
        "lookahead": c.lookahead,
        "without_mean": c.centered,
        "zero_where_unseen": c.zero_where_unseen,
        "velocity_nesterov": c.velocity_nesterov,
        "normalised": c.v_in is not None,
        "rescaled": c.d_in is not None,
    }
    numbers |= {name: float(on) for name, on in flags.items()}
    return Transform.build(_GENERALIZED, **numbers, initial_nu=c.v_start)


def can_generalize(optimizer: Any) -> bool:
    """Whether the optimizer is of the family, and without an option that the merged form lacks."""
    try:
        generalize(optimizer)
    except (TypeError, AttributeError):
        return False
    return True


def _init(h: Hyperparameters, params: Params) -> MomentsState:
    check_trainable(params)
    params = as_arrays(params)

    def zeros():
        return optax.tree.zeros_like(params)

    nu = jax.tree.map(lambda p: jnp.full_like(p, cast(h.initial_nu, p)), params)
    return MomentsState(jnp.zeros([], jnp.int32), zeros(), nu, zeros(), zeros())


def _update(
    h: Hyperparameters, grads: Updates, state: MomentsState, params: Params | None = None, **extra: Any
) -> tuple[Updates, MomentsState]:
    if params is None:
        raise ValueError("a generalized optimizer needs the parameters: call update(grads, state, params)")
    h = Hyperparameters({name: scheduled(part, state.count) for name, part in h.items()})
    time = real(state.count) + 1  # a full counter plus 1 would wrap
    terms = ((h.m_debias, h.lookahead), (h.m_debias, 0), (h.g_debias, 0), (h.v_debias, 0))
    corrections = [bias_correction(jnp.asarray(rate, time.dtype), time + ahead) for rate, ahead in terms]
    leaves, structure = jax.tree.flatten(as_arrays(grads))
    columns = (structure.flatten_up_to(tree) for tree in (as_arrays(params), *state[1:5]))
    rows = [_step(h, corrections, *row) for row in zip(leaves, *columns, strict=True)]
    updates, *new = (structure.unflatten(part) for part in zip(*rows, strict=True)) if rows else [grads] * 5
    return updates, MomentsState(incremented(state.count), *new)


def _step(h, corrections, *row):
    g, p, m, v, d, w = widened(row)
    ahead, m_correction, g_correction, v_correction = (cast(correction, g) for correction in corrections)
    c = Hyperparameters({name: cast(number, g) for name, number in h.items()})
    g = g + c.l2 * p.astype(g.dtype)
    m = c.m_decay * m + c.m_in * g
    # A part that is off sees zeros, not large numbers times 0: 0 * inf is NaN.
    v = c.v_decay * v + c.v_in * square(jnp.where(c.normalised > 0, g, 0))
    variance = v / v_correction - c.without_mean * square(m / m_correction)
    u = c.from_m * m / ahead + c.from_g * g / g_correction
    u = u / (jnp.where(c.normalised > 0, root(jnp.maximum(variance, 0) + c.eps_in), 1) + c.eps_out)
    u = jnp.where((c.zero_where_unseen > 0) & (variance <= 0), 0, u)
    u = jnp.where(c.rescaled > 0, u * root(d + c.eps_in), u)
    d = c.d_decay * d + c.d_in * square(jnp.where(c.rescaled > 0, u, 0))
    u = -c.learning_rate * (u + c.weight_decay * p.astype(g.dtype))
    w = c.velocity_decay * w + u
    u = jnp.where(c.velocity_nesterov > 0, c.velocity_decay * w + u, w)
    before = row[0], *row[2:]
    return tuple(after.astype(leaf.dtype) for after, leaf in zip((u, m, v, d, w), before, strict=True))


_GENERALIZED = Kind("generalize", _init, _update)
