"""What a run shows its rules, and the numbers of a batch that one of them has declared to read."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxgd.aliases import FloatScalar, ModelState, Params
from jaxgd.numerics import squared_norm
from jaxgd.training.gradients import BatchLoss, or_one
from jaxgd.training.rules.rule import Observation
from jaxgd.training.states import TrainState
from jaxgd.training.trainers import Trainer


def observation(trainer: Trainer, params: Params, model_state: ModelState, **numbers: Any) -> Observation:
    """What the rules see."""
    size, end = trainer.examples_per_batch, trainer.epoch_end
    return Observation(trainer.problem, params, size, end, model_state=model_state, **numbers)


def scored(trainer: Trainer, state: TrainState, name: str | None) -> Observation:
    """What a rule sees that watches this entry of the history: the parameters that it is a score of."""
    seen = observation(trainer, state.params, state.model_state)
    for rule, own in reversed(list(zip(trainer.rules, state.rules, strict=True))):
        if name in rule.history_names(trainer.problem):
            params, model_state = rule.scored(own, seen)
            return seen._replace(params=params, model_state=model_state)
    return seen


def numbers_read(
    trainer: Trainer, state: TrainState, total: BatchLoss, last: BatchLoss | None
) -> dict[str, FloatScalar]:
    """The numbers of a whole batch that the rules read, by name.

    last: what its last micro-batch gave, sums, where a rule reads of it; None where a batch is one.
    """
    reads, partial = _reads(trainer), state.sums.partial
    if not reads:
        return {}
    norm, size, squares = squared_norm(total.grads, trainer.has_batches_of_one), total.weight, total.squares
    micro_norm, micro_size = norm, size
    summed = [] if partial is None else list(partial.numbers.totals[2:])
    if summed and reads_micro_batches(trainer):
        norms, inverses, count, *summed = summed
        micro_norm, micro_size = norms / or_one(count), count / or_one(inverses)
    if summed:
        squares = summed.pop()
    last_norm, last_size = norm, size
    if last is not None:
        last_norm, last_size = squared_norm(last.grads) / or_one(last.weight) ** 2, last.weight
    found = {"squared_norm": norm, "micro_squared_norm": micro_norm, "last_squared_norm": last_norm}
    found |= {"batch_size": size, "micro_batch_size": micro_size, "last_batch_size": last_size}
    if squares is not None:
        found["example_squared_norm"] = squares / or_one(size)
    return {name: found[name] for name in reads}


def micro_numbers(trainer: Trainer, total: BatchLoss) -> tuple[jax.Array, ...]:
    """What is summed of a micro-batch for rules that read it: its mean's squared norm, 1 / size, and 1.

    Of micro-batches of 3, 3 and 2 examples the sums are of 3 norms, 1/3 + 1/3 + 1/2 = 7/6, and 3: a size of
    18/7, the one at which a mean gradient varies as much as these do on average. For rules that read of
    examples the sum of their squared norms comes last.
    """
    squares = () if total.squares is None else (total.squares,)
    if not reads_micro_batches(trainer):
        return squares
    is_any = total.weight != 0
    inverse = jnp.where(is_any, 1 / or_one(total.weight), 0)
    return squared_norm(total.grads) * inverse**2, inverse, is_any, *squares


def num_micro_numbers(trainer: Trainer) -> int:
    """How many numbers `micro_numbers` gives."""
    return 3 * reads_micro_batches(trainer) + reads_examples(trainer)


def reads_micro_batches(trainer: Trainer) -> bool:
    """Whether a rule reads of micro-batches."""
    return not _reads(trainer).isdisjoint(("micro_squared_norm", "micro_batch_size"))


def reads_last(trainer: Trainer) -> bool:
    """Whether a rule reads of the last micro-batch of each batch."""
    return not _reads(trainer).isdisjoint(("last_squared_norm", "last_batch_size"))


def reads_examples(trainer: Trainer) -> bool:
    """Whether a rule reads of the gradients of single examples."""
    return "example_squared_norm" in _reads(trainer)


def _reads(trainer: Trainer) -> set[str]:
    return {name for rule in trainer.rules for name in rule.reads}
