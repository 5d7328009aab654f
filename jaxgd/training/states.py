"""The state of a run: where it is, where its epoch began, and the sums of the epoch under way."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgd.numerics.dtypes import common_dtype
from jaxgd.numerics.sums import Sums, no_sums_of
from jaxgd.training.gradients import BatchLoss
from jaxgd.training.rules.rule import with_model_state
from jaxgd.training.trainers import Trainer

RUNNING = 0
DIVERGED = 2
# What a status number means once a run is over: 0 is a run that reached its last epoch.
STATUS_WORDS = ("completed", "stopped early", "diverged", "budget spent", "failed")


class BatchSums(NamedTuple):
    """Sums over the micro-batches of the batch under way: of gradients, and numbers of `w * l` and of `w`."""

    grads: Any
    numbers: Sums

    @property
    def total(self) -> BatchLoss:
        """What the micro-batches so far give together."""
        return BatchLoss(self.grads, *self.numbers.totals)


class EpochSums(NamedTuple):
    """Running sums of the epoch under way, and the micro-batches of the batch under way.

    position: int32[], examples used. numbers: three sums, of `w * l`, of `w` and of gradient norms. partial:
    sums over the present batch, None without micro-batches. A loss or gradient that is not finite leaves its
    mark in these sums: that is how a run is seen to diverge.
    """

    position: jax.Array
    numbers: Sums
    partial: BatchSums | None

    @property
    def loss(self) -> jax.Array:
        """The sum of `w * l`."""
        return self.numbers.totals[0]

    @property
    def weight(self) -> jax.Array:
        """The sum of `w`."""
        return self.numbers.totals[1]

    @property
    def norm(self) -> jax.Array:
        """The sum of gradient norms."""
        return self.numbers.totals[2]

    @property
    def are_finite(self) -> jax.Array:
        """Whether every loss and gradient of the epoch so far was finite."""
        return jnp.isfinite(self.loss + self.norm)


class Moving(NamedTuple):
    """What updates change: parameters, and the states of the optimizer, the model and the rules."""

    params: Any
    opt_state: Any
    model_state: Any
    rules: tuple[Any, ...]


class Anchor(NamedTuple):
    """Where an epoch began: a run that diverges in it returns there.

    Of the rules' states, only those that act on updates, None in the place of the others.
    """

    moving: Moving
    updates: jax.Array


class TrainState(NamedTuple):
    """Where a run is.

    key: the run's PRNG key. params, opt_state, model_state: after the last update. rules: the state of each
    rule. anchor: what the epoch began with. status: int32[], 0 while running, then the number of its word in
    "completed", "stopped early", "diverged", "budget spent". updates, examples: int32[], made and used so
    far. epoch: int32[], epochs ended. stopped_at: int32[], the update (from 0) at which the run stopped, -1
    if it did not. sums: of the epoch under way.
    """

    key: jax.Array
    params: Any
    opt_state: Any
    model_state: Any
    rules: tuple[Any, ...]
    anchor: Anchor
    status: jax.Array
    updates: jax.Array
    examples: jax.Array
    epoch: jax.Array
    stopped_at: jax.Array
    sums: EpochSums


def initial_state(trainer: Trainer, key: jax.Array, params: Any, start: Any = None) -> TrainState:
    """The state before the first update, from initial parameters.

    start: a state, or its moving part, of which the optimizer's and the model's states are taken.
    """
    zero = jnp.zeros((), jnp.int32)
    opt_state = trainer.optimizer.init(params) if start is None else start.opt_state
    model_state = trainer.problem.model_state if start is None else start.model_state
    rules = tuple(with_model_state(rule.init, params, model_state=model_state) for rule in trainer.rules)
    moving = Moving(params, opt_state, model_state, rules)
    return TrainState(
        key=key,
        **moving._asdict(),
        anchor=anchor_of(trainer, moving, zero),
        status=zero,
        updates=zero,
        examples=zero,
        epoch=zero,
        stopped_at=zero - 1,
        sums=no_sums(trainer, params),
    )


def moving_part(state: TrainState) -> Moving:
    """What updates change."""
    return Moving(state.params, state.opt_state, state.model_state, state.rules)


def anchor_of(trainer: Trainer, moving: Moving, updates: jax.Array) -> Anchor:
    """The anchor of an epoch that begins here."""
    rules = tuple(own if rule.acts_on_updates else None for rule, own in _with_rules(trainer, moving.rules))
    return Anchor(moving._replace(rules=rules), updates)


def at_anchor(trainer: Trainer, state: TrainState) -> Moving:
    """What the epoch began with; rules that do not act on updates are as they are."""
    pairs = zip(_with_rules(trainer, state.rules), state.anchor.moving.rules, strict=True)
    rules = tuple(before if rule.acts_on_updates else own for (rule, own), before in pairs)
    return state.anchor.moving._replace(rules=rules)


def _with_rules(trainer: Trainer, states: tuple) -> list[tuple[Any, Any]]:
    return list(zip(trainer.rules, states, strict=True))


def no_sums(trainer: Trainer, params: Any) -> EpochSums:
    """The sums at the start of an epoch."""
    partial = None
    if trainer.microbatch.value is not None:
        wide = jax.tree.map(lambda p: jnp.zeros(p.shape, common_dtype(p.dtype, jnp.float32)), params)
        partial = BatchSums(wide, no_sums_of(2))
    return EpochSums(jnp.zeros((), jnp.int32), no_sums_of(3), partial)
