"""The named optimizers: each a row that says which coefficients of the recursion it sets, and a docstring.

Names that Optax has keep Optax's signature, numbers and state, so that one can replace the other, checkpoint
included. Sources of the formulas are in each docstring.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from jaxgd.optim.hyperparameters import Hyperparameters
from jaxgd.optim.moments import Coefficients, Layout, init_moments, update_moments
from jaxgd.optim.static import Static
from jaxgd.optim.transform import Kind, Transform


class _Row(NamedTuple):
    """One optimizer: its coefficients and its state's layout, both functions of the hyperparameters."""

    coefficients: Callable[[Hyperparameters], Coefficients]
    links: Callable[[Hyperparameters], tuple]


def sgd(
    learning_rate: Any, momentum: Any = None, nesterov: bool = False, accumulator_dtype: Any = None
) -> Transform:
    """Gradient descent: `p <- p - learning_rate * g`, with `momentum` `m <- momentum * m + g; p <- p - learning_rate * m`.

    The gradient's batch decides what it is called: batch gradient descent on all examples, stochastic gradient
    descent on one, mini-batch gradient descent between.

    Args:
        learning_rate: number, 0 or more, or schedule.
        momentum: decay of the sum of gradients, at least 0 and below 1; None for none.
        nesterov: look ahead: the step is `g + momentum * m`.
        accumulator_dtype: dtype of the sum of gradients, the parameters' if None.

    Source: Robbins and Monro 1951; Polyak 1964; Sutskever et al. 2013.
    """
    return _build("sgd", locals())


def momentum(learning_rate: Any, momentum: Any = 0.9) -> Transform:
    """Heavy-ball gradient descent: `m <- momentum * m + g; p <- p - learning_rate * m`.

    The rate is outside the sum, as in Optax and PyTorch: with momentum 0.9 a constant gradient moves the
    parameters 10 times as far as plain SGD does.

    Args:
        learning_rate: number, 0 or more, or schedule.
        momentum: at least 0 and below 1.

    Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods".
    """
    return _build("momentum", locals())


def nesterov(learning_rate: Any, momentum: Any = 0.9) -> Transform:
    """Nesterov's accelerated gradient: `m <- momentum * m + g; p <- p - learning_rate * (g + momentum * m)`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        momentum: at least 0 and below 1.

    Source: Nesterov 1983, in the form of Sutskever et al. 2013, equations 3 and 4.
    """
    return _build("nesterov", locals())


def adagrad(learning_rate: Any, initial_accumulator_value: Any = 0.1, eps: Any = 1e-7) -> Transform:
    """Adagrad: `v <- v + g**2; p <- p - learning_rate * g / sqrt(v + eps)`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        initial_accumulator_value: v before the first update.
        eps: added under the root (PyTorch and Keras add theirs outside).

    Source: Duchi, Hazan and Singer 2011.
    """
    return _build("adagrad", locals())


def rmsprop(
    learning_rate: Any,
    decay: Any = 0.9,
    eps: Any = 1e-8,
    initial_scale: Any = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: Any = None,
    nesterov: bool = False,
    bias_correction: bool = False,
) -> Transform:
    """RMSprop: `v <- decay * v + (1 - decay) * g**2; p <- p - learning_rate * g / sqrt(v + eps)`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        decay: at least 0 and below 1.
        eps: added under the root, or to it if `eps_in_sqrt` is False (PyTorch's form).
        initial_scale: v before the first update.
        eps_in_sqrt: where eps goes.
        centered: subtract the squared running mean of the gradient from v.
        momentum: decay of a velocity of the scaled steps; None for none.
        nesterov: look ahead along that velocity.
        bias_correction: divide v (and the mean) by `1 - decay**t`.

    Source: Hinton 2012, lecture 6e; centered: Graves 2013.
    """
    return _build("rmsprop", locals())


def adadelta(
    learning_rate: Any = 1.0,
    rho: Any = 0.9,
    eps: Any = 1e-6,
    weight_decay: Any = 0.0,
    weight_decay_mask: Any = None,
) -> Transform:
    """Adadelta: `v <- rho * v + (1 - rho) * g**2; u = g * sqrt(d + eps) / sqrt(v + eps)`, d the running mean of u**2.

    Args:
        learning_rate: number, 0 or more, or schedule; 1.0 is the paper's. (Optax's default is None, with which
            its updates are not negated and ascend.)
        rho: decay of both means, at least 0 and below 1.
        eps: added under both roots.
        weight_decay: added to the gradient as `weight_decay * p`; number or schedule.
        weight_decay_mask: tree of booleans, or a function of the parameters that gives one: where to decay.

    Source: Zeiler 2012, algorithm 1.
    """
    return _build("adadelta", locals())


def adam(
    learning_rate: Any,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = False,
) -> Transform:
    """Adam: `m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g**2; p <- p - learning_rate * m^ / (sqrt(v^ + eps_root) + eps)`.

    m^ and v^ are m and v divided by `1 - b1**t` and `1 - b2**t`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        b1: decay of the first moment, at least 0 and below 1.
        b2: decay of the second moment, at least 0 and below 1.
        eps: added to the root.
        eps_root: added under the root.
        mu_dtype: dtype of the first moment, the parameters' if None.
        nesterov: Nadam's numerator.

    Source: Kingma and Ba 2015, algorithm 1.
    """
    return _build("adam", locals())


