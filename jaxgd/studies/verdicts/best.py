"""Simultaneous intervals of each cell against the best of the others (Hsu's multiple comparisons).

What is estimated for cell i is θ[i] - max(θ[j], j ≠ i), with θ the mean score over all seeds and rows that
could be drawn, and with larger being better. Whichever cell is best, the others' differences from it are a
comparison with one control (Hsu 1981, Annals of Statistics 9, 1026-1034; Hsu 1984, Annals of Statistics 12,
1136-1144; Hsu, Multiple Comparisons, 1996, chapter 4). Who may be that control is read off the data (Edwards
and Hsu 1983, Journal of the American Statistical Association 78, 965-971), which allows unequal variances:

- a cell that is above another one for certain shows that the other is not the best;
- the lower end of a cell is its lowest against any cell that may be the best;
- where one cell alone may be the best, its lower end needs no correction for the number of cells: it is false
  only if the end against the second best is (an intersection-union test; Berger 1982). All others lie below
  it by as much;
- the upper end of a cell is its lowest against any cell, from all pairs at once (Tukey).

Of the error, one half goes to the lower end of the best cell, a quarter to those of the others and a quarter
to the upper ends; so all intervals together hold with 1 - error. The one-sided `bound` has an error of its
own, of the same size, and is read alone.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from jaxgd.studies.verdicts.crossed import Differences
from jaxgd.studies.verdicts.ends import lower_ends
from jaxgd.studies.verdicts.levels import correlations, one_sided_levels, pairwise_level

_LARGEST_RATIO = 100.0  # the logarithm of one, beyond which exponentials may overflow


class Ends(NamedTuple):
    """Ends of the differences of all pairs, [..., C, C], cell of the row minus cell of the column.

    alone: lower ends, each at half the error by itself. beside: lower ends, simultaneous for all differences
    from the cell of the column, at a quarter. above: upper ends, simultaneous for all pairs, at a quarter.
    bound: lower ends as of `beside`, at the whole error.
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


def ends_of(differences: Differences, error: float, cells: int | None = None) -> Ends:
    """The ends of all pairs' differences, for intervals that hold together with 1 - error.

    cells: how many there are to correct for; those of the differences if None.
    """
    number: int = differences.mean.shape[-1] if cells is None else cells
    shared = correlations(differences.variance)[..., None, :]

    def beside(part: float) -> np.ndarray:
        return _lower(differences, one_sided_levels(part, number - 1, shared))

    upward = _lower(differences, np.float64(pairwise_level(error / 4, number)))
    return Ends(
        alone=_lower(differences, np.float64(error / 2)),
        beside=beside(error / 4),
        above=-np.swapaxes(upward, -1, -2),
        bound=beside(error),
    )


def tightest(one: Ends, other: Ends) -> Ends:
    """What two looks at the data say together, where each holds with an error of its own.

    Where a difference was looked at once, the ends of the other look are infinite.
    """
    return Ends(
        alone=np.maximum(one.alone, other.alone),
        beside=np.maximum(one.beside, other.beside),
        above=np.minimum(one.above, other.above),
        bound=np.maximum(one.bound, other.bound),
    )


def intervals_of(ends: Ends) -> Intervals:
    """Each cell's interval and bound against the best of the others."""
    low, only = _lower_ends_and_winner(ends)
    high = np.where(_diagonal(ends.above), np.inf, ends.above).min(-1)
    winner = np.where(only, low, 0).max(-1, keepdims=True)
    below_winner = ~only & only.any(-1, keepdims=True)
    high = np.where(below_winner, np.minimum(high, -winner), high)
    return Intervals(low, high, _against_possible_best(ends.bound)[0])


def against_best(means: np.ndarray) -> np.ndarray:
    """Each cell's mean minus the largest of the others', [..., C]."""
    gaps = means[..., :, None] - means[..., None, :]
    return np.where(_diagonal(gaps), np.inf, gaps).min(-1)


def possible_best(lower: np.ndarray) -> np.ndarray:
    """Which cells no other lies above for certain, [..., C]; all of them where looks contradict each other.

    lower: `beside` or `bound` of `Ends`.
    """
    beaten = (np.where(_diagonal(lower), -np.inf, lower) > 0).any(-2)
    return np.logical_or(~beaten, beaten.all(-1, keepdims=True))


def _lower_ends_and_winner(ends: Ends) -> tuple[np.ndarray, np.ndarray]:
    """Each cell's lower end, and where a cell is the only one that may be the best."""
    low, only = _against_possible_best(ends.beside)
    alone = np.where(_diagonal(ends.alone), np.inf, ends.alone).min(-1)
    return np.where(only, np.maximum(alone, 0), low), only


def _against_possible_best(lower: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest end of each cell against those that may be the best, and where it alone may be; 0 there."""
    possible, diagonal = possible_best(lower), _diagonal(lower)
    only = possible & (possible.sum(-1, keepdims=True) == 1)
    low = np.where(possible[..., None, :] & ~diagonal, lower, np.inf).min(-1)
    return np.where(only, 0.0, low), only


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


def _diagonal(pairs: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.eye(pairs.shape[-1], dtype=bool), pairs.shape)
