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

An optimizer is one set of `Coefficients`. A part that is None is not in the program at all.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgd.optim.hyperparameters import Hyperparameters
from jaxgd.optim.transform import Kind, Transform


class Coefficients(NamedTuple):
    """The numbers of the recursion; None switches a part off. `*_debias` is one minus the decay rate."""

    l2: Any = None
    m_decay: Any = None
    m_in: Any = None
    m_debias: Any = None
    from_m: Any = None
    from_g: Any = None
    lookahead: bool = False
    v_decay: Any = None
    v_in: Any = None
    v_debias: Any = None
    centered: bool = False
    eps_in: Any = None
    eps_out: Any = None
    zero_where_unseen: bool = False
    d_decay: Any = None
    d_in: Any = None
    weight_decay: Any = None
    learning_rate: Any = None
    velocity_decay: Any = None
    velocity_nesterov: bool = False


class MomentsState(NamedTuple):
    """State of the recursion. Trees shaped like the parameters, or None where the part is off.

    count: int32[], updates made (None where nothing depends on it). mu: m. nu: v. delta: d. velocity: w.
    """

    count: Any = None
    mu: Any = None
    nu: Any = None
    delta: Any = None
    velocity: Any = None


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


def init_moments(c: Coefficients, params: Any, mu_dtype: Any = None, nu_value: Any = 0.0) -> MomentsState:
    """The state before the first update: zeros, the second moment at `nu_value`."""

    def zeros(part, dtype=None):
        return None if part is None else optax.tree.zeros_like(params, dtype=dtype)

    def full(p):
        return jnp.full_like(p, cast(nu_value, p))

    nu = None if c.v_in is None else jax.tree.map(full, params)
    return MomentsState(
        count=jnp.zeros([], jnp.int32),
        mu=zeros(c.m_in, mu_dtype),
        nu=nu,
        delta=zeros(c.d_in),
        velocity=zeros(c.velocity_decay),
    )


def update_moments(
    c: Coefficients, grads: Any, state: MomentsState, params: Any = None, decay_mask: Any = None
) -> tuple[Any, MomentsState]:
    """One step of the recursion: `(updates, state)`, updates and state in the dtypes that came in.

    Raises:
        ValueError: weight decay without `params`.
    """
    if params is None and (c.l2 is not None or c.weight_decay is not None):
        raise ValueError("weight decay needs the parameters: call update(grads, state, params)")
    c, m_scale, g_scale, v_scale = _resolve(c, state.count)
    leaves, structure = jax.tree.flatten(grads)

    def column(tree):
        return [None] * len(leaves) if tree is None else structure.flatten_up_to(tree)

    columns = (column(tree) for tree in (params, decay_mask, *state[1:]))
    rows = [_step(c, (m_scale, g_scale, v_scale), g, *row) for g, *row in zip(leaves, *columns, strict=True)]
    updates, *moments = (
        structure.unflatten(part) for part in (zip(*rows, strict=True) if rows else [()] * 5)
    )
    kept = (new if old is not None else None for old, new in zip(state[1:], moments, strict=True))
    return updates, MomentsState(_next(state.count), *kept)


def _next(count):
    return None if count is None else optax.safe_increment(count)


def _resolve(c: Coefficients, count: jax.Array) -> tuple[Coefficients, Any, Any, Any]:
    """Schedules at `count`, and the factors that debias m, g and v at this update."""
    c = Coefficients(*(part(count) if callable(part) else part for part in c))

    def factor(complement, ahead=1):
        if complement is None:
            return None
        time = (count + ahead).astype(jnp.result_type(float))
        return 1 / bias_correction(jnp.asarray(complement, time.dtype), time)

    return c, factor(c.m_debias, 2 if c.lookahead else 1), factor(c.m_debias), factor(c.v_debias)


def cast(number: Any, like: jax.Array) -> jax.Array:
    """`number` in the real dtype of `like`, so that a bfloat16 parameter stays bfloat16."""
    return jnp.asarray(number, jnp.finfo(like.dtype).dtype)


