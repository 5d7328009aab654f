"""How large a batch is worth its gradients where the model can fit every example.

Source: Ma, Bassily and Belkin 2018, "The Power of Interpolation", theorems 2 to 4.
"""

import math
from typing import Any, NamedTuple

import numpy as np

# Eigenvalues below so many rounding errors of the largest are 0.
_NOISE = 100.0


class InterpolationBatchSize(NamedTuple):
    """Up to the critical batch size m* twice the batch saves nearly half of the updates, beyond it few.

    Attributes:
        critical: `m* = largest_norm / (largest - smallest) + 1`; infinite where all eigenvalues are one.
        largest_norm: the largest squared norm of an example.
        largest: the largest eigenvalue of XᵀX / N.
        smallest: its smallest that is not 0.
    """

    critical: float
    largest_norm: float
    largest: float
    smallest: float

    def learning_rate(self, batch_size: Any) -> Any:
        """The best constant rate, `m / (b + (m - 1) s)` up to m*, then `2 m / (b + (m - 1) (l + s))`."""
        m = _sizes(batch_size)
        small = m / (self.largest_norm + (m - 1) * self.smallest)
        large = 2 * m / (self.largest_norm + (m - 1) * (self.largest + self.smallest))
        return np.where(m <= self.critical, small, large)[()]

    def contraction(self, batch_size: Any) -> Any:
        """What the expected squared distance to the solution shrinks by in an update at the best rate.

        The larger of `1 - 2 r λ + r² (b λ + (m - 1) λ²) / m` at the largest and the smallest eigenvalue λ.
        """
        m, rate = _sizes(batch_size), self.learning_rate(batch_size)
        ends = (self.largest, self.smallest)
        at_ends = [1 - 2 * rate * x + rate**2 * (self.largest_norm * x + (m - 1) * x * x) / m for x in ends]
        return np.maximum(*at_ends)[()]

    def speed_up(self, batch_size: Any) -> Any:
        """How many updates at batch size 1 an update is worth, `log g(m) / log g(1)`, at their best rates."""
        with np.errstate(divide="ignore"):
            return np.log(self.contraction(batch_size)) / np.log(self.contraction(1))


def interpolation_batch_size(inputs: Any) -> InterpolationBatchSize:
    """The critical batch size of least squares that fits every example, and best rates by batch size.

    The loss is half the mean squared error of a linear model whose solution has no error left; batches are
    drawn with replacement.

    Args:
        inputs: [examples, features].

    Raises:
        ValueError: not a matrix of finite numbers, or all 0.

    Example:
        >>> import jaxgd
        >>> found = jaxgd.studies.interpolation_batch_size([[1, 0], [0.6, 0.8]])
        >>> round(found.critical, 5), round(float(found.learning_rate(2)), 5)
        (2.66667, 1.66667)
    """
    matrix = np.asarray(inputs, np.float64)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"inputs must have shape [examples, features], got {list(matrix.shape)}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"inputs must be finite, got {matrix[~np.isfinite(matrix)][0]:g}")
    if not matrix.any():
        raise ValueError("inputs must not be all 0: there is nothing to fit")
    values = np.linalg.svd(matrix, compute_uv=False)
    kept = values[values > _NOISE * np.finfo(float).eps * values[0]] ** 2 / len(matrix)
    norm, largest, smallest = float((matrix**2).sum(axis=1).max()), float(kept[0]), float(kept[-1])
    is_one = largest - smallest <= _NOISE * np.finfo(float).eps * largest
    critical = math.inf if is_one else norm / (largest - smallest) + 1
    return InterpolationBatchSize(critical, norm, largest, smallest)


def _sizes(batch_size: Any) -> np.ndarray:
    sizes = np.asarray(batch_size, np.float64)
    good = (sizes >= 1) & np.isfinite(sizes)
    if not good.all():
        raise ValueError(f"batch_size must be finite and 1 or more, got {np.atleast_1d(sizes[~good])[0]:g}")
    return sizes
