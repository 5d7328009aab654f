"""How much the learning rate matters: the width of the interval of rates that are as good as the best."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgd.studies.budgets.tuned import at_rates, tuned_rates, tuning_means
from jaxgd.studies.budgets.winners import margin_of
from jaxgd.studies.trials.canonical import trials_of
from jaxgd.studies.trials.dense import Trials
from jaxgd.studies.trials.splitting import seeds_split


class RateSensitivity(NamedTuple):
    """The learning rates within a margin of the best, by method and batch size; arrays [m, n].

    Attributes:
        methods: m labels.
        batch_sizes: float64[n].
        learning_rate: float64, the best; NaN where a seed diverged at every rate.
        score: float64, its mean on the tuning seeds.
        low: float64, the lower end of the interval, and
        high: float64, the upper one.
        ratio: float64, high over low: at 1 no other rate that was tried comes near.
        open_below: bool, whether the lower end is the lowest rate tried, and
        open_above: bool, the upper end the highest: the interval may be wider.
        margin: float64, how much worse a score may be.
    """

    methods: tuple[str, ...]
    batch_sizes: np.ndarray
    learning_rate: np.ndarray
    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    ratio: np.ndarray
    open_below: np.ndarray
    open_above: np.ndarray
    margin: np.ndarray


def rate_sensitivity(
    data: Any,
    metric: str | None = None,
    mode: str | None = None,
    *,
    margin: float | None = None,
    tuning: int | Sequence | None = None,
    **options: Any,
) -> RateSensitivity:
    """How wide the interval of learning rates is whose mean score is within a margin of the best.

    Scores are those at the end of each run, means over the tuning seeds. From the best rate the interval goes
    as far as scores stay within the margin, and on to where the straight line over the logarithm of the rate
    leaves it. Where the next rate diverged it ends at the last good one. A rate at which a tuning seed
    diverged is not good.

    Args:
        data: as of `trials_of`.
        metric: as of `trials_of`.
        mode: as of `trials_of`.
        margin: 0 or more, in units of the metric. None: 0.005 of a share from 0 to 1, else 2 % of the best.
        tuning: as of `seeds_split`.
        **options: `method` and a selection, as of `trials_of`.

    Raises:
        ValueError: a margin below 0, or no learning rates.

    Example:
        >>> import jaxgd
        >>> table = {"batch_size": [8] * 8, "learning_rate": [0.01, 0.1, 1, 10] * 2,
        ...          "seed": [0] * 4 + [1] * 4, "updates": [100] * 8, "loss": [0.9, 0.5, 0.5, 0.9] * 2}
        >>> found = jaxgd.studies.rate_sensitivity(table, margin=0.2)
        >>> found.low.round(4).tolist(), found.high.round(4).tolist()
        ([[0.0316]], [[3.1623]])
    """
    trials = trials_of(data, metric, mode, **options)
    if margin is not None and not 0 <= margin < np.inf:
        raise ValueError(f"margin must be finite and 0 or more, got {margin!r}")
    means = tuning_means(_final(trials), seeds_split(trials, tuning).tuning)
    best = tuned_rates(means, trials.mode)
    is_known = best >= 0
    score = np.where(is_known, at_rates(means, best), np.nan)
    margins = np.array([margin_of(one[None], trials.mode) for one in score.reshape(-1)]).reshape(score.shape)
    margins = margins if margin is None else np.full_like(score, margin)
    ends = np.full((2, *score.shape), np.nan)
    is_open = np.zeros((2, *score.shape), bool)
    for cell in np.argwhere(is_known):
        place = tuple(cell)
        worse = np.abs(means[place] - score[place])
        rates = trials.learning_rates[place]
        count = int(np.isfinite(rates).sum())
        for side, step in enumerate((-1, 1)):
            found = _end(np.log(rates[:count]), worse, int(best[place]), step, float(margins[place]))
            ends[side][place], is_open[side][place] = np.exp(found[0]), found[1]
    return RateSensitivity(
        methods=trials.methods,
        batch_sizes=trials.batch_sizes,
        learning_rate=np.where(is_known, at_rates(trials.learning_rates, best), np.nan),
        score=score,
        low=ends[0],
        high=ends[1],
        ratio=ends[1] / ends[0],
        open_below=is_open[0],
        open_above=is_open[1],
        margin=margins,
    )


def _final(trials: Trials) -> np.ndarray:
    """The last value of each trial, [m, n, r, s]; NaN where it diverged or was not run."""
    last = np.maximum(np.isfinite(trials.values).cumsum(-1).argmax(-1), 0)[..., None]
    values = np.take_along_axis(trials.values, last, -1)[..., 0]
    return np.where(trials.diverged, np.nan, values)


def _end(rates: np.ndarray, worse: np.ndarray, best: int, step: int, margin: float) -> tuple[float, bool]:
    """Where scores leave the margin in one direction, and whether they do not before the grid's edge.

    rates: logarithms, ascending. worse: by how much each rate is worse than the best, NaN where it diverged.
    """
    place = best
    while 0 <= place + step < len(rates):
        following = place + step
        if np.isnan(worse[following]):
            return float(rates[place]), False
        if worse[following] > margin:
            share = (margin - worse[place]) / (worse[following] - worse[place])
            return float(rates[place] + share * (rates[following] - rates[place])), False
        place = following
    return float(rates[place]), True
