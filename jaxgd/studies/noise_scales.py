"""The gradient noise scale: how large a batch is worth its examples, estimated from norms of gradients.

Source: McCandlish, Kaplan, Amodei and OpenAI Dota Team 2018, "An Empirical Model of Large-Batch Training".
"""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from jaxgd.arguments import whole_number
from jaxgd.studies.intervals import CONFIDENCE
from jaxgd.studies.ratios import ratio_ends


class NoiseScale(NamedTuple):
    """The simple noise scale `tr Σ / |G|²` and its 95 % interval.

    Attributes:
        value: the ratio of the means over steps; NaN where there is none, and then
        reason: says why, or why there is no interval; "" otherwise.
        low: the lower end of the interval, 0 or more; NaN where it is not known.
        high: its upper end, infinite where `|G|²` may be 0.
        trace: the mean of the estimates of tr Σ, the variance of one example's gradient.
        squared_norm: the mean of the estimates of `|G|²`, of the exact gradient.
        steps: how many steps, or epochs of a history, they are means of.
    """

    value: float
    low: float
    high: float
    trace: float
    squared_norm: float
    steps: int
    reason: str

    @property
    def interval(self) -> tuple[float, float]:
        """`(low, high)`."""
        return self.low, self.high


def gradient_noise_scale(
    small_squared_norm: Any, large_squared_norm: Any, small_batch: Any, large_batch: Any, *, blocks: int = 20
) -> NoiseScale:
    """The gradient noise scale from squared norms of gradients at two batch sizes, one pair at each step.

    `|G|² = (B q_B - b q_b) / (B - b)` and `S = (q_b - q_B) / (1 / b - 1 / B)` are unbiased, for the squared
    norms q at the batch sizes b < B. Both are averaged over the steps first and divided last. The interval
    is Fieller's, with errors from a jackknife over blocks of consecutive steps, which are more nearly
    independent than the steps are.

    Average over steps between which the gradient changes little: late and early ones have different scales.

    Args:
        small_squared_norm: [steps], of the gradient of a small batch, or the mean over several.
        large_squared_norm: [steps], of the gradient of a large batch, which may be those small ones together.
        small_batch: examples in a small batch, a number or [steps], 1 or more.
        large_batch: examples in a large one, more than in a small one.
        blocks: of the jackknife, 2 or more; there are no more than steps.

    Raises:
        ValueError: no steps, different lengths, batch sizes out of order.

    Source: McCandlish et al. 2018, appendix A.1, equations A.1 to A.5; Fieller 1954.

    Example:
        >>> import jaxgd
        >>> found = jaxgd.studies.gradient_noise_scale([3.0], [2.0], small_batch=1, large_batch=4)
        >>> round(found.trace, 4), round(found.squared_norm, 4), round(found.value, 4)
        (1.3333, 1.6667, 0.8)
    """
    small, large = (np.asarray(x, np.float64) for x in (small_squared_norm, large_squared_norm))
    if small.ndim != 1 or small.shape != large.shape or not small.size:
        raise ValueError(
            "small_squared_norm and large_squared_norm must be numbers of one or more steps, [steps], got "
            f"shapes {list(small.shape)} and {list(large.shape)}"
        )
    b, big = (
        _batches("small_batch", small_batch, small.size),
        _batches("large_batch", large_batch, small.size),
    )
    if not (b < big).all():
        place = int(np.argmin(b < big))
        raise ValueError(
            f"large_batch must be above small_batch, got {big[place]:g} and {b[place]:g} at step {place}"
        )
    blocks = whole_number("blocks", blocks, 2)
    squared_norms = (big * large - b * small) / (big - b)
    traces = (small - large) / (1 / b - 1 / big)
    return ratio_of_means(traces, squared_norms, blocks, "step")


def ratio_of_means(traces: np.ndarray, squared_norms: np.ndarray, blocks: int, unit: str) -> NoiseScale:
    """The noise scale of estimates of tr Σ and `|G|²`, one or more pairs in the order of training.

    blocks: of the jackknife, at most. unit: what a pair is of, "step" or "epoch".
    """
    squared_norm, trace = float(squared_norms.mean()), float(traces.mean())
    reason = _why_none(trace, squared_norm)
    value = math.nan if reason else trace / squared_norm
    low = high = math.nan
    if not reason:
        low, high, reason = _jackknifed(traces, squared_norms, min(blocks, traces.size), unit)
    return NoiseScale(value, float(low), float(high), trace, squared_norm, traces.size, reason)


def _batches(name: str, given: Any, steps: int) -> np.ndarray:
    sizes = np.asarray(given, np.float64)
    if sizes.shape not in ((), (steps,)):
        raise ValueError(f"{name} must be a number or [{steps}], got shape {list(sizes.shape)}")
    good = np.isfinite(sizes) & (sizes >= 1)
    if not good.all():
        raise ValueError(f"{name} must be 1 or more examples, got {np.atleast_1d(sizes)[~good.ravel()][0]:g}")
    return np.broadcast_to(sizes, steps)


def _why_none(trace: float, squared_norm: float) -> str:
    if not math.isfinite(trace + squared_norm):
        return "a squared norm is not finite"
    if squared_norm <= 0:
        return f"the estimate of |G|² is {squared_norm:.3g}, not above 0: the gradient is lost in its noise"
    if trace < 0:
        return f"the estimate of tr Σ is {trace:.3g}, below 0: no noise can be told from none"
    return ""


def _jackknifed(
    traces: np.ndarray, squared_norms: np.ndarray, blocks: int, unit: str
) -> tuple[float, float, str]:
    """The ends of the interval, Fieller's with errors of the jackknife, and why one is missing."""
    if blocks < 2:
        return math.nan, math.nan, f"one {unit} has no interval"
    parts = np.array([[part.sum() for part in np.array_split(x, blocks)] for x in (traces, squared_norms)])
    sizes = np.array([part.size for part in np.array_split(traces, blocks)])
    without = (parts.sum(axis=1, keepdims=True) - parts) / (traces.size - sizes)
    (trace_error, shared), (_, norm_error) = (blocks - 1) ** 2 / blocks * np.cov(without)
    quantile = float(stdtrit(blocks - 1, (1 + CONFIDENCE) / 2))
    low, high = ratio_ends(
        float(traces.mean()), float(squared_norms.mean()), (trace_error, norm_error), shared, quantile
    )
    if math.isinf(high):
        return low, high, f"|G|² may be 0, so that there is no upper end: more {unit}s are needed"
    return low, high, ""
