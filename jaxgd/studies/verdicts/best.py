"""Simultaneous intervals of each cell against the best of the others (Hsu's multiple comparisons).

What is estimated for cell i is θ[i] - max(θ[j], j ≠ i), with θ the mean score over all seeds and rows that
could be drawn, and with larger being better. Whichever cell is best, the others' differences from it are a
comparison with one control (Hsu 1981, Annals of Statistics 9, 1026-1034; Hsu 1984, Annals of Statistics 12,
1136-1144; Hsu, Multiple Comparisons, 1996, chapter 4). Who may be that control is read off the data (Edwards
and Hsu 1983, Journal of the American Statistical Association 78, 965-971), which allows unequal variances:

- a cell that is above another one for certain shows that the other is not the best;
- a lower end above 0 is the lowest against any cell, and needs no correction for the number of cells: of the
  best cell it is false only if that against the second best is (an intersection-union test; Berger 1982), and
  another cell seldom lies above all (Gutmann and Maymin 1987, Annals of Statistics 15, 456-461). All others
  lie below that cell by as much;
- else the lower end of a cell is its lowest against any cell that may be the best;
- the upper end of a cell is its lowest against any cell, from all pairs at once (Tukey).

Of the error, one half goes to lower ends above 0, a quarter to the others and a quarter to the upper ends; so
all intervals together hold with 1 - error. The one-sided `bound` has an error of its own, of the same size,
and is read alone: that of no cell that lies a margin or more below the best is above minus the margin. A cell
that is shown to lie so far below is none of those to correct for (the two steps of Romano, Shaikh and Wolf
2014, Econometrica 82, 1979-2002); `leading` says what the others cost. One level, the strictest against any
cell that may be the best, holds for all pairs: it also says how far the others have to be led by.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from jaxgd.studies.verdicts.crossed import Differences
from jaxgd.studies.verdicts.ends import lower_ends
from jaxgd.studies.verdicts.leading import leading_levels
from jaxgd.studies.verdicts.levels import correlations, one_sided_levels, pairwise_level

_LARGEST_RATIO = 100.0  # the logarithm of one, beyond which exponentials may overflow
_LEAST_DEVIATION = 1e-150
_MANY_DEVIATIONS = 4.0  # in a margin; with more of them cells come through one by one
_STEPS = 2  # towards the end where both directions make the whole error; each stays below it


class Ends(NamedTuple):
    """Ends of the differences of all pairs, [..., C, C], cell of the row minus cell of the column.

    alone: lower ends, each by itself; where above 0, either cell of the pair has one with half the error at
    most. beside: lower ends, simultaneous for all differences from the cell of the column, at a quarter.
    above: upper ends, simultaneous for all pairs, at a quarter. bound: lower ends of which none is above
    minus the margin, with the whole error, in the rows of cells that lie a margin or more below the best.
    """

    alone: np.ndarray
    beside: np.ndarray
    above: np.ndarray
    bound: np.ndarray


class Intervals(NamedTuple):
    """Of each cell against the best of the others, [..., C]: from low to high, and a one-sided bound."""

    low: np.ndarray
    high: np.ndarray
    bound: np.ndarray


def ends_of(differences: Differences, error: float, margin, cells: int | None = None) -> Ends:
    """The ends of all pairs' differences, for intervals that hold together with 1 - error.

    margin: of practical equality; a number, or of a shape like the pairs' [..., 1, 1].
    cells: how many there are to correct for; those of the differences if None.
    """
    size = differences.mean.shape[-1]
    number = size if cells is None else cells
    shared = correlations(differences.variance)
    side = one_sided_levels(error / 4, number - 1, shared)[..., None, :]
    upward = _lower(differences, np.float64(pairwise_level(error / 4, number)))
    above = -np.swapaxes(upward, -1, -2)
    lower = _lower(differences, side)
    near = (above >= -margin) & ~_diagonal(above)
    others = near.sum(-2) + number - size
    level = leading_levels(error, others, shared, _margin_ratio(differences, margin, near))
    strictest = np.where(possible_best(lower), level, error).min(-1)[..., None, None]
    return Ends(
        alone=_either_way(differences, error / 2),
        beside=lower,
        above=above,
        bound=_lower(differences, strictest),
    )


def tightest(one: Intervals, other: Intervals) -> Intervals:
    """What two looks at the data say together, where each holds with an error of its own."""
    return Intervals(
        np.maximum(one.low, other.low), np.minimum(one.high, other.high), np.maximum(one.bound, other.bound)
    )


def intervals_of(ends: Ends) -> Intervals:
    """Each cell's interval and bound against the best of the others."""
    low = _lower_ends(ends)
    high = np.where(_diagonal(ends.above), np.inf, ends.above).min(-1)
    best = low.max(-1, keepdims=True)
    high = np.where((best > 0) & (low < best), np.minimum(high, -best), high)
    bound = _against_possible_best(ends.bound, ends.beside)
    return Intervals(low, high, np.where(np.isposinf(bound), np.maximum(low, 0), np.maximum(bound, low)))


