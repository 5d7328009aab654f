"""The critical batch size by its two definitions, which can differ by a factor of 4: always both.

Sources: McCandlish, Kaplan, Amodei and OpenAI Dota Team 2018, "An Empirical Model of Large-Batch Training",
for the fit; Zhang, Morwani, Vyas, Wu, Zou, Ghai, Foster and Kakade 2024, "How Does Critical Batch Size Scale
in Pre-training?", for the overhead.
"""

import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from jaxgd.studies.ratios import ratio_ends
from jaxgd.studies.scaling.evidence import LogMeans, evidence_of, jacobian, same_lengths
from jaxgd.studies.scaling.measured import MeasuredSteps

MOST_MISFIT = 0.1
OVERHEAD = 0.2
_LEAST_POINTS = 4  # of a fit of two numbers
_BETWEEN = 32  # points between two batch sizes at which an overhead is looked at


class FittedBatchSize(NamedTuple):
    """Where `S = Smin + Emin / B` bends: `Bcrit = Emin / Smin`, at which both are paid twice.

    Attributes:
        value: Bcrit; NaN where the fit is refused, infinite where no bend is in sight.
        low: the lower end of its 95 % interval; NaN where it is not known.
        high: the upper end; infinite where there may be no bend.
        fewest_updates: Smin; NaN where refused, so is
        fewest_examples: Emin.
        misfit: the largest relative difference of the fit from the updates measured.
        misfit_beyond_chance: the largest with a standard error taken off; the fit is refused above 0.1.
        reason: why there is no value, or no end; "" otherwise.
    """

    value: float
    low: float
    high: float
    fewest_updates: float
    fewest_examples: float
    misfit: float
    misfit_beyond_chance: float
    reason: str


class OverheadBatchSize(NamedTuple):
    """The batch size from which on more than 20 % more examples are processed than the least.

    Attributes:
        value: interpolated in the logarithms of batch size and examples; NaN where none is seen.
        low: the lower end of its 95 % interval; NaN where it is not known.
        high: its upper end; infinite where it may lie beyond what was measured.
        largest: the largest batch size of the grid before it; NaN where there is none.
        overhead: the share, 0.2.
        reason: why there is no value, or no end; "" otherwise.
    """

    value: float
    low: float
    high: float
    largest: float
    overhead: float
    reason: str


class CriticalBatchSizes(NamedTuple):
    """The critical batch size by both definitions.

    Attributes:
        fit: by the fit of `S = Smin + Emin / B`.
        overhead: by 20 % more examples.
    """

    fit: FittedBatchSize
    overhead: OverheadBatchSize

    @property
    def ratio(self) -> float:
        """That of the fit over that of the overhead; NaN where one is not known."""
        return self.fit.value / self.overhead.value

    @property
    def text(self) -> str:
        """Both in a sentence."""
        share = f"{100 * self.overhead.overhead:.0f} %"
        both = f"by the fit {_number_text(self.fit)}, by {share} more examples {_number_text(self.overhead)}"
        if math.isfinite(self.ratio) and not 1 / 2 < self.ratio < 2:
            both += f"; they differ by {max(self.ratio, 1 / self.ratio):.2g} times, being two definitions"
        return f"Critical batch size: {both}."


def critical_batch_sizes(
    steps: MeasuredSteps | Any, batch_sizes: Any = None, *, overhead: float = OVERHEAD
) -> CriticalBatchSizes:
    """The critical batch size by both definitions, of measured or of known updates to a goal.

    The fit minimises the squared relative differences of `Smin + Emin / B` from the updates. It is refused
    where it misses one by more than 10 %, a standard error taken off. The overhead is that of the examples
    `E(B) = B S(B)` over their least, above the batch size that has it.

    Intervals of 95 % come from what seeds do not share, and from how the chosen rates change with the tuning
    seeds: Fieller's for the fit; for the overhead the batch sizes at which, within its standard error, it may
    be that large.

    Args:
        steps: what `measured_steps` gives, of which the batch sizes count at which every reporting seed
            reaches the goal; or updates, [n], above 0, which have no interval.
        batch_sizes: [n], ascending, with updates alone.
        overhead: a share, above 0.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import jaxgd
        >>> steps = [387, 196, 99, 51, 27, 15, 9, 6, 5, 4]
        >>> found = jaxgd.studies.critical_batch_sizes(steps, [2**k for k in range(10)])
        >>> round(found.fit.value, 3), round(found.overhead.value, 3), found.overhead.largest
        (116.611, 25.748, 16.0)
    """
    if not 0 < overhead < math.inf:
        raise ValueError(f"overhead must be finite and above 0, got {overhead!r}")
    if isinstance(steps, MeasuredSteps):
        if batch_sizes is not None:
            raise ValueError("batch_sizes belongs to updates alone: measured steps have their own")
        evidence = evidence_of(steps)
    else:
        evidence = _known(steps, batch_sizes)
    return CriticalBatchSizes(_fitted(evidence), _by_overhead(evidence, overhead))


