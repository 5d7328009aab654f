"""How the best learning rate grows with the batch size: in proportion, as its square root, or as fitted.

Sources: Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", and Goyal et al.
2017, "Accurate, Large Minibatch SGD", for both rules; Shallue et al. 2019, section 4.7, who saw neither hold.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from jaxgd.studies.intervals import CONFIDENCE
from jaxgd.studies.scaling.evidence import same_lengths
from jaxgd.studies.scaling.measured import MeasuredSteps

_LEAST_POINTS = 3


class RateScaling(NamedTuple):
    """The best rate as a power of the batch size, `rate = factor * B ** exponent`.

    Attributes:
        exponent: fitted by least squares of logarithms; NaN where it cannot be.
        low: the lower end of its 95 % t interval; NaN where it is not known.
        high: the upper end.
        factor: the rate at batch size 1 by the fit.
        misfits: by name, "linear", "square root" and "fitted", the factor by which the best rate typically
            differs from each: 1 is none. The first two have a factor of their own.
        batch_sizes: float64[n], that the fit is of: those at which the best rate lies within its grid.
        reason: why there is no exponent or no interval; "" otherwise.
    """

    exponent: float
    low: float
    high: float
    factor: float
    misfits: dict[str, float]
    batch_sizes: np.ndarray
    reason: str

    @property
    def nearest(self) -> str:
        """The rule, "linear" or "square root", that alone lies in the interval; "" where none or both do."""
        holds = [name for name, power in _RULES.items() if self.low <= power <= self.high]
        return holds[0] if len(holds) == 1 else ""


_RULES = {"linear": 1.0, "square root": 0.5}


def rate_scaling(steps: MeasuredSteps | Any, batch_sizes: Any = None) -> RateScaling:
    """How the best learning rate grows with the batch size.

    A rate at the end of its grid counts for nothing: a better one may lie beyond. A grid blurs the best rate
    by up to half a step between two of them, which the interval holds as far as it looks like chance.

    Args:
        steps: what `measured_steps` gives; or the best rates themselves, [n], above 0.
        batch_sizes: [n], above 0, with rates themselves.

    Raises:
        ValueError: rates and batch sizes of different lengths, or not above 0.

    Example:
        >>> import jaxgd
        >>> found = jaxgd.studies.rate_scaling([0.11, 0.19, 0.42, 0.78], [8, 16, 32, 64])
        >>> round(found.exponent, 2), found.nearest
        (0.96, 'linear')
    """
    if isinstance(steps, MeasuredSteps):
        kept = np.isfinite(steps.learning_rates) & np.array([edge is None for edge in steps.edges])
        sizes, rates = steps.batch_sizes[kept], steps.learning_rates[kept]
    else:
        rates, sizes = same_lengths(learning_rates=steps, batch_sizes=batch_sizes)
    if len(sizes) < _LEAST_POINTS:
        reason = (
            f"a power needs {_LEAST_POINTS} batch sizes whose best rate lies within its grid, there are "
            f"{len(sizes)}"
        )
        return RateScaling(math.nan, math.nan, math.nan, math.nan, {}, sizes, reason)
    x, y = np.log(sizes), np.log(rates)
    centred = x - x.mean()
    exponent = float(centred @ y / (centred @ centred))
    rest = y - y.mean() - exponent * centred
    misfits = {"fitted": _typical(rest)}
    misfits |= {name: _typical(y - y.mean() - power * centred) for name, power in _RULES.items()}
    degrees = len(x) - 2
    error = math.sqrt(float(rest @ rest) / degrees / float(centred @ centred))
    half = float(stdtrit(degrees, (1 + CONFIDENCE) / 2)) * error
    factor = math.exp(float(y.mean()) - exponent * float(x.mean()))
    return RateScaling(exponent, exponent - half, exponent + half, factor, misfits, sizes, "")


def _typical(rest: np.ndarray) -> float:
    return math.exp(math.sqrt(float(np.mean(rest**2))))
