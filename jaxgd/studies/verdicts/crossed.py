"""Variances of mean scores and of their differences where seeds and test rows are crossed.

Every cell is scored at S seeds on the same R rows. The difference of two cells at seed s on row r is

    difference + seed[s] + row[r] + both[s, r]

with three independent random effects, so the variance of its mean is seed²/S + row²/R + both²/(S·R). The mean
squares of seeds and of rows hold the interaction `both` each; it is counted once (Searle, Casella, McCulloch:
Variance Components, 1992, sections 4.3 and 5.3).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import chdtri

# The chance that the true mean square of seeds lies above the value that the degrees of freedom are taken at.
_UPPER_QUARTILE = 0.25
# Rows that differ and were not seen may differ by more than those seen: at least by so much.
_LEAST_EVENT = 0.6


class Crossed(NamedTuple):
    """Moments of the scores of C cells; leading dimensions are independent repetitions.

    means: [..., C]. seeds, rows, both: [..., C, C], covariances between cells of what varies with the seed
    (of means over rows), with the row (of means over seeds) and with both. event: [..., C, C], how much two
    cells differ on a row where they differ, from 0.6 to 1 (all seeds); None for scores that are no hits.
    """

    means: np.ndarray
    seeds: np.ndarray
    rows: np.ndarray
    both: np.ndarray
    event: np.ndarray | None
    num_seeds: int
    num_rows: int


class Differences(NamedTuple):
    """Mean differences of all pairs, cell of the row minus cell of the column, and how well they are known.

    mean, variance, degrees: [..., C, C], with the degrees of freedom of the variance. event: as of `Crossed`.
    ratio: the same of the logarithms of mean scores, for scores above 0 that are no hits; else None. scale:
    [..., C, C], the geometric mean of both scores, which takes a ratio back to a difference.
    """

    mean: np.ndarray
    variance: np.ndarray
    degrees: np.ndarray
    event: np.ndarray | None
    num_rows: int
    ratio: "Differences | None" = None
    scale: np.ndarray | None = None


def crossed_moments(scores: np.ndarray, hits: bool) -> Crossed:
    """The moments of scores [..., cells, seeds, rows].

    hits: whether the scores are right (1) or wrong (0), row by row. One seed stands for cells without chance:
    nothing varies with it.
    """
    scores = np.asarray(scores, np.float64)
    num_seeds, num_rows = scores.shape[-2:]
    means = scores.mean((-2, -1))
    centred = scores - means[..., None, None]
    by_row = centred.mean(-2)
    seeds, rows = _covariance(centred.mean(-1)), _covariance(by_row)
    flat = centred.reshape(*centred.shape[:-2], -1)
    rest = flat @ flat.mT - num_rows * (num_seeds - 1) * seeds - num_seeds * (num_rows - 1) * rows
    both = rest / max((num_seeds - 1) * (num_rows - 1), 1)
    event = _event_sizes(by_row + means[..., None]) if hits else None
    return Crossed(means, seeds, rows, both, event, num_seeds, num_rows)


def moments_of_means(means: np.ndarray, num_rows: int) -> Crossed:
    """The moments of hits of which the share of each seed alone is known, [..., cells, seeds].

    How cells agree row by row is not known. Cells are taken to err independently, which is on the safe side
    where rows that are hard for one are hard for the others.
    """
    means = np.asarray(means, np.float64)
    share = (means.mean(-1) * num_rows + 2) / (num_rows + 4)  # never 0 or 1 (Agresti and Coull 1998)
    rows = (share * (1 - share))[..., None] * np.eye(means.shape[-2])
    seeds = _covariance(means - means.mean(-1, keepdims=True))
    return Crossed(
        means.mean(-1), seeds, rows, np.zeros_like(rows), np.ones_like(rows), means.shape[-1], num_rows
    )


def differences_of(moments: Crossed, higher_is_better: bool = True) -> Differences:
    """All pairs of cells: by how much one is better, the variance over seeds and rows, degrees of freedom."""
    found = _differences(moments, 1 if higher_is_better else -1)
    if moments.event is not None or not (moments.means > 0).all():
        return found
    product = moments.means[..., :, None] * moments.means[..., None, :]
    parts = {part: getattr(moments, part) / product for part in ("seeds", "rows", "both")}
    logarithms = moments._replace(means=np.log(moments.means), **parts)
    ratio = _differences(logarithms, 1 if higher_is_better else -1)
    return found._replace(ratio=ratio, scale=np.sqrt(product))


def _differences(moments: Crossed, sign: int) -> Differences:
    mean = sign * (moments.means[..., :, None] - moments.means[..., None, :])
    seeds, rows, both = (_of_difference(part) for part in (moments.seeds, moments.rows, moments.both))
    variance, degrees = crossed_variance(seeds, rows, both, moments.num_seeds, moments.num_rows)
    return Differences(mean, variance, degrees, moments.event, moments.num_rows)


def crossed_variance(seeds, rows, both, num_seeds: int, num_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The variance of a mean over seeds and rows, and its degrees of freedom.

    seeds, rows, both: variances as in `Crossed`. A component estimated below 0 counts as 0, so seeds that
    agree in their means, and not in their rows, have the variance that their rows show.

    The degrees of freedom are Satterthwaite's (1946), with the seeds' mean square put at its upper quartile:
    five seeds often vary too little by chance, and then they would also seem to matter too little.
    """
    both = np.maximum(both, 0)
    by_seed = np.maximum(num_rows * seeds, both) / (num_seeds * num_rows)
    by_row = np.maximum(num_seeds * rows - both, 0) / (num_seeds * num_rows)
    free = max(num_seeds - 1, 1)
    upper = by_seed * free / chdtri(free, 1 - _UPPER_QUARTILE)
    free_rows = max(num_rows - 1, 1)  # a single row: scores by seed alone, whose variance is the seeds'
    spread = upper**2 / free + by_row**2 / free_rows
    known = spread > 0
    degrees = np.where(known, (upper + by_row) ** 2 / np.where(known, spread, 1), free_rows)
    return by_seed + by_row, degrees


def _covariance(values: np.ndarray) -> np.ndarray:
    """Between cells, of [..., cells, repeats]; 0 for a single repeat."""
    centred = values - values.mean(-1, keepdims=True)
    return centred @ centred.mT / max(values.shape[-1] - 1, 1)


def _of_difference(covariance: np.ndarray) -> np.ndarray:
    """The variances of all pairs' differences; exactly symmetric, and 0 on the diagonal."""
    own = np.diagonal(covariance, axis1=-2, axis2=-1)
    return np.maximum(own[..., :, None] + own[..., None, :] - 2 * covariance, 0)


def _event_sizes(by_row: np.ndarray) -> np.ndarray:
    """Sum of cubes over sum of squares of the rows' differences, for each pair of [..., cells, rows]."""
    gaps = np.abs(by_row[..., :, None, :] - by_row[..., None, :, :])
    squares = (gaps**2).sum(-1)
    seen = (gaps**3).sum(-1) / np.where(squares > 0, squares, 1)
    return np.where(squares > 0, np.maximum(seen, _LEAST_EVENT), 1.0)