def _step(c: Coefficients, scales, g, p, decays, m, v, d, w):
    """The recursion for one leaf: `(update, m, v, d, w)`."""
    m_scale, g_scale, v_scale = (None if scale is None else cast(scale, g) for scale in scales)
    c = Coefficients(*(part if part is None or isinstance(part, bool) else cast(part, g) for part in c))
    old_m, old_v = m, v
    if c.l2 is not None:
        g = _plus(g, c.l2, p, decays)
    if c.m_in is not None:
        m = c.m_decay * m + c.m_in * g
    if c.v_in is not None:
        v = (v if c.v_decay is None else c.v_decay * v) + c.v_in * square(g)
    u = _numerator(c, g, m, m_scale, g_scale)
    if c.v_in is not None:
        u = _normalise(c, u, m, v, m_scale, v_scale)
    if c.d_in is not None:
        # Squared from the parts, not as u**2: XLA on a CPU would store u for both uses.
        squared = square(g) * ((d + c.eps_in) / (v + c.eps_in))
        u = u * root(d + c.eps_in)
        d = c.d_decay * d + c.d_in * squared
    if c.weight_decay is not None:
        u = _plus(u, c.weight_decay, p, decays)
    if c.learning_rate is not None:
        u = -c.learning_rate * u
    if c.velocity_decay is not None:
        w = c.velocity_decay * w + u
        u = c.velocity_decay * w + u if c.velocity_nesterov else w
    return u, _like(m, old_m), _like(v, old_v), d, w


def _like(new, old):
    return new if new is None else new.astype(old.dtype)


def _plus(u, decay, p, decays):
    decayed = u + decay * p.astype(u.dtype)
    return decayed if decays is None else jnp.where(decays, decayed, u)


def _numerator(c, g, m, m_scale, g_scale):
    if c.m_in is None or c.centered:
        return g
    u = m if m_scale is None else m * m_scale
    if c.from_m is not None:
        u = c.from_m * u
    if c.from_g is not None:
        u = u + c.from_g * (g if g_scale is None else g * g_scale)
    return u


def _normalise(c, u, m, v, m_scale, v_scale):
    variance = v if v_scale is None else v * v_scale
    if c.centered:
        variance = variance - square(m if m_scale is None else m * m_scale)
    seen = variance > 0 if c.zero_where_unseen else None
    if c.eps_in is not None:
        variance = variance + c.eps_in
    if seen is not None:
        return jnp.where(seen, u / root(jnp.where(seen, variance, 1)), 0)
    denominator = root(variance)
    return u / (denominator if c.eps_out is None else denominator + c.eps_out)


def scale_by_moments(
    *,
    m_decay: Any = None,
    m_in: Any = None,
    v_decay: Any = None,
    v_in: Any = None,
    eps_in: Any = None,
    eps_out: Any = None,
    velocity_decay: Any = None,
) -> Transform:
    """The bare recursion, for an optimizer of one's own: `m / (sqrt(v + eps_in) + eps_out)`, then a velocity.

    A part is on where its `*_in` number (or `velocity_decay`) is given. Like Optax's `scale_by_*` it keeps the
    sign of the gradient: follow it with `optax.scale_by_learning_rate` in a `chain`. The state is a
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
    numbers = dict(m_decay=m_decay, m_in=m_in, v_decay=v_decay, v_in=v_in)
    for moment in ("m", "v"):
        if numbers[f"{moment}_in"] is not None and numbers[f"{moment}_decay"] is None:
            numbers[f"{moment}_decay"] = 0.0
        if numbers[f"{moment}_in"] is None and numbers[f"{moment}_decay"] is not None:
            raise ValueError(f"{moment}_decay is given without {moment}_in: the gradient would never enter")
    return Transform.build(_MOMENTS, **numbers, eps_in=eps_in, eps_out=eps_out, velocity_decay=velocity_decay)


def _init_bare(h, params):
    return init_moments(Coefficients(**_given(h)), params)


def _update_bare(h, grads, state, params=None, **extra):
    return update_moments(Coefficients(**_given(h)), grads, state, params)


def _given(h: Hyperparameters) -> dict[str, Any]:
    return {name: getattr(h, name) for name in h}


_MOMENTS = Kind("scale_by_moments", _init_bare, _update_bare)


class Layout(NamedTuple):
    """How an optimizer's state is laid out as Optax's: per link of Optax's chain a class and our field for each of its."""

    links: tuple[tuple[Callable, tuple[str, ...]], ...]

    def pack(self, state: MomentsState) -> tuple:
        """Optax's state tuple from the recursion's."""
        return tuple(link(*(getattr(state, field) for field in fields)) for link, fields in self.links)

    def unpack(self, packed: tuple) -> MomentsState:
        """The recursion's state from Optax's."""
        fields: dict[str, Any] = {}
        for part, (_, names) in zip(packed, self.links, strict=True):
            fields |= zip(names, getattr(part, "inner_state", part), strict=True)  # a masked part is wrapped
        return MomentsState(**fields)
