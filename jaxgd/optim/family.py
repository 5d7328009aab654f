"""The family as a table: for each named optimizer, its coefficients and the layout of its state."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import optax

from jaxgd.optim.hyperparameters import Hyperparameters
from jaxgd.optim.moments import Coefficients, MomentsState, init_moments, update_moments
from jaxgd.optim.transform import Kind, Transform
from jaxgd.optim.trees.masks import tree_of


def build(name: str, arguments: dict[str, Any]) -> Transform:
    """The optimizer `name` with these arguments, checked."""
    return Transform.build(_KINDS[name], **arguments)


def coefficients(optimizer: Transform) -> Coefficients:
    """The coefficients of a named optimizer's recursion.

    Raises:
        TypeError: not one of the named optimizers.
    """
    row = _ROWS.get(str(optimizer._kind)) if type(optimizer) is Transform else None
    if row is None:
        raise TypeError(f"must be one of the named optimizers ({', '.join(_ROWS)}), got {optimizer!r}")
    return row.coefficients(optimizer._values)


def initial_second_moment(optimizer: Transform) -> Any:
    """The second moment of a named optimizer before its first update."""
    return _initial_second_moment(optimizer._values)


def _initial_second_moment(h: Hyperparameters) -> Any:
    return _option(h, "initial_accumulator_value", "initial_scale", default=0.0)


class _Row(NamedTuple):
    """One optimizer: its coefficients and its state's layout, both functions of the hyperparameters."""

    coefficients: Callable[[Hyperparameters], Coefficients]
    links: Callable[[Hyperparameters], tuple]
    optional: tuple[str, ...] = ()


def _heavy_ball(h, decay, look_ahead):
    if decay is None:
        return Coefficients(learning_rate=h.learning_rate)
    ahead = {"from_m": decay, "from_g": 1.0} if look_ahead else {}
    return Coefficients(m_decay=decay, m_in=1.0, learning_rate=h.learning_rate, **ahead)


def _adagrad(h):
    return Coefficients(v_in=1.0, eps_in=h.eps, zero_where_unseen=True, learning_rate=h.learning_rate)


def _rmsprop(h):
    mean = {"m_decay": h.decay, "m_in": h.one_minus_decay, "centered": True} if h.centered else {}
    return Coefficients(
        v_decay=h.decay,
        v_in=h.one_minus_decay,
        v_debias=h.one_minus_decay if h.bias_correction else None,
        m_debias=h.one_minus_decay if h.bias_correction and h.centered else None,
        eps_in=h.eps if h.eps_in_sqrt else None,
        eps_out=None if h.eps_in_sqrt else h.eps,
        learning_rate=h.learning_rate,
        velocity_decay=h.momentum,
        velocity_nesterov=h.nesterov,
        **mean,
    )


def _adadelta(h):
    return Coefficients(
        l2=h.weight_decay,
        v_decay=h.rho,
        v_in=h.one_minus_rho,
        d_decay=h.rho,
        d_in=h.one_minus_rho,
        eps_in=h.eps,
        learning_rate=h.learning_rate,
    )


def _adam(h):
    c = Coefficients(
        m_decay=h.b1,
        m_in=h.one_minus_b1,
        m_debias=h.one_minus_b1,
        v_decay=h.b2,
        v_in=h.one_minus_b2,
        v_debias=h.one_minus_b2,
        eps_in=h.eps_root,
        eps_out=h.eps,
        learning_rate=h.learning_rate,
        weight_decay=h.get("weight_decay"),
    )
    if h.get("momentum_decay") is not None:
        return replace(c, momentum_decay=h.momentum_decay, from_g=1.0)
    if h.nesterov:
        return replace(c, from_m=h.b1, from_g=h.one_minus_b1, lookahead=True)
    return c


def _amsgrad(h):
    return Coefficients(
        m_decay=h.b1,
        m_in=h.one_minus_b1,
        m_debias=h.one_minus_b1 if h.bias_correction_mu else None,
        v_decay=h.b2,
        v_in=h.one_minus_b2,
        v_debias=h.one_minus_b2 if h.bias_correction_nu else None,
        keeps_maximum=True,
        eps_in=h.eps_root,
        eps_out=h.eps,
        learning_rate=h.learning_rate,
    )


def _adamax(h):
    return Coefficients(
        m_decay=h.b1,
        m_in=h.one_minus_b1,
        m_debias=h.one_minus_b1,
        v_decay=h.b2,
        v_in=1.0,
        infinity_norm=True,
        eps_in=h.eps,
        learning_rate=h.learning_rate,
        weight_decay=h.get("weight_decay"),
    )


class ScaleByRmsWithCountState(NamedTuple):
    """Optax's state of that name, which Optax does not export."""

    count: Any
    nu: Any


class ScaleByRStdDevWithCountState(NamedTuple):
    """Optax's state of that name, which Optax does not export."""

    count: Any
    mu: Any
    nu: Any


class WeightDecaySchedule(NamedTuple):
    """Optax's state of that name, which Optax does not export."""

    count: Any


