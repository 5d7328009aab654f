"""Rules: what a run does besides updates, such as stopping early or keeping an average."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.numerics.dtypes import common_dtype
from jaxgd.optim.hyperparameters import checked_number
from jaxgd.pytrees import PyTree
from jaxgd.training.models.model import takes

if TYPE_CHECKING:
    from jaxgd.training.loop import TrainState
    from jaxgd.training.trainers import Trainer

# The largest count. No run gets there, so as a bound it is none: more than this, or infinity, becomes this.
NEVER = 2**31 - 1


class Rule(PyTree):
    """A rule of a trainer: a pytree of its numbers, with a state of its own in `TrainState.rules`.

    A subclass overrides what it needs. Its fields are leaves, so they may be traced and swept; a field that
    is structure holds a `Static`. Everything must be pure JAX. At an epoch's end, in this order: a run that
    has diverged goes back and stops; every rule measures; then every rule decides, in the order in which the
    rules were added. The first that gives a status other than 0 ends the run, whatever later ones say.
    """

    acts_on_updates = False

    def init(self, params: Any) -> Any:
        """The rule's state at the start of a run."""
        return ()

    def after_update(self, own: Any, params: Any) -> Any:
        """The rule's state after an update has given `params`; called if `acts_on_updates` is True."""
        return own

    def scale(self, own: Any) -> Any:
        """What every update is multiplied by, or None."""
        return None

    def stop_position(self, own: Any, trainer: "Trainer", state: "TrainState", begin: Any) -> Any:
        """Examples into the epoch before which the next batches must begin, or None.

        The first of them begins at `begin`; `state.examples` is the count before it.
        """
        return None

    def history_names(self, trainer: "Trainer") -> Sequence[str]:
        """The names of the history entries that `measure` gives."""
        return ()

    def measure(self, own: Any, trainer: "Trainer", state: "TrainState") -> dict[str, jax.Array]:
        """This rule's entries in the history, after an epoch."""
        return {}

    def after_epoch(
        self, own: Any, trainer: "Trainer", state: "TrainState", row: dict[str, jax.Array]
    ) -> tuple[Any, Any]:
        """The rule's state after the epoch `state.epoch` (from 0) with this row of the history, and a status.

        The status is 0 to go on, 1 to stop early, 3 when a budget is spent.
        """
        return own, 0

    def scored(self, own: Any, trainer: "Trainer", state: "TrainState") -> tuple[Any, Any]:
        """The parameters and the model state whose scores `measure` gives: the run's own, unless overridden.

        It is these that `early_stopping` restores if it watches one of the scores.
        """
        return state.params, state.model_state

    def kept_epoch(self, own: Any) -> Any:
        """The epoch (from 0) whose parameters `finish` gives, -1 where they are the last; None if always."""
        return None

    def finish(self, own: Any, params: Any) -> Any:
        """The parameters that a run ends with; with a parameter `model_state`, the pair of both."""
        return params


def scored_by(name: str, trainer: "Trainer", state: "TrainState") -> tuple[Any, Any]:
    """The parameters and the model state that the history's entry `name` is a score of."""
    for rule, own in reversed(list(zip(trainer.rules, state.rules, strict=True))):
        if name in rule.history_names(trainer):
            return rule.scored(own, trainer, state)
    return state.params, state.model_state


def kept_epochs(rules: Sequence[Rule], states: Sequence[Any]) -> Any:
    """The epochs (from 1) that the parameters of finished runs are of, -1 for their last; None if always.

    The states have leading axes over runs. Of several rules the last has the last word, as in `finish`.
    """
    kept = None
    for epoch in jax.device_get([rule.kept_epoch(own) for rule, own in zip(rules, states, strict=True)]):
        if epoch is not None:
            kept = np.where(epoch >= 0, epoch + 1, -1 if kept is None else kept)
    return kept


def with_model_state(hook: Any, *arguments: Any, model_state: Any) -> Any:
    """What a rule's hook gives for these arguments, and for the model state if it asks for it."""
    return hook(*arguments, model_state=model_state) if takes(hook, "model_state") else hook(*arguments)


def whole_number(name: str, value: Any, unit: str, least: int) -> Any:
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
