"""The way that parameters take in training: recorded after every epoch."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.machine.compiling import own_programs
from jaxgd.training.fitting import begin_run, check_run, drive, initial_params, is_traced, traced_run
from jaxgd.training.pacing import ByEpochs
from jaxgd.training.states import RUNNING, TrainState
from jaxgd.training.trainers import Trainer


class Recorded(NamedTuple):
    """A run before training and after each epoch: every leaf is [epochs + 1, ...].

    status: int32, as of `TrainState`.
    """

    params: Any
    model_state: Any
    status: Any


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
    return recorded_run(trainer, key, epochs).params


def recorded_run(trainer: Trainer, key: jax.Array, epochs: int) -> Recorded:
    """The run before training and after each epoch."""
    epochs = check_run(trainer, key, epochs)
    if is_traced((trainer, key)):
        return _traced_run(trainer, key, epochs)
    with own_programs() as checks:
        course = begin_run(trainer, key, epochs)
        path = [_copied(course.state)]
        path += [_copied(course.state) for _ in drive(course, ByEpochs(trainer, epochs), checks)]
    path += path[-1:] * (epochs + 1 - len(path))  # a run that has stopped stays where it is
    return jax.tree.map(lambda *points: np.stack(points), *path)


def _copied(state: TrainState) -> Recorded:
    # A segment takes over its state's memory, which an array of NumPy's may share.
    return jax.tree.map(lambda x: np.array(x, copy=True), _seen(state))


def _seen(state: TrainState) -> Recorded:
    return Recorded(state.params, state.model_state, state.status)


def _traced_run(trainer: Trainer, key: jax.Array, epochs: int) -> Recorded:
    params = initial_params(trainer.problem.init, key)
    _, _, path = traced_run(trainer, key, epochs, seen=_seen)
    start = Recorded(params, trainer.problem.model_state, jnp.int32(RUNNING))
    return jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), start, path)
