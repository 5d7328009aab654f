"""Rules: what a run does besides updates, such as stopping early or keeping an average."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.aliases import FloatScalar, ModelState, Params
from jaxgd.numerics import common_dtype
from jaxgd.optim.hyperparameters import checked_number
from jaxgd.pytrees import PyTree
from jaxgd.training.problems.problem import Problem
from jaxgd.training.states import TrainState

# The largest count. No run gets there, so as a bound it is none: more than this, or infinity, becomes this.
NEVER = 2**31 - 1


class Observation(NamedTuple):
    """What a rule looks at.

    problem: what is trained. params, model_state: where the run is; after an update, what it has given.
    examples_per_batch, epoch_end: the batch size, and the examples after which an epoch is over, or tracers.

    has_weights: whether the loss gives weights, known after an update.

    The others are there after an update if the rule's `reads` names them, else None. squared_norm:
    of the batch's mean gradient. micro_squared_norm: the mean over its micro-batches of the squared norm of
    their mean gradients. batch_size: examples of the batch, the sum of their weights if the loss gives any.
    micro_batch_size: examples of a micro-batch, the harmonic mean where the last is smaller; so the mean of
    micro_squared_norm is `|G|**2 + tr(covariance) / micro_batch_size`. last_squared_norm, last_batch_size: of
    its last micro-batch alone, which takes one pass over a gradient a batch where the mean over all takes one
    for each. Without micro-batches a batch is one. example_squared_norm: the mean over its examples of the
    squared norm of each one's gradient, which takes gradients of their own.
    """

    problem: Problem
    params: Params
    examples_per_batch: Any
    epoch_end: Any
    squared_norm: FloatScalar | None = None
    micro_squared_norm: FloatScalar | None = None
    batch_size: FloatScalar | None = None
    micro_batch_size: FloatScalar | None = None
    last_squared_norm: FloatScalar | None = None
    last_batch_size: FloatScalar | None = None
    example_squared_norm: FloatScalar | None = None
    model_state: ModelState = None
    has_weights: bool = False


# What a rule may ask for in `reads`.
READABLE = (
    *("squared_norm", "micro_squared_norm", "batch_size", "micro_batch_size"),
    *("last_squared_norm", "last_batch_size", "example_squared_norm"),
)


class Rule(PyTree):
    """A rule of a trainer: a pytree of its numbers, with a state of its own in `TrainState.rules`.

    A subclass overrides what it needs. Its fields are leaves, so they may be traced and swept; a field that
    is structure holds a `Static`. Everything must be pure JAX. `own` is the rule's state, `seen` the
    `Observation`, `state` the run's. At an epoch's end, in this order: a run that has diverged goes back and
    stops; every rule measures; then every rule decides, in the order in which the rules were added. The first
    that gives a status other than 0 ends the run, whatever later ones say.

    Attributes:
        acts_on_updates: whether `after_update` is called.
        reads: which of "squared_norm", "micro_squared_norm", "batch_size", "micro_batch_size",
            "last_squared_norm", "last_batch_size" and "example_squared_norm" the observation after an update
            is to have; what no rule reads is not computed.
    """

    acts_on_updates: ClassVar[bool] = False
    reads: ClassVar[tuple[str, ...]] = ()

    def init(self, seen: Observation) -> Any:
        """The rule's state at the start of a run."""
        return ()

    def after_update(self, own: Any, seen: Observation) -> Any:
        """The rule's state after an update has given `seen.params`; called if `acts_on_updates` is True."""
        return own

    def scale(self, own: Any) -> Any:
        """What every update is multiplied by, or None."""
        return None

    def stop_position(self, own: Any, seen: Observation, state: TrainState, begin: Any) -> Any:
        """Examples into the epoch before which the next batches must begin, or None.

        The first of them begins at `begin`; `state.examples` is the count before it.
        """
        return None

    def history_names(self, problem: Problem) -> Sequence[str]:
        """The names of the history entries that `measure` gives."""
        return ()

    def measure(self, own: Any, seen: Observation, state: TrainState) -> dict[str, FloatScalar]:
        """This rule's entries in the history, after an epoch."""
        return {}

    def watches(self) -> str | None:
        """The history's entry of which `after_epoch` is to see what scored it, or None for the run's own."""
        return None

    def after_epoch(
        self, own: Any, seen: Observation, state: TrainState, row: dict[str, jax.Array]
    ) -> tuple[Any, Any]:
        """The rule's state after the epoch `state.epoch` (from 0) with this row of the history, and a status.

        The status is 0 to go on, 1 to stop early, 3 when a budget is spent. If the rule `watches` a score of
        another rule, such as that of an average, `seen` has the parameters and the model state that it is of.
        """
        return own, 0

    def scored(self, own: Any, seen: Observation) -> tuple[Params, ModelState]:
        """The parameters and the model state whose scores `measure` gives: the run's own, unless overridden.

        It is these that `early_stopping` restores if it watches one of the scores.
        """
        return seen.params, seen.model_state

    def kept_epoch(self, own: Any) -> Any:
        """The epoch (from 0) whose parameters `finish` gives, -1 where they are the last; None if always."""
        return None

    def finish(self, own: Any, seen: Observation) -> tuple[Params, ModelState]:
        """The parameters and the model state that a run ends with."""
        return seen.params, seen.model_state


def kept_epochs(rules: Sequence[Rule], states: Sequence[Any]) -> Any:
    """The epochs (from 1) that the parameters of finished runs are of, -1 for their last; None if always.

    The states have leading axes over runs. Of several rules the last has the last word, as in `finish`.
    """
    kept = None
    for epoch in jax.device_get([rule.kept_epoch(own) for rule, own in zip(rules, states, strict=True)]):
        if epoch is not None:
            kept = np.where(epoch >= 0, epoch + 1, -1 if kept is None else kept)
    return kept


def count_leaf(name: str, value: Any, unit: str, least: int) -> Any:
    """A rule's whole number as an int32 leaf, `NEVER` where it is more than that; checked if concrete.

    Raises:
        ValueError, TypeError: a value that is not whole or below `least`, or that is no number.
    """
    if isinstance(value, Tracer):
        return _traced_count(value)
    allowed = f"a whole number{unit}, {least} or more"
    array = checked_number(name, value, allowed, lambda x: (x >= least) & (x == np.floor(x)))
    return np.minimum(array, NEVER).astype(np.int32)


def _traced_count(value: Any) -> jax.Array:
    if jnp.issubdtype(value.dtype, jnp.floating):
        value = value.astype(common_dtype(value.dtype, jnp.float32))
        is_beyond = value >= NEVER
        return jnp.where(is_beyond, NEVER, jnp.where(is_beyond, 0, value).astype(jnp.int32))
    if jnp.issubdtype(value.dtype, jnp.integer) and jnp.iinfo(value.dtype).max > NEVER:
        value = jnp.minimum(value, NEVER)
    return value.astype(jnp.int32)