def fit_steps(means: np.ndarray, batch_sizes: np.ndarray) -> np.ndarray:
    """`(Smin, Emin)` [..., 2] of the least relative squares, for mean log updates [..., n]."""
    columns = np.stack([np.exp(-means), np.exp(-means) / batch_sizes], axis=-1)
    return np.linalg.solve(columns.mT @ columns, columns.sum(-2)[..., None])[..., 0]


def _known(steps: Any, batch_sizes: Any) -> LogMeans:
    updates, sizes = same_lengths(steps=steps, batch_sizes=batch_sizes)
    if (np.diff(sizes) <= 0).any():
        raise ValueError(f"batch_sizes must ascend, got {sizes.tolist()}")
    return LogMeans(sizes, np.log(updates), np.full(len(sizes), np.nan), np.zeros((1, len(sizes))), 1.0)


def _fitted(evidence: LogMeans) -> FittedBatchSize:
    num = len(evidence.means)
    if num < _LEAST_POINTS:
        reason = (
            f"the fit needs {_LEAST_POINTS} batch sizes at which every seed reaches the goal, there are {num}"
        )
        return _refused(reason)
    sizes, means = evidence.batch_sizes, evidence.means

    def fit(means: np.ndarray) -> np.ndarray:
        return fit_steps(means, sizes)

    def misfits(means: np.ndarray) -> np.ndarray:
        fewest, examples = np.moveaxis(fit(means), -1, 0)
        return (fewest[..., None] + examples[..., None] / sizes) * np.exp(-means) - 1

    fewest, examples = fit(means).tolist()
    off = np.abs(misfits(means))
    beyond = off
    if evidence.has_chance:
        weights = jacobian(misfits, means)
        errors = np.sqrt(np.diag(evidence.covariance(weights)))
        beyond = np.maximum(off - errors, 0)
    worst, least = float(off.max()), float(beyond.max())
    if least > MOST_MISFIT:
        place = int(beyond.argmax())
        miss = f"{sizes[place]:g} by {100 * off[place]:.0f} %"
        reason = f"S = Smin + Emin / B misses the updates at batch size {miss}"
        return _refused(reason, worst, least)
    if examples <= 0:
        return _refused("the updates do not fall with the batch size", worst, least)
    if fewest <= 0:
        reason = f"updates fall in proportion to the batch size up to {sizes[-1]:g}: no bend is in sight"
        low = _fit_ends(evidence, fit, (examples, 0.0))[0]
        return FittedBatchSize(math.inf, low, math.inf, fewest, examples, worst, least, reason)
    low, high = _fit_ends(evidence, fit, (examples, fewest))
    reason = "" if math.isfinite(high) else "there may be no bend: larger batch sizes are needed"
    if math.isnan(low):
        reason = "without several seeds there is no interval"
    return FittedBatchSize(examples / fewest, low, high, fewest, examples, worst, least, reason)


def _refused(reason: str, misfit: float = math.nan, beyond: float = math.nan) -> FittedBatchSize:
    nan = math.nan
    return FittedBatchSize(nan, nan, nan, nan, nan, misfit, beyond, reason)


