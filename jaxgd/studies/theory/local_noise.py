"""The noise scale of a gradient, its Hessian and its covariance at one point, and the rates that follow.

Source: McCandlish, Kaplan, Amodei and OpenAI Dota Team 2018, "An Empirical Model of Large-Batch Training".
"""

import math
from typing import Any, NamedTuple

import numpy as np


class LocalNoiseScale(NamedTuple):
    """Noise scales at a point, and the best learning rates that follow from them.

    Attributes:
        simple: `B_simple = tr Σ / |G|²`, which needs no Hessian.
        noise: `B_noise = tr HΣ / Gᵀ H G`, that of the quadratic the loss is like there.
        largest_rate: `|G|² / Gᵀ H G`, the best rate of the exact gradient.
    """

    simple: float
    noise: float
    largest_rate: float

    def learning_rate(self, batch_size: Any) -> Any:
        """The rate whose next update lowers the expected loss most: `largest_rate / (1 + noise / B)`."""
        return self.largest_rate / (1 + self.noise / np.asarray(batch_size, np.float64))


def local_noise_scale(gradient: Any, hessian: Any, covariance: Any) -> LocalNoiseScale:
    """The noise scales of a gradient G, a Hessian H and the covariance Σ of one example's gradient.

    NaN where the divisor is not above 0: the gradient is 0, or the loss curves down along it.

    Args:
        gradient: [d].
        hessian: [d, d].
        covariance: [d, d].

    Raises:
        ValueError: shapes that do not go together.

    Source: McCandlish et al. 2018, equations 2.7 to 2.9.

    Example:
        >>> import jaxgd, numpy as np
        >>> found = jaxgd.studies.local_noise_scale([1, 1], np.diag([2, 0.5]), np.diag([4, 1]))
        >>> found.noise, found.simple, found.largest_rate
        (3.4, 2.5, 0.8)
    """
    g, h, covariance = (np.asarray(x, np.float64) for x in (gradient, hessian, covariance))
    if g.ndim != 1 or h.shape != covariance.shape or h.shape != (g.size, g.size):
        raise ValueError(
            "gradient, hessian and covariance must have shapes [d], [d, d] and [d, d], got "
            f"{list(g.shape)}, {list(h.shape)} and {list(covariance.shape)}"
        )
    return _local(
        float(g @ g), float(g @ h @ g), float(np.trace(covariance)), float(np.sum(h * covariance.T))
    )


def _local(squared_norm: float, curvature: float, trace: float, curved_trace: float) -> LocalNoiseScale:
    return LocalNoiseScale(
        trace / squared_norm if squared_norm > 0 else math.nan,
        curved_trace / curvature if curvature > 0 else math.nan,
        squared_norm / curvature if curvature > 0 else math.nan,
    )
