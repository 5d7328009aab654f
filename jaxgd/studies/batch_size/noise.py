"""The gradient noise scale along training, in a few runs of their own."""

from collections.abc import Sequence

import numpy as np

from jaxgd.studies.batch_size.found import NoiseAt
from jaxgd.studies.noise_over_training import noise_scale_over_training
from jaxgd.sweeps import sweep
from jaxgd.training import Trainer, noise_scale

_STRETCHES = 10


def noise_along(
    trainer: Trainer, method: str, learning_rate: float, epochs: int, seeds: Sequence[int]
) -> NoiseAt:
    """The noise scale of runs of these seeds, in at most ten stretches of training and as a whole.

    Args:
        trainer: with micro-batches.
        method: what the runs are called.
        learning_rate: of the runs.
        epochs: of each run.
        seeds: of the runs.
    """
    measuring = noise_scale(trainer)
    result = sweep(lambda hp: measuring, {"seed": list(seeds)}, epochs, progress=False)
    stretches = noise_scale_over_training(result, min(_STRETCHES, epochs))
    (whole,) = noise_scale_over_training(result)
    return NoiseAt(
        method=method,
        batch_size=float(trainer.examples_per_batch),
        learning_rate=learning_rate,
        epochs=np.array([(one.first + one.last) / 2 for one in stretches]),
        scales=[one.scale for one in stretches],
        whole=whole.scale,
    )
