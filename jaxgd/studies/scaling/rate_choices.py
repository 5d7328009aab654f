"""Which learning rate reaches a goal first, and how much of that is chance."""

import numpy as np

RESAMPLES = 200


def chosen_rates(log_steps: np.ndarray, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """The place of the best rate at each batch size, int64[..., n]; -1 where no trial gets there.

    The best has fewest misses, then the least mean of log updates over the trials that get there, then the
    smaller rate.

    Args:
        log_steps: [n, r, s] of the tuning seeds; infinite for a miss, NaN where there is no trial.
        weights: [..., 1, 1, s], how often each seed counts.
    """
    reached = np.isfinite(log_steps)
    tried, hits = ((~np.isnan(log_steps) * weights).sum(-1), (reached * weights).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        hit_rate = np.where(hits > 0, hits / tried, -1.0)
        mean = np.where(hits > 0, (np.where(reached, log_steps, 0) * weights).sum(-1) / hits, np.inf)
    most = hit_rate >= hit_rate.max(-1, keepdims=True) - 1e-9
    return np.where(hits.max(-1) > 0, np.where(most, mean, np.inf).argmin(-1), -1)


def resampled_choices(log_steps: np.ndarray) -> np.ndarray:
    """The places that resamples of the tuning seeds choose, int64[resamples, n]; log_steps as above."""
    count = log_steps.shape[-1]
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return chosen_rates(log_steps, drawn[:, None, None].astype(float))
