"""Verdicts on cells from their scores on fresh seeds and test rows: the one procedure of every comparison.

`conclude` goes through the looks made so far. At each, the cells that have so many seeds are compared, all
pairs at once, with the share of the error that this look may spend; the tightest intervals of all looks stay.
Everything said about a cell is read off its interval against the best of the others, and nothing is corrected
a second time:

    better       the interval lies wholly above the margin
    as good      its one-sided bound lies within the margin
    worse        the interval lies wholly below minus the margin
    cannot tell  neither
    no verdict   fewer than 5 seeds, or a score that is not finite
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgd.studies.verdicts.best import Ends, Intervals, against_best, ends_of, intervals_of, tightest
from jaxgd.studies.verdicts.crossed import Crossed, crossed_moments, differences_of, moments_of_means
from jaxgd.studies.verdicts.own_intervals import score_intervals
from jaxgd.studies.verdicts.spending import LEAST_SEEDS

ERROR = 0.05
VERDICTS = ("cannot tell", "better", "as good", "worse", "no verdict")
CANNOT_TELL, BETTER, AS_GOOD, WORSE, NO_VERDICT = range(5)


class CellScores(NamedTuple):
    """What is known of the runs of all cells on the same test rows, paired by seed.

    values: for each cell [seeds, rows], or [seeds] where only the share of hits of each seed is known. Of any
    other score that is known by seed alone: [seeds, 1], and intervals cover chance of the seeds alone. hits:
    whether they are right (1) or wrong (0); else losses, or any number. higher_is_better: of the values.
    chance: for each cell whether its seeds differ at all; a cell without chance is one run, [1, rows], and
    varies with the rows alone; all have chance if None. num_rows: of the test rows, needed for values [seeds]
    only.
    """

    values: Sequence[np.ndarray]
    hits: bool
    higher_is_better: bool
    chance: Sequence[bool] | None = None
    num_rows: int | None = None


class Conclusion(NamedTuple):
    """What can be said about C cells; arrays are [C], and NaN where there is no verdict.

    score, score_low, score_high: mean over seeds and rows, and its own 95 % interval. estimate: by how much
    the cell is better than the best of the others (below 0: worse), in units of the score, whichever
    direction is better. low, high: its interval, simultaneous for all cells. bound: its one-sided lower
    bound, which says whether the cell is as good at this margin. codes: indices of VERDICTS. ends: of all
    pairs as of the last look that both took part in, for what more seeds might decide.
    """

    score: np.ndarray
    score_low: np.ndarray
    score_high: np.ndarray
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    bound: np.ndarray
    margin: float
    codes: np.ndarray
    ends: Ends

    @property
    def verdicts(self) -> tuple[str, ...]:
        """The verdict on each cell, in words."""
        return tuple(VERDICTS[code] for code in self.codes)


def conclude(
    scores: CellScores, margin: float, looks: Sequence[int] = (LEAST_SEEDS,), shares: Sequence[float] = (1.0,)
) -> Conclusion:
    """The verdict on each cell, and the intervals that it is read off.

    Args:
        scores: of all cells. A cell that has fewer seeds than the first look gets no verdict and is none of
            the others; later looks are at the cells that have so many seeds.
        margin: up to this difference two cells are equal for practical purposes, in units of the score.
        looks: the numbers of seeds at which the scores were looked at, rising, the first 5 or more.
        shares: of the error, one for each look (`shares_of_error`).

    Raises:
        ValueError: values that do not fit together, or a margin below 0.
    """
    values = _checked(scores, margin, looks, shares)
    judged = np.array([_judged(v, c, looks[0]) for v, c in zip(values, _chance(scores), strict=True)])
    ends = _no_ends(len(values))
    found = _no_intervals(len(values))
    for seeds, share in zip(looks, shares, strict=True):
        ends = _look(scores, values, judged, seeds, ERROR * share, margin, ends)
        found = tightest(found, _intervals(ends, judged))
    own = np.array([_own(scores, v, c) for v, c in zip(values, _chance(scores), strict=True)])
    estimates = _estimates(scores, own[:, 0], judged)
    (low, high, bound), codes = _read(found, judged, margin)
    return Conclusion(own[:, 0], own[:, 1], own[:, 2], estimates, low, high, bound, margin, codes, ends)


def verdict_codes(intervals: Intervals, margin) -> np.ndarray:
    """Indices of VERDICTS, of the shape of the intervals' ends; margin: a number, or of that shape."""
    codes = np.where(intervals.high < -margin, WORSE, CANNOT_TELL)
    codes = np.where(intervals.bound >= -margin, AS_GOOD, codes)
    return np.where(intervals.low > margin, BETTER, codes)


