"""t intervals over seeds, 95 % unless said: of one mean, and of the paired difference of two.

What an interval covers is chance in initialisation and data order. It does not cover the choice of the
examples that are scored: every seed is scored on the same ones.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean and the half of its interval: mean ± halfwidth. Both are NaN where a value is NaN."""

    mean: float
    halfwidth: float

    @property
    def side(self) -> int:
        """The side of 0 on which the interval lies, 1 or -1; 0 where it holds 0, is unknown or has no width.

        Equal differences at all seeds are no evidence: there may be no chance in them.
        """
        if not abs(self.mean) > self.halfwidth > 0:
            return 0
        return 1 if self.mean > 0 else -1


def t_interval(values, error: float = 1 - CONFIDENCE) -> Interval:
    """The mean of independent values and its t interval, t(n-1) · s/√n; NaN for a single value."""
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if values.size < 2:
        return Interval(mean, math.nan)
    quantile = stdtrit(values.size - 1, 1 - error / 2)
    return Interval(mean, float(quantile * values.std(ddof=1) / math.sqrt(values.size)))


def paired_interval(values, reference, error: float = 1 - CONFIDENCE) -> Interval:
    """The interval of the mean of values - reference, taken seed by seed.

    Two runs of one seed share their initial parameters and data order, and what they share cancels in the
    difference.
    """
    return t_interval(np.asarray(values, np.float64) - np.asarray(reference, np.float64), error)
