"""The one recursion behind the whole family, from SGD to Nadam: running moments of the gradient.

With g the gradient, p the parameter, t the number of this update from 1, and every part optional::

    g = g + l2 * p
    m = m_decay * m + m_in * g                        first moment
    v = v_decay * v + v_in * g**2                     second moment
    numerator   = from_m * m / (1 - b1**t) + from_g * g / (1 - b1**t)
    denominator = sqrt(v / (1 - b2**t) [- m**2] + eps_in) + eps_out
    u = numerator / denominator * sqrt(d + eps_in)    d is the running mean of u**2 (Adadelta)
    u = -learning_rate * (u + weight_decay * p)
    w = velocity_decay * w + u                        velocity after the rate (RMSprop)

AMSGrad has the largest `v / (1 - b2**t)` so far under the root; Adamax divides by v itself, which is
`max(v_decay * v, |g| + eps_in)`. An optimizer is one set of `Coefficients`. A part that is None is not in the
program at all.
"""

import contextlib
import dataclasses
import inspect
import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgd.aliases import FloatScalar, IntScalar, NumberOrSchedule, Params, Updates
from jaxgd.optim.counts import incremented
from jaxgd.optim.hyperparameters import arguments_of
from jaxgd.optim.roles import Strength
from jaxgd.optim.transform import Kind, Transform
from jaxgd.optim.trees.masks import leaf_by_leaf
from jaxgd.optim.trees.parameters import as_array, as_arrays, check_trainable