class NadamState(NamedTuple):
    """Adam's state and the product of the decays so far, for Nadam with `momentum_decay`."""

    count: Any
    mu: Any
    nu: Any
    mu_product: Any


_EMPTY = (optax.EmptyState, ())
_TRACE = (optax.TraceState, ("mu",))
_ADAM = (optax.ScaleByAdamState, ("count", "mu", "nu"))
_AMSGRAD = (optax.ScaleByAmsgradState, ("count", "mu", "nu", "nu_max"))
_ADADELTA = (optax.ScaleByAdaDeltaState, ("nu", "delta"))
_NADAM = (NadamState, ("count", "mu", "nu", "mu_product"))
_RSS = (optax.ScaleByRssState, ("nu",))


def _rate(h):
    return (optax.ScaleByScheduleState, ("count",)) if callable(h.learning_rate) else _EMPTY


def _decay(h, mask):
    state, fields = (WeightDecaySchedule, ("count",)) if callable(h.weight_decay) else _EMPTY
    return (state, fields) if mask is None else (lambda *values: optax.MaskedState(state(*values)), fields)


def _rms(h):
    if not h.bias_correction:
        return (optax.ScaleByRStdDevState, ("mu", "nu")) if h.centered else (optax.ScaleByRmsState, ("nu",))
    if h.centered:
        return ScaleByRStdDevWithCountState, ("count", "mu", "nu")
    return ScaleByRmsWithCountState, ("count", "nu")


def _velocity(h):
    return _EMPTY if h.momentum is None else (optax.TraceState, ("velocity",))


def _heavy_ball_links(h):
    return _TRACE, _rate(h)


def _adam_links(h):
    decay = (_decay(h, h.mask),) if "weight_decay" in h else ()
    return (_ADAM if h.get("momentum_decay") is None else _NADAM, *decay, _rate(h))


_ROWS = {
    "sgd": _Row(
        lambda h: _heavy_ball(h, h.momentum, h.nesterov),
        lambda h: (_EMPTY if h.momentum is None else _TRACE, _rate(h)),
        optional=("momentum", "accumulator_dtype"),
    ),
    "momentum": _Row(lambda h: _heavy_ball(h, h.momentum, False), _heavy_ball_links),
    "nesterov": _Row(lambda h: _heavy_ball(h, h.momentum, True), _heavy_ball_links),
    "adagrad": _Row(_adagrad, lambda h: (_RSS, _rate(h))),
    "rmsprop": _Row(_rmsprop, lambda h: (_rms(h), _rate(h), _velocity(h)), optional=("momentum",)),
    "adadelta": _Row(
        _adadelta,
        lambda h: (_decay(h, h.weight_decay_mask), _ADADELTA, _rate(h)),
        optional=("weight_decay", "weight_decay_mask"),
    ),
    "adam": _Row(_adam, _adam_links, optional=("mu_dtype",)),
    "adamw": _Row(_adam, _adam_links, optional=("mu_dtype", "mask")),
    "nadam": _Row(_adam, _adam_links, optional=("mu_dtype", "momentum_decay")),
    "nadamw": _Row(_adam, _adam_links, optional=("mu_dtype", "mask")),
    "amsgrad": _Row(_amsgrad, lambda h: (_AMSGRAD, _rate(h)), optional=("mu_dtype",)),
    "adamax": _Row(_adamax, _adam_links),
    "adamaxw": _Row(_adamax, _adam_links, optional=("mask",)),
}


def _init(name, h, params):
    row = _ROWS[name]
    state = init_moments(
        row.coefficients(h),
        params,
        mu_dtype=_option(h, "mu_dtype", "accumulator_dtype"),
        nu_value=_initial_second_moment(h),
    )
    return Layout(row.links(h)).pack(state)


def _update(name, h, grads, state, params=None, **extra):
    row, layout = _ROWS[name], Layout(_ROWS[name].links(h))
    mask = _option(h, "mask", "weight_decay_mask")
    mask = None if mask is None else _broadcast_mask(mask, params)
    updates, moments = update_moments(row.coefficients(h), grads, layout.unpack(state), params, mask)
    return updates, layout.pack(moments)


def _option(h: Hyperparameters, *names: str, default: Any = None) -> Any:
    return next((getattr(h, name) for name in names if name in h), default)


def _broadcast_mask(mask, params):
    return jax.tree.map(lambda keep, part: jax.tree.map(lambda _: keep, part), tree_of(mask, params), params)


class Layout(NamedTuple):
    """How an optimizer's state is laid out as Optax's.

    links: for each link of Optax's chain, its state's class and our field for each of that class' fields.
    """

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


class _Named(Kind):
    """The kind of a named optimizer; a pickled one is looked up again, so that structures stay equal."""

    def __reduce__(self):
        return _kind, (self.name,)


def _kind(name: str) -> Kind:
    return _KINDS[name]


_KINDS = {
    name: _Named(
        name, functools.partial(_init, name), functools.partial(_update, name), frozenset(row.optional)
    )
    for name, row in _ROWS.items()
}
