"""The state of a run: where it is, where its epoch began, and the sums of the epoch under way."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool

from jaxgd.aliases import FloatScalar, IntScalar, Key, ModelState, OptState, Params, Updates
from jaxgd.numerics import Sums
from jaxgd.training.gradients import BatchLoss

RUNNING = 0
DIVERGED = 2
# What a status number means once a run is over: 0 is a run that reached its last epoch.
STATUS_WORDS = ("completed", "stopped early", "diverged", "budget spent", "failed")
# The word of a run that has no results: it was interrupted, or it was not asked for.
NOT_RUN = "not run"
# The words of runs that have no score.
WITHOUT_SCORE = ("diverged", "failed", NOT_RUN)


class BatchSums(NamedTuple):
    """Sums over the micro-batches of the batch under way: of gradients, and numbers of `w * l` and of `w`.

    Where a rule reads of micro-batches also of the squared norms of their means, of `1 / w`, and their count;
    where one reads of examples, of the squared norms of theirs.
    """

    grads: Updates
    numbers: Sums

    @property
    def total(self) -> BatchLoss:
        """What the micro-batches so far give together."""
        return BatchLoss(self.grads, *self.numbers.totals[:2])


class EpochSums(NamedTuple):
    """Running sums of the epoch under way, and the micro-batches of the batch under way.

    position: examples used, counted where there are micro-batches. numbers: three sums, of `w * l`, of `w`
    and of gradient norms, 0 where these are not measured. counts: updates, and examples in whole batches,
    which `TrainState` counts at the end of a loop over batches: in the loop, all sums are one array. partial:
    sums over the present batch, None without micro-batches. A loss or gradient that is not finite leaves its
    mark in these sums: that is how a run is seen to diverge.
    """

    position: IntScalar
    numbers: Sums
    counts: Sums
    partial: BatchSums | None

    @property
    def loss(self) -> FloatScalar:
        """The sum of `w * l`."""
        return self.numbers.totals[0]

    @property
    def weight(self) -> FloatScalar:
        """The sum of `w`."""
        return self.numbers.totals[1]

    @property
    def norm(self) -> FloatScalar:
        """The sum of gradient norms."""
        return self.numbers.totals[2]

    @property
    def num_updates(self) -> IntScalar:
        """Updates of the epoch so far."""
        return self.counts.counted(0)

    @property
    def num_in_whole_batches(self) -> IntScalar:
        """Examples of the epoch so far that came in whole batches."""
        return self.counts.counted(1)

    @property
    def are_finite(self) -> Bool[Array, ""]:
        """Whether every loss and gradient of the epoch so far was finite."""
        return jnp.isfinite(self.loss + self.norm)


class Moving(NamedTuple):
    """What updates change: parameters, and the states of the optimizer, the model and the rules."""

    params: Params
    opt_state: OptState
    model_state: ModelState
    rules: tuple[Any, ...]


class Anchor(NamedTuple):
    """Where an epoch began: a run that diverges in it returns there.

    Of the rules' states, only those that act on updates, None in the place of the others.
    """

    moving: Moving
    updates: IntScalar


class TrainState(NamedTuple):
    """Where a run is.

    key: the run's PRNG key. params, opt_state, model_state: after the last update. rules: the state of each
    rule. anchor: what the epoch began with. status: 0 while running, then the number of its word in
    "completed", "stopped early", "diverged", "budget spent". updates, examples: made and used so far. epoch:
    epochs ended. stopped_at: the update (from 0) at which the run stopped, -1 if it did not. sums: of the
    epoch under way.
    """

    key: Key
    params: Params
    opt_state: OptState
    model_state: ModelState
    rules: tuple[Any, ...]
    anchor: Anchor
    status: IntScalar
    updates: IntScalar
    examples: IntScalar
    epoch: IntScalar
    stopped_at: IntScalar
    sums: EpochSums


def moving_part(state: TrainState) -> Moving:
    """What updates change."""
    return Moving(state.params, state.opt_state, state.model_state, state.rules)
