"""The rule that keeps an average of the weights."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.training.gradients import split_means
from jaxgd.training.rules import Rule, number, with_rule
from jaxgd.training.trainers import Trainer


class AverageWeights(Rule):
    """The rule behind `average_weights`. Its state: the average, and int32[] updates averaged over."""

    one_minus_decay: Any
    start: Any

    acts_on_updates = True

    def __repr__(self):
        decay = None if self.one_minus_decay is None else 1 - self.one_minus_decay
        return f"average_weights(decay={decay}, start={self.start})"

    def init(self, params):
        """The first parameters."""
        return params, jnp.zeros((), jnp.int32)

    def after_update(self, own, params):
        """The average with these parameters in it; they alone until `start` updates have been made."""
        average, count = own
        count = count + 1
        averaged = count - self.start
        if self.one_minus_decay is None:
            weight = 1 / jnp.maximum(averaged, 1).astype(jnp.result_type(float))
        else:
            weight = jnp.where(averaged > 0, self.one_minus_decay, 1)
        new = jax.tree.map(lambda a, p: (a + weight * (p - a)).astype(a.dtype), average, params)
        return new, count.astype(jnp.int32)

    def history_names(self, trainer):
        """What validation gives, for the average."""
        if trainer.problem.valid is None:
            return ()
        return tuple(f"average_valid_{name}" for name in ("loss", *trainer.problem.metrics))

    def measure(self, own, trainer, state):
        """Validation by the average."""
        problem = trainer.problem
        if problem.valid is None:
            return {}
        means = split_means(problem, own[0], problem.valid, state.model_state)
        return {f"average_valid_{name}": value for name, value in means.items()}


def average_weights(trainer: Trainer, decay: Any = None, start: Any = 0) -> Trainer:
    """The trainer that keeps an average of its parameters and validates it beside them.

    The run itself is unchanged. The history gains `average_valid_loss` and `average_valid_<metric>`; the
    average is in the rule's state, `average, count = fit.state.rules[i]`.

    Args:
        trainer: the trainer.
        decay: None for the mean of all parameters since `start` (Polyak and Juditsky, 1992), or the decay
            rate of an exponential moving average, from 0 to below 1: `average = decay * average + (1 - decay)
            * params`, from the parameters at `start` on and not debiased. May be traced.
        start: updates before the average starts, 0 or more; until then it is the parameters themselves.

    Raises:
        ValueError, TypeError: a number out of range.
    """
    complement = None
    if decay is not None:
        decay = number("decay", decay, "from 0 to below 1, or None", lambda x: (x >= 0) & (x < 1))
        complement = 1 - decay
    start = number("start", start, "a whole number of updates, 0 or more", lambda x: x >= 0, np.int32)
    return with_rule(trainer, AverageWeights(complement, start))
