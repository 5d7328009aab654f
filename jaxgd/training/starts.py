"""What a run goes on from: the state of another one, or its own state and history."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.training.carrying import COUNTS
from jaxgd.training.states import TrainState
from jaxgd.training.trainers import Trainer

# What a new run takes of another one's state.
_TAKEN = ("params", "opt_state", "model_state")


def goes_on(start: Any) -> bool:
    """Whether a start is the pair of state and history with which the same run goes on."""
    return isinstance(start, tuple) and len(start) == 2 and isinstance(start[0], TrainState)


def check_start(start: Any, trainer: Trainer, key: jax.Array, fresh: tuple[TrainState, dict]) -> None:
    """Raise unless a run of this trainer can go on from this start.

    Args:
        start: what a person gave.
        trainer: the trainer.
        key: the run's key.
        fresh: shapes and dtypes of the state and the history that the run would begin with by itself.

    Raises:
        TypeError, ValueError: one line that names the first difference.
    """
    if not isinstance(start, TrainState) and not goes_on(start):
        raise TypeError(
            "start must be a state, such as fit(...).state, or a pair (state, history), such as iterate "
            f"gives, got {type(start).__name__}"
        )
    state: Any = start[0] if goes_on(start) else start
    for name in TrainState._fields if goes_on(start) else _TAKEN:
        if name != "key":
            _check_alike(name, getattr(state, name), getattr(fresh[0], name))
    if goes_on(start):
        _check_history(start[1], fresh[1])
        _check_place(trainer, key, state, start[1])


def _check_alike(name: str, given: Any, needed: Any) -> None:
    """Raise unless the trees have the same structure, shapes and dtypes."""
    shapes = [
        {
            f"{name}{jax.tree_util.keystr(path)}": f"{jnp.result_type(x)}{list(jnp.shape(x))}"
            for path, x in found
        }
        for found in map(jax.tree_util.tree_leaves_with_path, (given, needed))
    ]
    for path in {**shapes[0], **shapes[1]}:
        found, wanted = (shape.get(path, "nothing") for shape in shapes)
        if found != wanted:
            raise ValueError(f"start does not fit the trainer: its {path} is {found}, {wanted} is needed")
    if jax.tree.structure(given) != jax.tree.structure(needed):
        raise ValueError(f"start does not fit the trainer: its {name} has another structure")


def _check_history(given: dict[str, Any], needed: dict[str, Any]) -> None:
    if set(given) != set(needed):
        raise ValueError(f"start has a history of {', '.join(given)}; {', '.join(needed)} is needed")
    rows, epochs = len(given[COUNTS[0]]), len(needed[COUNTS[0]])
    if rows > epochs:
        raise ValueError(f"epochs must be {rows} or more, as many as start's history has, got {epochs}")


def _check_place(trainer: Trainer, key: jax.Array, state: TrainState, history: dict[str, Any]) -> None:
    """Raise unless it is the run of this key, where one of its batches begins or is under way."""
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((trainer, key, state))):
        raise TypeError("a run goes on from (state, history) on the host: inside jit give a state as start")
    keys = jax.device_get([jax.random.key_data(each) for each in (key, state.key)])
    if not np.array_equal(*keys):
        raise ValueError("key must be that of the run that goes on from start=(state, history)")
    num, partial = int(trainer.problem.num_examples), state.sums.partial
    used = examples_gone(trainer, state, history) % num
    size = int(trainer.at_epoch(int(state.epoch)).examples_per_batch)
    if used % size and used < num - 1 and (partial is None or not float(partial.total.weight)):
        raise ValueError(
            f"start is {used} examples into an epoch, which is no whole number of batches of {size}: change "
            "the batch size at an epoch's end, or begin a new run by start=state"
        )


def examples_gone(trainer: Trainer, state: TrainState, history: dict[str, Any]) -> int:
    """How many examples of all its epochs a run has behind it.

    Of 20 examples an epoch, a run in its third (epoch 2, from 0) that has counted 44 has used 4 of it where
    the rows count 20 and 40 examples: 44 are behind it. Where a remainder of 4 is dropped the rows count 16
    and 32, so 44 is 12 into the third: 52 are behind it.
    """
    num, used = int(trainer.problem.num_examples), used_in_epoch(state, history)
    # All may be used in an epoch that is still to be closed.
    return int(state.epoch) * num + min(used, num - 1)


def used_in_epoch(state: TrainState, history: dict[str, Any]) -> int:
    """How many examples of the epoch under way a run has counted."""
    epoch, examples, rows = jax.device_get((state.epoch, state.examples, history["examples"]))
    return int(examples) - int(rows[epoch - 1] if epoch else 0)
