"""Error levels of single comparisons such that many hold at once.

For a comparison of all cells with one of them (Dunnett 1955) and of all pairs (Tukey 1953). The correlation
of two differences that share a cell is one number for each shared cell, the mean of those estimated (the
one-factor approximation of Hsu 1992, Journal of Computational and Graphical Statistics 1, 151-168).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

# A normal variable: places, and the probability around each.
_PLACES = np.linspace(-9, 9, 1801)
_PARTS = np.exp(-(_PLACES**2) / 2) / np.exp(-(_PLACES**2) / 2).sum()
_HALVINGS = 60
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(64)
_GRID = np.linspace(0, 0.95, 20)  # correlations; a level changes little between two of them


def one_sided_levels(error: float, comparisons: int, correlation: np.ndarray) -> np.ndarray:
    """The one-sided level of each of so many comparisons with one cell, of which none fails but with `error`.

    correlation: of the differences, 0 to 1, any shape. At 0 the level is Šidák's.
    """
    if comparisons == 1:
        return np.full(np.shape(correlation), error)
    return np.interp(correlation, _GRID, _levels_by_correlation(error, comparisons))


@lru_cache(maxsize=256)
def pairwise_level(error: float, cells: int) -> float:
    """The one-sided level of both directions of each pair of cells, of which none fails but with `error`.

    From the range of so many independent normal variables; safe for unequal variances (Hayter 1984). Here by
    a sum over the least of them: `scipy.stats` would be half a second of a command's start.
    """

    def excess(width: float) -> float:
        inside = ndtr(_PLACES + width) - ndtr(_PLACES)
        return 1 - cells * float((_PARTS * inside ** (cells - 1)).sum()) - error

    return float(ndtr(-_root(excess, 0.0, 40.0) / np.sqrt(2)))


def correlations(variance: np.ndarray) -> np.ndarray:
    """For each cell the mean correlation of two other cells' differences from it, [..., C].

    variance: of all pairs' differences, [..., C, C]. 0 where a variance is 0, or where there is one pair.
    """
    cells = variance.shape[-1]
    inverse = np.sqrt(np.divide(1, variance, where=variance > 0, out=np.zeros_like(variance)))
    # The covariance of i - b and j - b is (V[i, b] + V[j, b] - V[i, j]) / 2.
    total = inverse.sum(-2) * np.sqrt(variance).sum(-2)
    crossed = np.einsum("...ib,...ij,...jb->...b", inverse, variance, inverse)
    same = cells - 1.0  # i = j: 1 each
    mean = (total - crossed / 2 - same) / max((cells - 1) * (cells - 2), 1)
    return np.clip(mean, 0, _GRID[-1])


@lru_cache(maxsize=256)
def _levels_by_correlation(error: float, comparisons: int) -> np.ndarray:
    return np.array([_level(error, comparisons, correlation) for correlation in _GRID])


def _level(error: float, comparisons: int, correlation: float) -> float:
    """1 - Φ(c), where the largest of equally correlated normal variables exceeds c with `error`."""

    def excess(bound: float) -> float:
        inside = ndtr((bound - np.sqrt(correlation) * _NODES) / np.sqrt(1 - correlation))
        return 1 - float((_WEIGHTS * inside**comparisons).sum() / _WEIGHTS.sum()) - error

    least, most = float(-ndtri(error)), float(-ndtri(error / comparisons))
    return float(ndtr(-_root(excess, least - 1e-9, most + 1e-9)))


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function is 0, by halving."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2
