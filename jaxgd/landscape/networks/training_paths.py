"""The way that parameters take in training: recorded after every epoch."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.machine.switches import own_programs
from jaxgd.training.fitting import (
    begin_run,
    check_end,
    check_run,
    extent,
    initial_params,
    is_traced,
    orders_of,
    segment,
    traced_run,
)
from jaxgd.training.states import TrainState
from jaxgd.training.trainers import Trainer


def training_path(trainer: Trainer, key: jax.Array, epochs: int) -> Any:
    """The parameters before training and after each epoch, stacked: every leaf is [epochs + 1, ...].

    The run is that of `fit`, bit for bit: its last point is `fit(...).state.params`, unless a rule chooses
    other parameters at the end (the best, an average). Pure like `fit`: under `vmap` over keys or over
    stacked trainers the paths have those axes in front.

    Args:
        trainer: as `jaxgd.trainer(...)` builds it.
        key: a PRNG key.
        epochs: 1 or more; with a full batch an epoch is one update.
    """
    return recorded_run(trainer, key, epochs)[0]


def recorded_run(trainer: Trainer, key: jax.Array, epochs: int) -> tuple[Any, Any]:
    """`(params, model_state)` before training and after each epoch, each leaf [epochs + 1, ...]."""
    epochs = check_run(trainer, key, epochs)
    if is_traced((trainer, key)):
        return _traced_run(trainer, key, epochs)
    num = trainer.problem.num_examples
    with own_programs() as checks:
        state, history = begin_run(trainer, key, epochs)
        path = [_copied(state)]
        first, orders = orders_of(trainer, key, 0, epochs)
        for epoch in range(epochs):
            if epoch >= first + len(orders):
                first, orders = orders_of(trainer, key, epoch, epochs)
            one_epoch = extent(epoch * num, (epoch + 1) * num, num)
            state, history = segment(trainer, state, history, orders, first, one_epoch)
            path.append(_copied(state))
        check_end(trainer, key, epochs, state, history, checks)
    return jax.tree.map(lambda *points: np.stack(points), *path)


def _copied(state: TrainState) -> tuple[Any, Any]:
    # A segment takes over its state's memory, which an array of NumPy's may share.
    return jax.tree.map(lambda x: np.array(x, copy=True), (state.params, state.model_state))


def _traced_run(trainer: Trainer, key: jax.Array, epochs: int) -> tuple[Any, Any]:
    params = initial_params(trainer.problem.init, key)
    _, _, path = traced_run(trainer, key, epochs, lambda state: (state.params, state.model_state))
    start = params, trainer.problem.model_state
    return jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), start, path)
