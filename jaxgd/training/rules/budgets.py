"""The rule that ends a run once its budget of updates, examples or epochs is spent."""

from typing import Any

import jax.numpy as jnp

from jaxgd.aliases import Number
from jaxgd.training.rules.rule import NEVER, Rule, count_leaf
from jaxgd.training.trainers import Trainer, with_rule

BUDGET_SPENT = 3


class Budget(Rule):
    """The rule behind `budget`; all but one of its fields are None."""

    updates: Any
    examples: Any
    epochs: Any

    def __repr__(self):
        given = [(k, v) for k, v in vars(self).items() if v is not None]
        return f"budget({', '.join(f'{name}={value}' for name, value in given)})"

    def stop_position(self, own, seen, state, begin):
        """Where in the epoch the last batch that fits ends."""
        size, end = seen.examples_per_batch, seen.epoch_end
        if self.updates is not None:
            return batches_end(begin, self.updates - state.updates, size, end)
        if self.examples is None:
            return None
        left = self.examples - state.examples
        return jnp.where(left >= end - begin, end, begin + left // size * size)

    def after_epoch(self, own, seen, state, row):
        """Spent if no further batch fits."""
        if self.updates is not None:
            is_spent = state.updates >= self.updates
        elif self.examples is not None:
            next_batch = jnp.minimum(seen.examples_per_batch, seen.epoch_end)
            is_spent = (self.examples - state.examples < next_batch) & (self.examples < NEVER)
        else:
            is_spent = state.epoch + 1 >= self.epochs
        return own, jnp.where(is_spent, BUDGET_SPENT, 0)


def batches_end(begin: Any, batches: Any, size: Any, end: Any) -> Any:
    """Where in an epoch so many batches of `size` examples from `begin` on end; `end` if they go beyond.

    The product is only of a number of batches that the epoch has: any other could exceed 32 bits.
    """
    in_epoch = -(-(end - begin) // size)
    return jnp.where(batches >= in_epoch, end, begin + batches * size)


def budget(
    trainer: Trainer,
    *,
    updates: Number | None = None,
    examples: Number | None = None,
    epochs: Number | None = None,
) -> Trainer:
    """The trainer whose runs end at equal updates, equal examples or equal epochs, whatever their batch size.

    A budget is never exceeded: a batch that does not fit into what is left of the examples is not begun. The
    epoch in which a run ends gets its row of the history, with the train loss over the examples it used. The
    run's status is then 3, "budget spent". `fit` must be given epochs enough for the budget; one that the run
    does not reach, such as infinity, bounds nothing.

    Args:
        trainer: the trainer.
        updates: at most so many updates; a whole number, 1 or more, or infinity; may be traced and swept.
        examples: at most so many examples, the same.
        epochs: at most so many epochs, the same.

    Raises:
        ValueError, TypeError: none or more than one of the three, a number that is not whole or below 1.
    """
    given = {"updates": updates, "examples": examples, "epochs": epochs}
    if sum(value is not None for value in given.values()) != 1:
        raise ValueError(f"budget needs exactly one of updates, examples and epochs, got {given}")
    leaves = {
        name: None if value is None else count_leaf(name, value, "", 1) for name, value in given.items()
    }
    return with_rule(trainer, Budget(**leaves))
