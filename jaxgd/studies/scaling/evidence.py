"""How well mean log updates are known, batch size by batch size, and what follows for a function of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from jaxgd.studies.intervals import CONFIDENCE
from jaxgd.studies.scaling.measured import MeasuredSteps

DRAWS = 400
_SMALL = 1e-4  # in log updates, for derivatives


class LogMeans(NamedTuple):
    """Mean log updates of the batch sizes at which every reporting seed reaches the goal.

    Attributes:
        batch_sizes: float64[n].
        means: float64[n].
        variances: float64[n], of the means, by chance in what seeds do not share; NaN where a seed is alone.
        choices: float64[k, n], how much the means change with the rates that resampled tuning seeds choose.
        degrees: of freedom of each variance.
    """

    batch_sizes: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    choices: np.ndarray
    degrees: float

    @property
    def has_chance(self) -> bool:
        """Whether anything is known of chance."""
        return bool(np.isfinite(self.variances).all())

    def degrees_of(self, weights: np.ndarray) -> float:
        """Degrees of freedom of the variance of a sum of the means with these weights (Satterthwaite)."""
        parts = weights**2 * self.variances
        total = float((parts**2).sum())
        return float(parts.sum()) ** 2 / (total / self.degrees) if total > 0 else self.degrees

    def quantile(self, weights: np.ndarray) -> float:
        """Of t, for a 95 % interval of a sum of the means with these weights."""
        return float(stdtrit(self.degrees_of(weights), (1 + CONFIDENCE) / 2))

    def covariance(self, weights: np.ndarray) -> np.ndarray:
        """The covariances [j, j] of sums of the means with weights [j, n]."""
        chosen = self.choices @ weights.T
        return (weights * self.variances) @ weights.T + np.atleast_2d(np.cov(chosen.T, ddof=0))

    def draws(self) -> np.ndarray:
        """Means as they might have come out, float64[draws, n]."""
        random = np.random.default_rng(0)
        noise = random.standard_normal((DRAWS, len(self.means))) * np.sqrt(self.variances)
        return self.means + noise + self.choices[random.integers(len(self.choices), size=DRAWS)]


def evidence_of(steps: MeasuredSteps) -> LogMeans:
    """What is known of the batch sizes at which every reporting seed reaches the goal.

    Seeds that all batch sizes share make all of them faster or slower together, which a critical batch size
    does not see: chance is what is left of log updates without each seed's mean over the batch sizes.
    """
    kept = steps.is_reached
    logs, sizes = steps.log_steps[kept], steps.batch_sizes[kept]
    there = ~np.isnan(logs)
    counts = there.sum(-1)
    means = np.where(there, logs, 0).sum(-1) / np.maximum(counts, 1)
    rest = np.where(there, logs - means[:, None], 0)
    num = len(sizes)
    rest = np.where(there, rest - rest.sum(0) / np.maximum(there.sum(0), 1), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        each = (rest**2).sum(-1) / (counts - 1) * num / max(num - 1, 1)
        variances = np.where(counts > 1, each / counts, np.nan)
    choices = steps.retuned[:, kept]
    with np.errstate(invalid="ignore"):
        known = np.isfinite(choices)
        centre = np.where(known, choices, 0).sum(0) / np.maximum(known.sum(0), 1)
    choices = np.where(known, choices - centre, 0)
    degrees = float(min(counts, default=1) - 1) * max(num - 1, 1) / max(num, 1)
    return LogMeans(sizes, means, variances, choices, max(degrees, 1e-9))


def jacobian(function: Callable[[np.ndarray], np.ndarray], means: np.ndarray) -> np.ndarray:
    """Derivatives [j, n] of a function of means, [..., n] to [..., j]."""
    shifts = _SMALL * np.eye(len(means))
    return ((function(means + shifts) - function(means - shifts)) / (2 * _SMALL)).T


def same_lengths(**arrays: Any) -> list[np.ndarray]:
    """The arrays, float64[n] each, finite and above 0.

    Raises:
        ValueError: they are not, or have different lengths.
    """
    found = {name: np.asarray(values, float) for name, values in arrays.items()}
    shapes = [array.shape for array in found.values()]
    if any(len(shape) != 1 or shape != shapes[0] for shape in shapes):
        listed = " and ".join(str(list(shape)) for shape in shapes)
        raise ValueError(f"{' and '.join(found)} must have one length, [n], got shapes {listed}")
    for name, array in found.items():
        if not (good := np.isfinite(array) & (array > 0)).all():
            raise ValueError(f"{name} must be finite and above 0, got {array[~good][0]:g}")
    return list(found.values())
