"""The rule that keeps an average of the weights."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxgd.aliases import Number
from jaxgd.numerics import common_dtype
from jaxgd.optim.hyperparameters import number
from jaxgd.training.gradients import split_means
from jaxgd.training.rules.rule import Rule, count_leaf
from jaxgd.training.trainers import Trainer, with_rule


class AverageWeights(Rule):
    """The rule behind `average_weights`.

    Its state: the average, int32[] updates averaged over, and the average of the model state if there is one.
    """

    one_minus_decay: Any
    start: Any

    acts_on_updates = True

    def __repr__(self):
        decay = None if self.one_minus_decay is None else 1 - self.one_minus_decay
        return f"average_weights(decay={decay}, start={self.start})"

    def init(self, seen):
        """The first parameters."""
        states = () if seen.model_state is None else (jax.tree.map(_wide, seen.model_state),)
        return jax.tree.map(_wide, seen.params), jnp.zeros((), jnp.int32), *states

    def after_update(self, own, seen):
        """The average with these parameters in it; they alone until `start` updates have been made."""
        average, count, *states = own
        count = count + 1
        averaged = count - self.start
        if self.one_minus_decay is None:
            weight = 1 / jnp.maximum(averaged, 1).astype(jnp.result_type(float))
        else:
            weight = jnp.where(averaged > 0, self.one_minus_decay, 1)

        def moved(average, new):
            return jax.tree.map(lambda a, n: _moved(a, n, weight), average, new)

        states = [moved(state, seen.model_state) for state in states]
        return moved(average, seen.params), count.astype(jnp.int32), *states

    def history_names(self, problem):
        """What validation gives, for the average."""
        if problem.valid is None:
            return ()
        return tuple(f"average_valid_{name}" for name in ("loss", *problem.metrics))

    def scored(self, own, seen):
        """The average, in the dtypes of what it is an average of."""
        average, _, *states = own
        model_state = _narrow(states[0], seen.model_state) if states else None
        return _narrow(average, seen.params), model_state

    def measure(self, own, seen, state):
        """Validation by the average."""
        if seen.problem.valid is None:
            return {}
        params, model_state = self.scored(own, seen)
        means = split_means(seen.problem, params, seen.problem.valid, model_state)
        return {f"average_valid_{name}": value for name, value in means.items()}


def _wide(leaf: jax.Array) -> jax.Array:
    """The leaf in a dtype that small steps do not vanish in: in bfloat16 an average would stand still."""
    is_averaged = jnp.issubdtype(leaf.dtype, jnp.inexact)
    return leaf.astype(common_dtype(leaf.dtype, jnp.float32)) if is_averaged else leaf


def _narrow(average: Any, like: Any) -> Any:
    return jax.tree.map(lambda a, x: a.astype(x.dtype), average, like)


def _moved(average: jax.Array, new: jax.Array, weight: jax.Array) -> jax.Array:
    """The average moved towards `new` by a share of `weight`; `new` itself where it is no floating-point."""
    if not jnp.issubdtype(average.dtype, jnp.inexact):
        return new
    if new.dtype != average.dtype:
        # Without this XLA takes the numbers that were to be rounded to the narrow dtype.
        kind = jnp.finfo(new.dtype)
        new = jax.lax.reduce_precision(new, kind.nexp, kind.nmant)
    dtype = common_dtype(average.dtype, weight.dtype)
    before = average.astype(dtype)
    return (before + weight.astype(dtype) * (new.astype(dtype) - before)).astype(average.dtype)


def average_weights(trainer: Trainer, decay: Number | None = None, start: Number = 0) -> Trainer:
    """The trainer that keeps an average of its parameters and validates it beside them.

    The run itself is unchanged, and so are its last parameters. The history gains `average_valid_loss` and
    `average_valid_<metric>`; the average is in the rule's state, `average, count = fit.state.rules[i]`, in
    float32 or wider whatever the parameters' dtype. `early_stopping` with the monitor `average_valid_loss`
    makes the run end with the average: that of the best epoch.

    A model state is averaged alongside, by the same weights: its floating-point arrays, the others are the
    last. It is what the average is validated with, and the rule's state is then `average, count, state`.

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
        complement = 1 - number("decay", decay, "from 0 to below 1, or None", lambda x: (x >= 0) & (x < 1))
    return with_rule(trainer, AverageWeights(complement, count_leaf("start", start, " of updates", 0)))
