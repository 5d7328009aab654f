"""Numbers with mean 0 and variance 1 over the training rows."""

import numpy as np

FLOAT32_MAX = float(np.finfo(np.float32).max)


def centre_and_scale(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean over the first axis, and 1 over the standard deviation; 0 where that is 0."""
    # The range is tested too: the mean of equal numbers rounds, and leaves a standard deviation above 0.
    spread = np.where(np.ptp(known, axis=0) > 0, known.std(axis=0), 0)
    return known.mean(axis=0), np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)


def standardised(values: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The values less the centre, times the scale: float32."""
    # An outlier in another part, beside a training part that hardly varies, can leave float32's range.
    return np.clip((values - centre) * scale, -FLOAT32_MAX, FLOAT32_MAX).astype(np.float32)
