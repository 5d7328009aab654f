"""Rules: what a run does besides updates, such as stopping early or keeping an average."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.core import Tracer

from jaxgd.training.pytrees import PyTree

if TYPE_CHECKING:
    from jaxgd.training.loop import TrainState
    from jaxgd.training.trainers import Trainer


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

    def finish(self, own: Any, params: Any) -> Any:
        """The parameters that a run ends with."""
        return params


def with_rule(trainer: "Trainer", rule: Rule) -> "Trainer":
    """The trainer with one more rule, after those it has."""
    return trainer.replace(rules=(*trainer.rules, rule))


def number(name: str, value: Any, allowed: str, is_allowed: Any, dtype: Any = np.float64) -> Any:
    """A rule's number as a leaf: checked and of one type if concrete, a tracer or an array of them as it is.

    Raises:
        ValueError, TypeError: a value that `is_allowed` refuses, or that is no number.
    """
    if isinstance(value, Tracer):
        return value
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {allowed}, got {value!r}") from None
    whole = np.issubdtype(dtype, np.integer)
    if (
        isinstance(value, bool)
        or not np.all(is_allowed(array))
        or (whole and np.any(array != np.floor(array)))
    ):
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return array.astype(dtype)