def _switch() -> Any:
    return dataclasses.field(default=False, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Coefficients:
    """The numbers of the recursion, some of them schedules; None switches a part off.

    `*_debias` is one minus the decay rate. v_start: the second moment before the first update. mu_dtype:
    dtype of the first moment. mask: tree of booleans, or a function of the parameters that gives one: where
    to decay.
    """

    l2: Any = None
    m_decay: Any = None
    m_in: Any = None
    m_debias: Any = None
    from_m: Any = None
    from_g: Any = None
    lookahead: bool = _switch()
    momentum_decay: Any = None
    v_decay: Any = None
    v_in: Any = None
    v_debias: Any = None
    centered: bool = _switch()
    keeps_maximum: bool = _switch()
    infinity_norm: bool = _switch()
    eps_in: Any = None
    eps_out: Any = None
    zero_where_unseen: bool = _switch()
    d_decay: Any = None
    d_in: Any = None
    weight_decay: Any = None
    learning_rate: Any = None
    velocity_decay: Any = None
    velocity_nesterov: bool = _switch()
    v_start: Any = 0.0
    mu_dtype: Any = dataclasses.field(default=None, metadata={"static": True})
    mask: Any = None


class MomentsState(NamedTuple):
    """State of the recursion. Trees shaped like the parameters, or None where the part is off.

    count: updates made (None where nothing depends on it). mu: m. nu: v. delta: d. velocity: w.
    mu_product: the product of Nadam's decays so far, where they follow Dozat's schedule. nu_max: AMSGrad's
    largest v.
    """

    count: IntScalar | None = None
    mu: Params | None = None
    nu: Params | None = None
    delta: Params | None = None
    velocity: Params | None = None
    mu_product: FloatScalar | None = None
    nu_max: Params | None = None


@jax.custom_jvp
def root(x: jax.Array) -> jax.Array:
    """Square root whose derivative at 0 is 0, so that a gradient through it is not NaN."""
    return jnp.sqrt(x)


@root.defjvp
def _root_jvp(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    positive = x > 0
    return root(x), jnp.where(positive, x_dot * 0.5 / jnp.sqrt(jnp.where(positive, x, 1)), 0)


def square(x: jax.Array) -> jax.Array:
    """The squared absolute value, real also where `x` is complex."""
    return (x * x.conj()).real if jnp.iscomplexobj(x) else x * x


@jax.custom_jvp
def bias_correction(complement: jax.Array, count: jax.Array) -> jax.Array:
    """`1 - decay**count` from `complement = 1 - decay`, without the cancellation near decay 1."""
    return -jnp.expm1(count * jnp.log1p(-complement))


@bias_correction.defjvp
def _bias_correction_jvp(primals, tangents):
    complement, count = primals
    slope = count * (1 - complement) ** (count - 1)  # finite at decay 0, where log1p is not
    return bias_correction(complement, count), slope * tangents[0]


def init_moments(c: Coefficients, params: Params) -> MomentsState:
    """The state before the first update: zeros, the second moment at `v_start`.

    Raises:
        TypeError: a parameter that is no floating-point number.
    """
    check_trainable(params)
    params = as_arrays(params)

    def zeros(part, dtype=None):
        return None if part is None else optax.tree.zeros_like(params, dtype=dtype)

    def full(p):
        return jnp.full_like(p, cast(c.v_start, p))

    nu = None if c.v_in is None else jax.tree.map(full, params)
    return MomentsState(
        count=jnp.zeros([], jnp.int32),
        mu=zeros(c.m_in, c.mu_dtype),
        nu=nu,
        delta=zeros(c.d_in),
        velocity=zeros(c.velocity_decay),
        mu_product=None if c.momentum_decay is None else jnp.ones([], jnp.result_type(float)),
        nu_max=zeros(c.v_in) if c.keeps_maximum else None,
    )


def update_moments(
    c: Coefficients, grads: Updates, state: MomentsState, params: Params | None = None
) -> tuple[Updates, MomentsState]:
    """One step of the recursion: `(updates, state)`, updates and state in the dtypes that came in.

    Raises:
        ValueError: weight decay without `params`.
    """
    if params is None and (c.l2 is not None or c.weight_decay is not None):
        raise ValueError("weight decay needs the parameters: call update(grads, state, params)")
    decay_mask = None if c.mask is None else leaf_by_leaf(c.mask, params)
    c = dataclasses.replace(c, v_start=None, mu_dtype=None, mask=None)  # what no update reads
    c = jax.tree.map(lambda part: scheduled(part, state.count), c, is_leaf=callable)
    weights, mu_product = _weigh(c, state)
    # A gradient of None is a leaf here: that parameter is frozen, its update is None and its moments rest.
    leaves, structure = jax.tree.flatten(grads, is_leaf=_is_none)
    leaves = list(map(as_array, leaves))

    def column(tree):
        return [None] * len(leaves) if tree is None else structure.flatten_up_to(tree)

    old = (state.mu, state.nu, state.delta, state.velocity, state.nu_max)
    columns = (column(tree) for tree in (params, decay_mask, *old))
    rows = [_step(c, weights, row) for row in zip(leaves, *columns, strict=True)]
    updates, *new = (structure.unflatten(part) for part in (zip(*rows, strict=True) if rows else [()] * 6))
    mu, nu, delta, velocity, nu_max = (
        after if before is not None else None for before, after in zip(old, new, strict=True)
    )
    count = None if state.count is None else incremented(state.count)
    return updates, MomentsState(count, mu, nu, delta, velocity, mu_product, nu_max)


def _is_none(node):
    return node is None


class _Weights(NamedTuple):
    """What multiplies m, g and p in the update, the learning rate and its sign included, and v in the root.

    One number each: a multiplication of scalars per update instead of one of arrays per parameter.
    """

    m: Any
    g: Any
    v: Any
    p: Any


def _weigh(c: Coefficients, state: MomentsState) -> tuple[_Weights, Any]:
    """The weights at this update, and the next product of decays."""
    # A full counter plus 1 would wrap.
    updates_made: Any = None if state.count is None else state.count.astype(jnp.result_type(float))

    def correction(complement, ahead=1):
        if complement is None:
            return None
        time = updates_made + ahead
        return bias_correction(jnp.asarray(complement, time.dtype), time)

    rate = None if c.learning_rate is None else -c.learning_rate
    v = _quotient((), correction(c.v_debias))
    p = None if c.weight_decay is None else _quotient((c.weight_decay, rate))
    if c.momentum_decay is None:
        m = () if c.centered else (c.from_m, rate)  # the centre is the mean itself
        g = _quotient((rate,)) if _is_raw(c) else _quotient((c.from_g, rate), correction(c.m_debias))
        return _Weights(_quotient(m, correction(c.m_debias, 2 if c.lookahead else 1)), g, v, p), None

    def decay(ahead):
        time = updates_made + ahead
        m_decay, momentum_decay = (jnp.asarray(x, time.dtype) for x in (c.m_decay, c.momentum_decay))
        return m_decay * (1 - 0.5 * 0.96 ** (time * momentum_decay))

    product = state.mu_product * decay(1)
    m = _quotient((decay(2), rate), 1 - product * decay(2))
    g = _quotient((1 - decay(1), rate), 1 - product)
    return _Weights(m, g, v, p), product.astype(jnp.result_type(state.mu_product))


def _quotient(factors: tuple, divisor: Any = None) -> Any:
    """The product of what is on in `factors`, over `divisor`; None where all is off."""
    # A schedule of Optax's is float32 even where the parameters are float64: no product before the cast.
    real = jnp.result_type(float)
    present = [jnp.asarray(factor, real) for factor in factors if factor is not None]
    if divisor is None:
        return math.prod(present) if present else None
    return math.prod(present) / divisor


def _is_raw(c: Coefficients) -> bool:
    """Whether the numerator is the gradient itself."""
    return c.m_in is None or c.centered


def cast(number: Any, like: jax.Array) -> jax.Array:
    """`number` in the real dtype of `like`, so that a bfloat16 parameter stays bfloat16."""
    return jnp.asarray(number, jnp.finfo(like.dtype).dtype)


def widened(tree: Any) -> Any:
    """The tree with float16 as float32: an epsilon of 1e-8 is 0 in float16, and 0 / 0 is no update."""

    def widen(leaf):
        return leaf.astype(jnp.float32) if getattr(leaf, "dtype", None) == jnp.float16 else leaf

    return jax.tree.map(widen, tree)


def scheduled(number: Any, count: Any) -> Any:
    """`number`, or its value at `count` where it is a schedule; another library's may promote dtypes."""
    if not callable(number):
        return number
    with jax.numpy_dtype_promotion("standard"):
        return number(count)


@jax.jit
def _step(c: Coefficients, weights: _Weights, row: tuple) -> tuple:
    """The recursion for one leaf: `(update, m, v, d, w, nu_max)`. Traced once for all leaves of one shape."""
    if row[0] is None:
        return None, *row[3:]
    gradient, _, _, *states = row
    is_mixed = jnp.iscomplexobj(gradient) or any(s is not None and s.dtype != gradient.dtype for s in states)
    # A complex gradient meets real numbers, moments of a dtype of their own meet the gradient's.
    with jax.numpy_dtype_promotion("standard") if is_mixed else contextlib.nullcontext():
        return _moved(c, weights, row)


def _moved(c, weights, row):
    before = row[3:]
    is_half = c.v_in is not None and row[0].dtype == jnp.float16
    g, p, decays, m, v, d, w, v_max = widened(row) if is_half else row
    c, weights = jax.tree.map(partial(cast, like=g), (c, weights))
    if c.l2 is not None:
        g = _plus(g, c.l2, p, decays)
    if c.m_in is not None:
        m = c.m_decay * m + c.m_in * g
    if c.infinity_norm:
        v = jnp.maximum(c.v_decay * v, jnp.abs(g) + c.eps_in)
    elif c.v_in is not None:
        v = (v if c.v_decay is None else c.v_decay * v) + c.v_in * square(g)
    u = g if _is_raw(c) else _times(weights.m, m)
    if c.from_g is not None:
        u = u + _times(weights.g, g)
    if c.d_in is not None:
        u, d = _rescale(c, g, v, d)
    elif c.infinity_norm:
        u = u / v
    elif c.v_in is not None:
        variance = _times(weights.v, v)
        if c.keeps_maximum:
            variance = v_max = jnp.maximum(v_max, variance)
        u = _normalise(c, u, _times(weights.m, m) if c.centered else None, variance)
    if _is_raw(c):
        u = _times(weights.g, u)
    if c.weight_decay is not None:
        u = _plus(u, weights.p, p, decays)
    if c.velocity_decay is not None:
        w = c.velocity_decay * w + u
        u = c.velocity_decay * w + u if c.velocity_nesterov else w
    after = (m, v, d, w, v_max)
    after = (n if n is None else n.astype(b.dtype) for n, b in zip(after, before, strict=True))
    return u.astype(jnp.float16) if is_half else u, *after


def _plus(u, decay, p, decays):
    decayed = u + decay * p.astype(u.dtype)
    return decayed if decays is None else jnp.where(decays, decayed, u)


def _times(weight, x):
    return x if weight is None else weight * x


def _rescale(c, g, v, d):
    """Adadelta's `g * sqrt((d + eps_in) / (v + eps_in))` and the next d.

    The old d is written in terms of the next one, which is exact and subtracts nothing: then only the next d
    reads the old one and takes its memory. Were it read twice, XLA on a CPU would copy it.
    """
    d = c.d_decay * d + c.d_in * (square(g) * ((d + c.eps_in) / (v + c.eps_in)))
    divisor = c.d_decay * (v + c.eps_in) + c.d_in * square(g)
    ratio = (d + c.d_decay * c.eps_in) / jnp.where(divisor > 0, divisor, 1)  # 0 at decay 0 where g is 0
    return g * root(ratio), d


def _normalise(c, u, centre, variance):
    if c.centered:
        variance = jnp.maximum(variance - square(centre), 0)  # which rounding makes negative
    seen = variance > 0 if c.zero_where_unseen else None
    if c.eps_in is not None:
        variance = variance + c.eps_in
    denominator = root(variance)
    if c.eps_out is not None:
        denominator = denominator + c.eps_out
    return u / (denominator if seen is None else jnp.where(seen, denominator, jnp.inf))


def scale_by_moments(
    *,
    m_decay: NumberOrSchedule | None = None,
    m_in: NumberOrSchedule | None = None,
    v_decay: NumberOrSchedule | None = None,
    v_in: NumberOrSchedule | None = None,
    eps_in: NumberOrSchedule | None = None,
    eps_out: NumberOrSchedule | None = None,
    velocity_decay: NumberOrSchedule | None = None,
) -> Transform:
    """The bare recursion, for an optimizer of one's own: `m / (sqrt(v + eps_in) + eps_out)`, then a velocity.

    A part is on where its `*_in` number (or `velocity_decay`) is given. Like Optax's `scale_by_*` it keeps
    the sign of the gradient: follow it with `optax.scale_by_learning_rate` in a `chain`. The state is a
    `MomentsState`.

    Args:
        m_decay: decay of the first moment, 0 if not given.
        m_in: weight of the gradient in the first moment.
        v_decay: decay of the second moment, 0 if not given.
        v_in: weight of the squared gradient in the second moment.
        eps_in: added under the root.
        eps_out: added to the root.
        velocity_decay: decay of a velocity of the scaled gradients.
    """
    numbers = {"m_decay": m_decay, "m_in": m_in, "v_decay": v_decay, "v_in": v_in}
    for moment in ("m", "v"):
        if numbers[f"{moment}_in"] is not None and numbers[f"{moment}_decay"] is None:
            numbers[f"{moment}_decay"] = 0.0
        if numbers[f"{moment}_in"] is None and numbers[f"{moment}_decay"] is not None:
            raise ValueError(f"{moment}_decay is given without {moment}_in: the gradient would never enter")
    return Transform.build(_BARE, **numbers, eps_in=eps_in, eps_out=eps_out, velocity_decay=velocity_decay)


def _init_bare(h, params):
    return init_moments(Coefficients(**arguments_of(h)), params)


def _update_bare(h, grads, state, params=None, **extra):
    return update_moments(Coefficients(**arguments_of(h)), grads, state, params)


_BARE = Kind(
    "scale_by_moments",
    _init_bare,
    _update_bare,
    arguments=dict.fromkeys(inspect.signature(scale_by_moments).parameters, Strength),
)
