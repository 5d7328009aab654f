"""Which batch size trains fastest at a noise scale, and what the others cost.

Source: McCandlish, Kaplan, Amodei and OpenAI Dota Team 2018, "An Empirical Model of Large-Batch Training".
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxgd.arguments import whole_number


class BatchSizeAdvice(NamedTuple):
    """What each batch size costs to the same loss, and which is fastest. Arrays by batch size, ascending.

    Attributes:
        batch_size: the fastest; the smallest of several.
        low: the fastest, were the noise scale the lower end of its interval; None without an interval.
        high: the same at the upper end.
        batch_sizes: int64[n].
        relative_time: float64[n], seconds over those of the fastest, `(1 + S / B) B / speed` up to a factor.
        relative_examples: float64[n], examples over the least possible: `1 + B / S`.
        relative_updates: float64[n], updates over the least possible: `1 + S / B`.
        updates: float64[n], `Smin + Emin / B`, None where no `(Smin, Emin)` was measured; so are
        examples: float64[n], `Emin + Smin B`, and
        seconds: float64[n], examples over examples per second.
    """

    batch_size: int
    low: int | None
    high: int | None
    batch_sizes: np.ndarray
    relative_time: np.ndarray
    relative_examples: np.ndarray
    relative_updates: np.ndarray
    updates: np.ndarray | None
    examples: np.ndarray | None
    seconds: np.ndarray | None


def recommend_batch_size(
    examples_per_second: Mapping[int, float],
    noise_scale: float,
    interval: tuple[float, float] | None = None,
    *,
    measured: tuple[float, float] | None = None,
) -> BatchSizeAdvice:
    """The batch size that trains fastest at this noise scale, and what the others cost beside it.

    At batch size B training takes `1 + S / B` times the fewest updates and `1 + B / S` times the fewest
    examples, for the noise scale S. How many the fewest are a noise scale does not say, so that times and
    examples are relative; only with a measured `(Smin, Emin)` are they absolute, and of S = Emin / Smin.

    Args:
        examples_per_second: by batch size, as `jaxgd.throughput` measures it: `{32: 9e3, 256: 4e4}`.
        noise_scale: S, above 0, in examples.
        interval: its ends, as `NoiseScale.interval`: from 0 on, the upper one may be infinite; None without.
        measured: `(Smin, Emin)`, the fewest updates and the fewest examples to the loss, above 0.

    Raises:
        ValueError: an argument out of its range.

    Source: McCandlish et al. 2018, equations 2.11 and 2.12.

    Example:
        >>> import jaxgd
        >>> speeds = {16: 10e3, 64: 36e3, 256: 100e3, 1024: 120e3}
        >>> advice = jaxgd.studies.recommend_batch_size(speeds, 64, (40, 1000), measured=(1000, 64000))
        >>> advice.batch_size, advice.low, advice.high, advice.updates[0].item(), advice.examples[0].item()
        (256, 64, 256, 5000.0, 80000.0)
    """
    if not isinstance(examples_per_second, Mapping) or not examples_per_second:
        raise ValueError(
            "examples_per_second must be a mapping from batch sizes to numbers, such as {32: 9e3}, got "
            f"{examples_per_second!r}"
        )
    counts = sorted((whole_number("batch size", key), value) for key, value in examples_per_second.items())
    sizes = np.array([size for size, _ in counts])
    speeds = np.array([_above_0(f"examples_per_second[{size}]", speed) for size, speed in counts])
    scale = _above_0("noise_scale", noise_scale)
    if interval is not None and not (len(interval) == 2 and 0 <= interval[0] <= interval[1]):
        raise ValueError(f"interval must be (low, high), 0 or more and in order, got {interval!r}")

    def seconds(scale: float) -> np.ndarray:
        """Up to a factor, also where the scale is 0 or infinite."""
        return (1 if math.isinf(scale) else scale + sizes) / speeds

    def fastest(scale: float) -> int:
        return int(sizes[np.argmin(seconds(scale))])

    low, high = (None, None) if interval is None else map(fastest, interval)
    updates = examples = absolute = None
    if measured is not None:
        fewest_updates, fewest_examples = (_above_0("measured", number) for number in measured)
        scale_measured = fewest_examples / fewest_updates
        updates = fewest_updates * (1 + scale_measured / sizes)
        examples = fewest_examples * (1 + sizes / scale_measured)
        absolute = examples / speeds
    times = seconds(scale)
    return BatchSizeAdvice(
        fastest(scale),
        low,
        high,
        sizes,
        times / times.min(),
        1 + sizes / scale,
        1 + scale / sizes,
        updates,
        examples,
        absolute,
    )


def _above_0(name: str, value: Any) -> float:
    number = float(value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be finite and above 0, got {value!r}")
    return number
