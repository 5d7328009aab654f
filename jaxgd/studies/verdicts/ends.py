"""The lower end of the interval of a difference, where few rows tell two cells apart, or none that was seen.

The variance of a difference of hits is made by the rows on which two cells differ. Few of them, or none, were
seen where two cells are about equally good, and then the variance that was seen is too small. A difference
other than the one seen needs rows other than those seen, and these have a variance as well. Tango (1998,
Statistics in Medicine 17, 891-908) takes the variance at the value that is tested, and inverts the test. In
units of rows, with the difference M, the variance Q, and rows of size u, the variance at a value D further
from 0 than M is

    (Q + √(Q² + 4·u²·D·(D - M))) / 2

and the end that lies t standard deviations away solves a cubic equation.
"""

import numpy as np

_NEWTON_STEPS = 40


def lower_ends(mean, variance, quantile, event, num_rows: int) -> np.ndarray:
    """The lower ends of intervals for differences, quantile · √variance below the mean or further.

    mean, variance, quantile: arrays of one shape. event: the size of a row's difference, of that shape; None
    for scores that are no hits, where the end is the plain one. Never below -1 where there are events.
    """
    plain = mean - quantile * np.sqrt(variance)
    if event is None:
        return plain
    rows, unit = num_rows * mean, quantile * event
    square = quantile**2 * (num_rows**2 * variance + unit**2)
    distance = _largest_root(square, quantile**2 * unit**2 * rows)
    return np.where(plain > 0, plain, np.maximum(np.minimum(plain, mean - distance / num_rows), -1))


def _largest_root(square: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """The largest x with x³ - square·x + constant = 0: Newton's steps from above go down to it."""
    x = np.sqrt(square) + np.cbrt(np.maximum(-constant, 0)) + np.finfo(np.float64).tiny
    for _ in range(_NEWTON_STEPS):
        slope = 3 * x**2 - square
        x = x - np.where(slope > 0, x**3 - square * x + constant, 0) / np.where(slope > 0, slope, 1)
    return x
