"""The learning rate of each method and batch size: the best mean over the seeds that tune, and no others."""

import numpy as np


def tuning_means(values: np.ndarray, tuning: np.ndarray) -> np.ndarray:
    """The mean of each rate over the seeds that tune, [m, n, r]; NaN where a seed has no value, or diverged.

    Args:
        values: float64[m, n, r, s].
        tuning: int64[t], places of seeds.
    """
    return values[..., tuning].mean(-1)


def tuned_rates(means: np.ndarray, mode: str) -> np.ndarray:
    """The place of each best rate, int64[m, n]: the smallest of equals, -1 where no rate has a mean."""
    badness = np.where(np.isnan(means), np.inf, means if mode == "min" else -means)
    return np.where(np.isfinite(badness).any(-1), badness.argmin(-1), -1)


def at_rates(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """What belongs to each place's rate, [m, n, ...] of [m, n, r, ...]; of the first rate where it is -1."""
    index = np.maximum(places, 0).reshape(*places.shape, *[1] * (values.ndim - 2))
    return np.take_along_axis(values, index, 2)[:, :, 0]
