"""Sharpness along training, and the limit above which gradient descent is unstable (Cohen et al. 2021)."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.arguments import whole_number
from jaxgd.landscape.networks.objectives import CHUNK
from jaxgd.landscape.networks.planes import losses_of
from jaxgd.landscape.networks.spectra import eigenvalues_of
from jaxgd.landscape.networks.stacks import Lanes
from jaxgd.landscape.networks.training_paths import Recorded, recorded_run
from jaxgd.optim.layouts import Recursion
from jaxgd.training.fitting import check_run
from jaxgd.training.states import DIVERGED, STATUS_WORDS
from jaxgd.training.trainers import Trainer


class SharpnessPath(NamedTuple):
    """The largest eigenvalue of the Hessian and the loss along training, for one run or for many.

    epochs: int [n], epochs ended, 0 before training. sharpness, loss: [n], or [runs, n]. limit: [n], the
    sharpness above which the optimizer is unstable on a quadratic; NaN where it has no such number. status:
    how each run ended, a word as of `fit`, or [runs]; sharpness and loss are NaN from where it diverged on.
    """

    epochs: np.ndarray
    sharpness: np.ndarray
    loss: np.ndarray
    limit: np.ndarray
    status: np.ndarray = np.array("completed")


def sharpness_along(
    trainer: Trainer,
    key: jax.Array | Sequence[jax.Array],
    epochs: int,
    every: int = 1,
    *,
    probe_key: jax.Array | None = None,
    **options: Any,
) -> SharpnessPath:
    """The sharpness of a run before training and after every so many epochs, against its limit of stability.

    Full-batch gradient descent drives the sharpness up to `2 / learning_rate` and then hovers there, at the
    edge of stability. With mini-batches it tends to stay below; the limit is then for orientation.

    Args:
        trainer: as `jaxgd.trainer(...)` builds it.
        key: a PRNG key, or a list of keys, a run for each.
        epochs: 1 or more; with a full batch an epoch is one update.
        every: epochs between two measurements; the last epoch is measured too.
        probe_key: draws the starting vector of Lanczos' recursion; `key(0)` if None.
        options: `steps`, `split`, `chunk` of `jaxgd.curvature.extreme_eigenvalues`.
    """
    step = whole_number("every", every, unit=" of epochs")
    keys: list[Any] = list(key) if isinstance(key, list | tuple) else [key]
    if not keys:
        raise ValueError("key must be a PRNG key or a list of them, got an empty list")
    epochs = check_run(trainer, keys[0], epochs)
    runs = [recorded_run(trainer, one, epochs) for one in keys]
    measured = np.unique([*range(0, epochs + 1, step), epochs])
    points = jax.tree.map(lambda *leaves: np.stack(leaves)[:, measured], *runs)
    if not isinstance(key, list | tuple):
        points = jax.tree.map(lambda leaf: leaf[0], points)
    probe_key = jax.random.key(0) if probe_key is None else probe_key
    return measured_path(trainer, points, measured, probe_key, **options)


def measured_path(
    trainer: Trainer,
    points: Recorded,
    measured: np.ndarray,
    probe_key: jax.Array,
    steps: int | None = None,
    split: str = "train",
    chunk: int = CHUNK,
) -> SharpnessPath:
    """The sharpness where a run was after the epochs `measured` [n].

    points: the run there, each leaf [n, ...], or [runs, n, ...].
    """
    lanes = Lanes.of(trainer.problem, points.params, split, chunk, points.model_state)
    values = np.asarray(eigenvalues_of(lanes, probe_key, steps).largest[..., 0])
    status, losses = np.asarray(points.status), np.asarray(losses_of(lanes))
    values, losses = (np.where(status == DIVERGED, np.nan, numbers) for numbers in (values, losses))
    updates = _updates(trainer, int(measured[-1]))
    limit = np.array([stability_limit(trainer.optimizer, made) for made in updates])
    words = np.array(STATUS_WORDS)[status[..., -1]]
    return SharpnessPath(measured, values, losses, limit[measured], words)


def stability_limit(optimizer: Any, update: int = 0) -> float:
    """The curvature above which an optimizer diverges on a quadratic with the exact gradient.

    Gradient descent: `2 / learning_rate`. Heavy ball: `2 (1 + b) / learning_rate`. Nesterov:
    `2 (1 + b) / (learning_rate (1 + 2 b))`. NaN for the others: what an adaptive rate makes of the Hessian
    depends on its state.

    Args:
        optimizer: an optimizer.
        update: at which update (from 0), where the rate is a schedule.
    """
    numbers = optimizer.coefficients if isinstance(optimizer, Recursion) else None
    if numbers is None or numbers.v_in is not None:
        return math.nan
    rate: Any = numbers.learning_rate
    rate = rate(update) if callable(rate) else rate
    decay = 0.0 if numbers.m_decay is None else float(numbers.m_decay)
    divisor = float(rate) * (1 + 2 * decay if numbers.from_g is not None else 1)
    return 2 * (1 + decay) / divisor if divisor else math.inf


def _updates(trainer: Trainer, epochs: int) -> list[int]:
    """The updates made before training and after each epoch."""
    made, num = [0], trainer.problem.num_examples
    for epoch in range(epochs):
        size = int(trainer.at_epoch(epoch).examples_per_batch)
        made.append(made[-1] + (num // size if trainer.remainder.value == "drop" else -(-num // size)))
    return made