def adamw(
    learning_rate: Any,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    weight_decay: Any = 1e-4,
    mask: Any = None,
    *,
    nesterov: bool = False,
) -> Transform:
    """Adam with decoupled weight decay: `p <- p - learning_rate * (adam's direction + weight_decay * p)`.

    Args:
        learning_rate: number, 0 or more, or schedule.
        b1: decay of the first moment, at least 0 and below 1.
        b2: decay of the second moment, at least 0 and below 1.
        eps: added to the root.
        eps_root: added under the root.
        mu_dtype: dtype of the first moment, the parameters' if None.
        weight_decay: number, 0 or more, or schedule; multiplied by the learning rate, as in Optax and PyTorch.
        mask: tree of booleans, or a function of the parameters that gives one: where to decay.
        nesterov: Nadam's numerator.

    Source: Loshchilov and Hutter 2019, algorithm 2.
    """
    return _build("adamw", locals())


def nadam(
    learning_rate: Any,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = True,
) -> Transform:
    """Adam with Nesterov's look-ahead: its m^ is `b1 * m / (1 - b1**(t + 1)) + (1 - b1) * g / (1 - b1**t)`.

    The decay b1 is constant, as in Optax; Dozat's and PyTorch's grows with a schedule.

    Args:
        learning_rate: number, 0 or more, or schedule.
        b1: decay of the first moment, at least 0 and below 1.
        b2: decay of the second moment, at least 0 and below 1.
        eps: added to the root.
        eps_root: added under the root.
        mu_dtype: dtype of the first moment, the parameters' if None.
        nesterov: False gives Adam.

    Source: Dozat 2016.
    """
    return _build("nadam", locals())


_SWITCHES = ("nesterov", "eps_in_sqrt", "centered", "bias_correction")
_OPTIONS = ("momentum", "mu_dtype", "accumulator_dtype", "mask", "weight_decay_mask")


def _build(name: str, arguments: dict[str, Any]) -> Transform:
    for argument, value in arguments.items():
        if argument in _SWITCHES and not isinstance(value, bool):
            raise TypeError(f"{argument} must be True or False, got {value!r}")
        if argument not in _SWITCHES and (
            isinstance(value, bool) or (value is None and argument not in _OPTIONS)
        ):
            raise TypeError(f"{argument} must be a number, an array or a schedule, got {value!r}")
        if argument.endswith("_dtype") and value is not None:
            arguments[argument] = jax.dtypes.canonicalize_dtype(value)
        if argument.endswith("mask") and value is not None:
            arguments[argument] = Static(value)
    return Transform.build(_KINDS[name], **arguments)


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
    ahead = {"from_m": h.b1, "from_g": h.one_minus_b1, "lookahead": True} if h.nesterov else {}
    return Coefficients(
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
        **ahead,
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


_EMPTY = (optax.EmptyState, ())
_TRACE = (optax.TraceState, ("mu",))
_ADAM = (optax.ScaleByAdamState, ("count", "mu", "nu"))
_ADADELTA = (optax.ScaleByAdaDeltaState, ("nu", "delta"))
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


_ROWS = {
    "sgd": _Row(
        lambda h: _heavy_ball(h, h.momentum, h.nesterov),
        lambda h: (_EMPTY if h.momentum is None else _TRACE, _rate(h)),
    ),
    "momentum": _Row(lambda h: _heavy_ball(h, h.momentum, False), lambda h: (_TRACE, _rate(h))),
    "nesterov": _Row(lambda h: _heavy_ball(h, h.momentum, True), lambda h: (_TRACE, _rate(h))),
    "adagrad": _Row(_adagrad, lambda h: (_RSS, _rate(h))),
    "rmsprop": _Row(_rmsprop, lambda h: (_rms(h), _rate(h), _velocity(h))),
    "adadelta": _Row(_adadelta, lambda h: (_decay(h, h.weight_decay_mask), _ADADELTA, _rate(h))),
    "adam": _Row(_adam, lambda h: (_ADAM, _rate(h))),
    "adamw": _Row(_adam, lambda h: (_ADAM, _decay(h, h.mask), _rate(h))),
    "nadam": _Row(_adam, lambda h: (_ADAM, _rate(h))),
}


def _init(name, h, params):
    row = _ROWS[name]
    state = init_moments(
        row.coefficients(h),
        params,
        mu_dtype=_option(h, "mu_dtype", "accumulator_dtype"),
        nu_value=_option(h, "initial_accumulator_value", "initial_scale") or 0.0,
    )
    return Layout(row.links(h)).pack(state)


def _update(name, h, grads, state, params=None, **extra):
    row, layout = _ROWS[name], Layout(_ROWS[name].links(h))
    mask = _option(h, "mask", "weight_decay_mask")
    mask = None if mask is None else _broadcast_mask(mask, params)
    updates, moments = update_moments(row.coefficients(h), grads, layout.unpack(state), params, mask)
    return updates, layout.pack(moments)


def _option(h: Hyperparameters, *names: str) -> Any:
    return next((getattr(h, name) for name in names if name in h), None)


def _broadcast_mask(mask, params):
    mask = mask(params) if callable(mask) else mask
    return jax.tree.map(lambda keep, part: jax.tree.map(lambda _: keep, part), mask, params)


class _Named(Kind):
    """The kind of a named optimizer; a pickled one is looked up again, so that structures stay equal."""

    def __reduce__(self):
        return _kind, (self.name,)


def _kind(name: str) -> Kind:
    return _KINDS[name]


_KINDS = {
    name: _Named(name, functools.partial(_init, name), functools.partial(_update, name)) for name in _ROWS
}