def against_best(means: np.ndarray) -> np.ndarray:
    """Each cell's mean minus the largest of the others', [..., C]."""
    gaps = means[..., :, None] - means[..., None, :]
    return np.where(_diagonal(gaps), np.inf, gaps).min(-1)


def possible_best(lower: np.ndarray) -> np.ndarray:
    """Which cells no other lies above for certain, [..., C]; all of them where looks contradict each other.

    lower: `beside` of `Ends`.
    """
    beaten = (np.where(_diagonal(lower), -np.inf, lower) > 0).any(-2)
    return np.logical_or(~beaten, beaten.all(-1, keepdims=True))


def _lower_ends(ends: Ends) -> np.ndarray:
    """Each cell's lowest end against those that may be the best; above 0 only against all others, alone."""
    alone = np.where(_diagonal(ends.alone), np.inf, ends.alone).min(-1)
    beside = _against_possible_best(ends.beside, ends.beside)
    return np.where(alone > 0, alone, np.minimum(beside, 0))


def _against_possible_best(lower: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """Each cell's lowest end against those that may be the best; infinite where it alone may be."""
    possible = possible_best(beside)[..., None, :] & ~_diagonal(lower)
    return np.where(possible, lower, np.inf).min(-1)


def _margin_ratio(differences: Differences, margin, near: np.ndarray) -> np.ndarray:
    """The margin over the standard deviation of a difference from the cell of the column: mean, [..., C]."""
    ratio = np.minimum(margin / _deviations(differences), _MANY_DEVIATIONS)
    return np.where(near, ratio, 0).sum(-2) / np.maximum(near.sum(-2), 1)


def _either_way(differences: Differences, error: float) -> np.ndarray:
    """Lower ends such that where one is above 0, either cell of a pair has a false one with `error` at most.

    The end is the distance of two cells of which those seen, or more, are as probable as the error, whichever
    of the two is ahead.
    """
    deviation = _deviations(differences)
    ends = np.zeros_like(differences.mean)
    for _ in range(_STEPS):
        reverse = stdtr(differences.degrees, -(differences.mean + np.maximum(ends, 0)) / deviation)
        ends = _lower(differences, np.clip(error - reverse, error / 2, error))
    return ends


def _lower(differences: Differences, level) -> np.ndarray:
    """Lower ends at a level; of losses the lower one of those of the difference and of the ratio.

    Losses are skewed: a cell that was lucky seems to vary less than it does. Its logarithm does not.
    """
    quantile = stdtrit(differences.degrees, 1 - level)
    ends = lower_ends(
        differences.mean, differences.variance, quantile, differences.event, differences.num_rows
    )
    if differences.ratio is None or differences.scale is None:
        return ends
    of_ratio = np.clip(_lower(differences.ratio, level), -_LARGEST_RATIO, _LARGEST_RATIO)
    return np.minimum(ends, 2 * differences.scale * np.sinh(of_ratio / 2))


def _deviations(differences: Differences) -> np.ndarray:
    """Standard deviations that can be divided by."""
    return np.maximum(np.sqrt(differences.variance), _LEAST_DEVIATION)


def _diagonal(pairs: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.eye(pairs.shape[-1], dtype=bool), pairs.shape)
