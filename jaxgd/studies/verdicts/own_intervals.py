"""95 % intervals of a cell's own score, over seeds and test rows; within what a score can be."""

import numpy as np
from scipy.special import stdtrit

from jaxgd.studies.verdicts.crossed import Crossed, crossed_variance

_LARGEST_RATIO = 100.0  # the logarithm of one, beyond which exponentials may overflow


def score_intervals(moments: Crossed, error: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper end of each cell's mean score, both [..., C].

    Of hits: Wilson's interval (1927) at the effective number of rows, mean·(1 - mean)/variance, at most the
    number of rows there are; within 0 and 1, and of positive length where all rows are right. Of other scores
    whose means are above 0: an interval of the logarithm, which stays above 0. Else the plain one.
    """
    parts = (moments.seeds, moments.rows, moments.both)
    seeds, rows, both = (np.diagonal(part, axis1=-2, axis2=-1) for part in parts)
    variance, degrees = crossed_variance(seeds, rows, both, moments.num_seeds, moments.num_rows)
    quantile = stdtrit(degrees, 1 - error / 2)
    if moments.event is not None:
        return _wilson(moments.means, variance, quantile, moments.num_rows)
    half = quantile * np.sqrt(variance)
    if (moments.means > 0).all():
        factor = np.exp(np.minimum(half / moments.means, _LARGEST_RATIO))
        return moments.means / factor, moments.means * factor
    return moments.means - half, moments.means + half


def _wilson(share, variance, quantile, num_rows: int) -> tuple[np.ndarray, np.ndarray]:
    spread = share * (1 - share)
    rows = np.where(variance * num_rows > spread, spread / np.where(variance > 0, variance, 1), num_rows)
    more = quantile**2 / rows
    centre = (share + more / 2) / (1 + more)
    half = np.sqrt(more * (spread + more / 4)) / (1 + more)
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)
