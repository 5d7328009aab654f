"""Optimizers that are the recursion with their own coefficients, their state laid out as Optax's."""

from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec

import jax
import optax

from jaxgd.aliases import FloatScalar, IntScalar, Params
from jaxgd.optim.hyperparameters import Hyperparameters, arguments_of
from jaxgd.optim.moments import Coefficients, MomentsState, init_moments, update_moments
from jaxgd.optim.roles import Formula
from jaxgd.optim.transform import Transform


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


_P = ParamSpec("_P")
NAMES: list[str] = []  # of all optimizers that are declared


class _Kind(Formula):
    """The kind of an optimizer: the recursion with the coefficients that its function gives."""

    def __init__(self, function, layout, check):
        super().__init__(function, check=check)
        self.layout = layout

    def coefficients(self, h):
        return self.body(**arguments_of(h))

    def init_fn(self, h, params):
        c = self.coefficients(h)
        return self.layout(c).pack(init_moments(c, params))

    def update_fn(self, h, grads, state, params=None, **extra):
        c = self.coefficients(h)
        layout = self.layout(c)
        updates, moments = update_moments(c, grads, layout.unpack(state), params)
        return updates, layout.pack(moments)


@jax.tree_util.register_pytree_with_keys_class
class Recursion(Transform):
    """A named optimizer: the recursion of `moments` with some coefficients."""

    @property
    def coefficients(self) -> Coefficients:
        """The coefficients, of the hyperparameters as they are: numbers, tracers or schedules."""
        return self._kind.coefficients(self._values)


def optimizer(
    layout: Callable[[Coefficients], Layout], check: Callable[[Hyperparameters], Any] | None = None
) -> Callable[[Callable[_P, Coefficients]], Callable[_P, Transform]]:
    """A decorator: the function that gives an optimizer's coefficients becomes the one that builds it.

    The function's arguments are the hyperparameters, annotated with what they are (see `roles`), and it is
    called with them at every update. Of a `Decay` it is given the `rate` and the `complement`.

    Args:
        layout: the layout of the state, one of `layouts`.
        check: raises where hyperparameters do not go together.
    """

    def declare(function):
        kind = _Kind(function, layout, check)
        NAMES.append(kind.name)
        return kind.builder_of(Recursion.build, Transform)

    return declare


class ScaleByRmsWithCountState(NamedTuple):
    """Optax's state of that name, which Optax does not export."""

    count: IntScalar
    nu: Params


class ScaleByRStdDevWithCountState(NamedTuple):
    """Optax's state of that name, which Optax does not export."""

    count: IntScalar
    mu: Params
    nu: Params


class WeightDecaySchedule(NamedTuple):
    """Optax's state of that name, which Optax does not export."""

    count: IntScalar


class NadamState(NamedTuple):
    """Adam's state and the product of the decays so far, for Nadam with `momentum_decay`."""

    count: IntScalar
    mu: Params
    nu: Params
    mu_product: FloatScalar


_EMPTY = (optax.EmptyState, ())
_ADAM = (optax.ScaleByAdamState, ("count", "mu", "nu"))
_NADAM = (NadamState, ("count", "mu", "nu", "mu_product"))
_AMSGRAD = (optax.ScaleByAmsgradState, ("count", "mu", "nu", "nu_max"))
_ADADELTA = (optax.ScaleByAdaDeltaState, ("nu", "delta"))


def heavy_ball(c: Coefficients) -> Layout:
    """Optax's sgd."""
    return Layout((_EMPTY if c.m_in is None else (optax.TraceState, ("mu",)), _rate(c)))


def adagrad(c: Coefficients) -> Layout:
    """Optax's adagrad."""
    return Layout(((optax.ScaleByRssState, ("nu",)), _rate(c)))


def rmsprop(c: Coefficients) -> Layout:
    """Optax's rmsprop, whose velocity comes after the rate."""
    velocity = _EMPTY if c.velocity_decay is None else (optax.TraceState, ("velocity",))
    return Layout((_rms(c), _rate(c), velocity))


def adadelta(c: Coefficients) -> Layout:
    """Optax's adadelta, which decays weights first."""
    return Layout((_decay(c.l2, c.mask), _ADADELTA, _rate(c)))


def adam(c: Coefficients) -> Layout:
    """Optax's adam; with weight decay its adamw."""
    decay = () if c.weight_decay is None else (_decay(c.weight_decay, c.mask),)
    return Layout((_ADAM if c.momentum_decay is None else _NADAM, *decay, _rate(c)))


def amsgrad(c: Coefficients) -> Layout:
    """Optax's amsgrad."""
    return Layout((_AMSGRAD, _rate(c)))


def _rate(c):
    return (optax.ScaleByScheduleState, ("count",)) if callable(c.learning_rate) else _EMPTY


def _decay(weight_decay, mask):
    state, fields = (WeightDecaySchedule, ("count",)) if callable(weight_decay) else _EMPTY
    return (state, fields) if mask is None else (lambda *values: optax.MaskedState(state(*values)), fields)


def _rms(c):
    if c.v_debias is None:
        return (optax.ScaleByRStdDevState, ("mu", "nu")) if c.centered else (optax.ScaleByRmsState, ("nu",))
    if c.centered:
        return ScaleByRStdDevWithCountState, ("count", "mu", "nu")
    return ScaleByRmsWithCountState, ("count", "nu")