def differs(scores: np.ndarray) -> bool:
    """Whether there is chance: some row's score is not the same at all seeds of [seeds, ...].

    Ask it of losses or of parameters: hits of an easy problem may be the same by chance.
    """
    scores = np.asarray(scores)
    return bool((scores != scores[:1]).any())


def _chance(scores: CellScores) -> list[bool]:
    return [True] * len(scores.values) if scores.chance is None else [bool(c) for c in scores.chance]


def _checked(
    scores: CellScores, margin: float, looks: Sequence[int], shares: Sequence[float]
) -> list[np.ndarray]:
    values = [np.asarray(value, np.float64) for value in scores.values]
    if not margin >= 0:
        raise ValueError(f"margin must be 0 or more, got {margin!r}")
    if len(looks) != len(shares) or looks[0] < LEAST_SEEDS:
        raise ValueError(
            f"looks must be {LEAST_SEEDS} seeds or more, with a share each, got {looks} and {shares}"
        )
    if len({(value.ndim, *value.shape[1:]) for value in values}) != 1:
        raise ValueError(
            f"scores must be of the same test rows, got shapes {[value.shape for value in values]}"
        )
    if values[0].ndim == 1 and (scores.num_rows is None or not scores.hits):
        raise ValueError("scores by seed alone must be shares of hits, with num_rows; give [seeds, rows]")
    return values


def _judged(value: np.ndarray, chance: bool, least: int) -> bool:
    by_row_alone = not chance and value.ndim == 2
    return bool(np.isfinite(value).all()) and len(value) >= (1 if by_row_alone else least)


def _moments(scores: CellScores, values: np.ndarray) -> Crossed:
    if values.ndim == 2:
        assert scores.num_rows is not None
        return moments_of_means(values, scores.num_rows)
    return crossed_moments(values, scores.hits)


def _look(
    scores: CellScores,
    values: list[np.ndarray],
    judged: np.ndarray,
    seeds: int,
    error: float,
    margin: float,
    before: Ends,
) -> Ends:
    """The ends of all pairs that have so many seeds; those of the others stay as they were before.

    How many cells there are to correct for does not change with how many take part in this look.
    """
    chance = np.array(_chance(scores))
    enough = np.array([len(value) >= seeds for value in values]) | ~chance
    places = np.flatnonzero(judged & enough)
    if len(places) < 2:
        return before
    stacked = np.stack([_first(values[place], chance[place], seeds) for place in places])
    differences = differences_of(_moments(scores, stacked), scores.higher_is_better)
    ends = Ends(*(part.copy() for part in before))
    for whole, part in zip(ends, ends_of(differences, error, margin, int(judged.sum())), strict=True):
        whole[np.ix_(places, places)] = part
    return ends


def _first(value: np.ndarray, chance: bool, seeds: int) -> np.ndarray:
    """The first so many seeds; of a cell without chance its one run, which all seeds would repeat."""
    return value[:seeds] if chance else np.broadcast_to(value[:1], (seeds, *value.shape[1:]))


def _no_ends(cells: int) -> Ends:
    low = np.full((cells, cells), -np.inf)
    return Ends(low, low, -low, low)


def _no_intervals(cells: int) -> Intervals:
    low = np.full(cells, -np.inf)
    return Intervals(low, -low, low)


def _intervals(ends: Ends, judged: np.ndarray) -> Intervals:
    """The intervals of the cells that are judged; those of the others are infinite."""
    places = np.flatnonzero(judged)
    intervals = Intervals(*(part.copy() for part in _no_intervals(len(judged))))
    if len(places) > 1:
        found = intervals_of(Ends(*(part[np.ix_(places, places)] for part in ends)))
        for whole, part in zip(intervals, found, strict=True):
            whole[places] = part
    return intervals


def _own(scores: CellScores, value: np.ndarray, chance: bool) -> tuple[float, float, float]:
    """The mean score of a cell and its own interval; unknown ends for one run out of many that differ."""
    if not np.isfinite(value).all():
        return np.nan, np.nan, np.nan
    moments = _moments(scores, value[None] if chance else value[None, :1])
    if chance and len(value) == 1:
        return float(moments.means[0]), np.nan, np.nan
    low, high = score_intervals(moments)
    return float(moments.means[0]), float(low[0]), float(high[0])


def _read(intervals: Intervals, judged: np.ndarray, margin: float) -> tuple[Intervals, np.ndarray]:
    """Intervals and codes of the cells that are judged; NaN and no verdict for the others."""
    there = judged & (judged.sum() > 1)
    known = Intervals(*(np.where(there, part, np.nan) for part in intervals))
    return known, np.where(there, verdict_codes(known, margin), NO_VERDICT)


def _estimates(scores: CellScores, means: np.ndarray, judged: np.ndarray) -> np.ndarray:
    found = np.full(len(means), np.nan)
    if judged.sum() > 1:
        found[judged] = against_best(means[judged] if scores.higher_is_better else -means[judged])
    return found
