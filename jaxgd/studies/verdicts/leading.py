"""The level of a comparison with the best, where a cell has to come through against all others as well.

A cell is shown to be as good as the best only if it comes through against every other cell. Take n cells that
are one margin m below the best; their differences from it have equal standard deviations s and a correlation
ρ. With the critical value c, one of them comes through only if it lies c·s - m above the best, and
c·s·√(2·(1-ρ)) - m above each other of the n. Where that is more than 0, one of them at most does, and the
probability is

    n · P(√ρ·Z + √(1-ρ)·W[1] > c,  √(1-ρ)·(W[1] - W[j]) > max(0, c·√(2·(1-ρ)) - m/s) for the other j)

with independent normal variables: Z of the best, W of the n. It is Dunnett's (1955) where the margin is large
beside s. Where it is small, n cells come through less often than one alone, and nothing has to be corrected,
as Gutmann and Maymin (1987, Annals of Statistics 15, 456-461) show for m = 0. Others of the n may lie further
below, so the most probable number up to n counts.
"""

from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

_NUMBERS = np.array([1, 2, 3, 4, 6, 8, 11, 16, 24, 40, 80, 200, 1000])
_CORRELATIONS = np.array([0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95])
_RATIOS = np.array([0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0])
# A normal variable: places, and the probability around each.
_PLACES = np.linspace(-6, 6, 61)
_PARTS = np.exp(-(_PLACES**2) / 2) / np.exp(-(_PLACES**2) / 2).sum()
_STEPS = 4  # of secants: in deviations of a normal variable the probability is nearly a straight line


def leading_levels(error: float, cells, correlation, ratio) -> np.ndarray:
    """The one-sided level of each comparison, such that no cell comes through that must not but with `error`.

    Args:
        error: of all comparisons together.
        cells: how many there are beside the best; the next of a dozen numbers from 1 to 1000 is taken.
        correlation: of their differences from the best, 0 to 1, of the same shape.
        ratio: of the margin to the standard deviation of such a difference, 0 or more, of the same shape.
    """
    number = np.searchsorted(_NUMBERS, np.clip(cells, 1, _NUMBERS[-1]))
    table = _critical_values(error, int(number.max(initial=0)) + 1)
    row, right = _between(_CORRELATIONS, correlation)
    column, below = _between(_RATIOS, ratio)
    left, after = (
        (1 - below) * table[number, place, column] + below * table[number, place, column + 1]
        for place in (row, row + 1)
    )
    return ndtr(-(1 - right) * left - right * after)


def _between(grid: np.ndarray, values) -> tuple[np.ndarray, np.ndarray]:
    """The place in a grid at or before each value, and how far it is to the next, 0 to 1."""
    values = np.clip(values, grid[0], grid[-1])
    place = np.clip(np.searchsorted(grid, values, side="right") - 1, 0, len(grid) - 2)
    return place, (values - grid[place]) / (grid[place + 1] - grid[place])


@lru_cache(maxsize=64)
def _critical_values(error: float, count: int) -> np.ndarray:
    """Critical values for the first so many of the numbers of cells, [count, correlations, ratios]."""
    numbers, correlation, ratio = np.ix_(_NUMBERS[:count], _CORRELATIONS, _RATIOS)

    def excess(critical: np.ndarray) -> np.ndarray:
        return ndtri(np.maximum(_probability(critical, numbers, correlation, ratio), 1e-300)) - ndtri(error)

    low = np.full((count, len(_CORRELATIONS), len(_RATIOS)), -ndtri(error))
    high = -ndtri(error / numbers) + np.zeros_like(low)
    before, last = (low, excess(low)), (high, excess(high))
    for _ in range(_STEPS):
        rise = np.where(last[1] != before[1], last[1] - before[1], 1)
        place = np.clip(last[0] - last[1] * (last[0] - before[0]) / rise, low, high)
        before, last = last, (place, excess(place))
    return np.maximum.accumulate(last[0], 0)


def _probability(critical, numbers, correlation, ratio) -> np.ndarray:
    """That any of so many cells comes through that lie one margin below the best."""
    own = np.sqrt(1 - correlation)
    lead = np.maximum(critical * np.sqrt(2) - ratio / own, 0)[..., None]
    above_best = ndtr((own[..., None] * _PLACES - critical[..., None]) / np.sqrt(correlation)[..., None])
    above_others = ndtr(_PLACES - lead) ** (numbers[..., None] - 1)
    return numbers * ((above_best * above_others) @ _PARTS)