def _fit_ends(evidence: LogMeans, fit, found: tuple[float, float]) -> tuple[float, float]:
    """The ends of Emin / Smin, which are `found`."""
    if not evidence.has_chance:
        return math.nan, math.nan
    weights = jacobian(fit, evidence.means)[::-1]
    examples, fewest = found
    relative = weights[0] / examples - (weights[1] / fewest if fewest > 0 else 0)
    moments = evidence.covariance(weights)
    variances = float(moments[0, 0]), float(moments[1, 1])
    return ratio_ends(examples, fewest, variances, float(moments[0, 1]), evidence.quantile(relative))


def _by_overhead(evidence: LogMeans, overhead: float) -> OverheadBatchSize:
    num = len(evidence.means)
    if num < 2:
        reason = f"an overhead needs 2 batch sizes at which every seed reaches the goal, there are {num}"
        return OverheadBatchSize(math.nan, math.nan, math.nan, math.nan, overhead, reason)
    logs, margin = np.log(evidence.batch_sizes), math.log1p(overhead)
    pieces = [np.linspace(a, b, _BETWEEN, endpoint=False) for a, b in itertools.pairwise(logs)]
    places = np.append(np.concatenate(pieces), logs[-1])
    weights = _between(places, logs)
    examples = evidence.means + logs
    cheapest = int(examples.argmin())
    above = weights @ examples - examples.min() - margin
    right = places >= logs[cheapest]
    value = _first_above(places, np.where(right, above, -math.inf))
    within = evidence.batch_sizes[(logs >= logs[cheapest]) & (logs <= value + 1e-12)]
    low = high = math.nan
    reason = "without several seeds there is no interval"
    if evidence.has_chance:
        drawn = evidence.draws() + logs
        errors = (drawn @ weights.T - drawn.min(-1, keepdims=True)).std(0)
        near = _between(min(value, logs[-1]), logs)
        reach = evidence.quantile(near - np.eye(num)[cheapest]) * errors
        low = math.exp(_first_above(places, np.where(right, above + reach, -math.inf)))
        high = math.exp(_stays_above(places, np.where(right, above - reach, -math.inf)))
        reason = "" if math.isfinite(high) else "it may lie beyond the batch sizes measured"
    if math.isinf(value):
        largest = float(evidence.batch_sizes[-1])
        reason = f"up to batch size {largest:g}, examples stay within {100 * overhead:.0f} % of their least"
        return OverheadBatchSize(math.nan, low, math.inf, largest, overhead, reason)
    return OverheadBatchSize(math.exp(value), low, high, float(within[-1]), overhead, reason)


def _between(places: np.ndarray | float, logs: np.ndarray) -> np.ndarray:
    """Weights [..., n] of the batch sizes in what lies on the lines between them."""
    return np.stack([np.interp(places, logs, row) for row in np.eye(len(logs))], axis=-1)


def _first_above(places: np.ndarray, heights: np.ndarray) -> float:
    """Where heights first come above 0, interpolated; infinite where they do not."""
    is_above = heights > 0
    return _crossing(places, heights, int(is_above.argmax())) if is_above.any() else math.inf


def _stays_above(places: np.ndarray, heights: np.ndarray) -> float:
    """From where on heights are above 0, interpolated; infinite where they are not in the end."""
    below = np.flatnonzero(~(heights > 0))
    place = int(below[-1]) + 1 if below.size else 0
    return _crossing(places, heights, place) if place < len(places) else math.inf


def _crossing(places: np.ndarray, heights: np.ndarray, place: int) -> float:
    """Where a line from the point before this place, which is above 0, crosses 0."""
    if not place or not math.isfinite(heights[place - 1]):
        return float(places[place])
    before, step = -heights[place - 1], places[place] - places[place - 1]
    return float(places[place - 1] + step * before / (before + heights[place]))


def _number_text(size: FittedBatchSize | OverheadBatchSize) -> str:
    if math.isnan(size.value) and not math.isnan(size.low):
        return f"at least {size.low:.3g} ({size.reason})"
    if math.isnan(size.value):
        return f"not known ({size.reason})"
    if math.isnan(size.low):
        return f"{size.value:.3g}"
    high = f"{size.high:.3g}" if math.isfinite(size.high) else "beyond what was measured"
    return f"{size.value:.3g} ({size.low:.3g} to {high})"
