"""Updates to a goal at each batch size, S(B), as trials show them: with intervals, and never from misses.

Source: Shallue, Lee, Antognini, Sohl-Dickstein, Frostig and Dahl 2019, "Measuring the Effects of Data
Parallelism on Neural Network Training".
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from jaxgd.arguments import unknown
from jaxgd.studies.edges import edge_of
from jaxgd.studies.intervals import CONFIDENCE
from jaxgd.studies.scaling.passages import Goal, checked_goal, first_passages
from jaxgd.studies.scaling.rate_choices import chosen_rates, resampled_choices
from jaxgd.studies.trials.canonical import trials_of
from jaxgd.studies.trials.dense import Trials
from jaxgd.studies.trials.splitting import SeedsSplit, seeds_split

REACHED, AT_LEAST, AT_MOST, NOT_REACHED = "reached", "at least", "at most", "not reached"


class MeasuredSteps(NamedTuple):
    """Updates to a goal at each batch size's best learning rate, S(B). Arrays by batch size, ascending.

    Attributes:
        goal: the metric and the value to reach.
        method: the label of the trials.
        batch_sizes: float64[n].
        learning_rates: float64[n], the rate that the tuning seeds choose; NaN where none of them gets there.
        edges: n of "lowest" or "highest" where that rate is the end of its grid, and a better one may lie
            beyond; None elsewhere.
        found: n words. "reached": every reporting seed gets there. "at most": so it does, but some are there
            at their first evaluation, and may have been earlier. "at least": more than half of them get
            there. "not reached": no more than half, or none of the tuning seeds.
        steps: float64[n], the geometric mean of the updates over reporting seeds; their median where some
            miss; NaN where the goal is not reached.
        low: float64[n], the lower end of the 95 % interval. Where some miss, the least that was seen: of n
            seeds it lies above the median with a chance of 2^-n only. 0 where it is at most that.
        high: float64[n], its upper end, infinite where some miss. NaN, both, for a single seed.
        reached: int64[n], reporting seeds that get there at that rate.
        seeds: int64[n], reporting seeds.
        log_steps: float64[n, s], logarithms of the updates by reporting seed; infinite for a miss.
        retuned: float64[k, n], the means of log updates at the rates that resampled tuning seeds choose, over
            reporting seeds; NaN where one of them misses.
        notes: what a reader must know, a sentence each.
    """

    goal: Goal
    method: str
    batch_sizes: np.ndarray
    learning_rates: np.ndarray
    edges: list[str | None]
    found: list[str]
    steps: np.ndarray
    low: np.ndarray
    high: np.ndarray
    reached: np.ndarray
    seeds: np.ndarray
    log_steps: np.ndarray
    retuned: np.ndarray
    notes: tuple[str, ...]

    @property
    def examples(self) -> np.ndarray:
        """E(B) = B S(B), float64[n]: examples processed to the goal."""
        return self.batch_sizes * self.steps

    @property
    def is_reached(self) -> np.ndarray:
        """bool[n], whether every reporting seed gets there, after a known number of updates."""
        return np.array([word == REACHED for word in self.found])


def measured_steps(
    data: Any,
    goal: Mapping[str, float],
    *,
    method: str | None = None,
    tuning: int | Sequence | None = None,
    mode: str | None = None,
    **where: Any,
) -> MeasuredSteps:
    """The updates to a goal at each batch size, with 95 % intervals.

    A trial is at the goal at the first evaluation that is, interpolated from the one before. For each batch
    size the tuning seeds choose the rate that gets there first, by the mean of log updates; the other seeds
    report, so that a choice does not flatter itself. The interval is t's on log updates, and its variance has
    the choice's in it: that of the mean over resamples of the tuning seeds. It is one for the best rate of
    the grid.

    Args:
        data: trials: what `trials_of` takes.
        goal: `{metric: value}`, such as `{"valid_loss": 0.3}`.
        method: the label of the trials, where there are several.
        tuning: how many of the first seeds tune, or which; half of them if None.
        mode: "min" or "max", for metrics of which the name does not say it.
        **where: values of columns or axes, to keep those trials alone: `optimizer="adam"`.

    Raises:
        ValueError: an argument out of its range, several methods, one batch size.

    Source: Shallue et al. 2019, section 4.

    Example:
        >>> import jaxgd, numpy as np
        >>> table = {name: [] for name in ("batch_size", "learning_rate", "seed", "updates", "loss")}
        >>> for size in (8, 32):
        ...     for seed in range(4):
        ...         for updates in (10, 20, 40, 80):
        ...             loss = np.exp(-updates * size / (320 + 8 * seed))
        ...             row = size, 0.1, seed, updates, loss
        ...             for column, value in zip(table.values(), row):
        ...                 column.append(value)
        >>> found = jaxgd.studies.measured_steps(table, {"loss": 0.2})
        >>> found.steps.round(1).tolist(), found.found
        ([67.2, 16.8], ['reached', 'reached'])
    """
    wanted = checked_goal(goal)
    trials = trials_of(data) if isinstance(data, Trials) else trials_of(data, wanted.metric, mode, **where)
    place = _place(trials, method)
    return steps_of(trials, wanted, place, seeds_split(trials, tuning))


def steps_of(trials: Trials, goal: Goal, place: int, split: SeedsSplit) -> MeasuredSteps:
    """`measured_steps` of the method at this place, by the seeds as they are split."""
    passages = first_passages(trials, goal)
    tuning, reporting = (passages.log_steps[place][..., part] for part in split)
    best = chosen_rates(tuning)
    there = np.maximum(best, 0)[:, None, None]
    at_best = np.take_along_axis(reporting, there, 1)[:, 0]
    own = np.where((best[:, None] < 0) & ~np.isnan(at_best), np.inf, at_best)
    early = np.take_along_axis(passages.at_first[place][..., split.reporting], there, 1)[:, 0]
    retuned = _retuned(tuning, reporting)
    rates = np.take_along_axis(trials.learning_rates[place], there[..., 0], 1)[:, 0]
    cells = [_cell(*parts) for parts in zip(own, early & np.isfinite(own), retuned.T, strict=True)]
    found, steps, low, high = zip(*cells, strict=True)
    tried = [row[np.isfinite(row)] for row in trials.learning_rates[place]]
    edges = [
        None if k < 0 or len(row) < 2 else edge_of(row, rate)
        for k, row, rate in zip(best, tried, rates, strict=True)
    ]
    return MeasuredSteps(
        goal=goal,
        method=trials.methods[place],
        batch_sizes=trials.batch_sizes,
        learning_rates=np.where(best < 0, np.nan, rates),
        edges=edges,
        found=list(found),
        steps=np.array(steps),
        low=np.array(low),
        high=np.array(high),
        reached=np.isfinite(own).sum(-1),
        seeds=(~np.isnan(own)).sum(-1),
        log_steps=own,
        retuned=retuned,
        notes=trials.notes,
    )


def _place(trials: Trials, method: str | None) -> int:
    """The place of the method among the trials'."""
    if len(trials.batch_sizes) < 2:
        raise ValueError(f"batch sizes must be two or more, got {trials.batch_sizes[0]:g} alone")
    if method is None and len(trials.methods) == 1:
        return 0
    if method is None:
        raise ValueError(f"method must be one of {', '.join(trials.methods)}: the trials are of several")
    if method not in trials.methods:
        raise ValueError(unknown("method", method, trials.methods))
    return trials.methods.index(method)


def _retuned(tuning: np.ndarray, reporting: np.ndarray) -> np.ndarray:
    """Means over reporting seeds at the rates that resamples choose, [resamples, n]; NaN where one misses."""
    with np.errstate(invalid="ignore"):
        count = (~np.isnan(reporting)).sum(-1)
        means = np.where(count > 0, np.nansum(reporting, -1) / np.maximum(count, 1), np.nan)
    choices = resampled_choices(tuning)
    picked = np.take_along_axis(means, np.maximum(choices, 0).T, 1).T
    return np.where((choices >= 0) & np.isfinite(picked), picked, np.nan)


def _cell(
    log_steps: np.ndarray, at_first: np.ndarray, retuned: np.ndarray
) -> tuple[str, float, float, float]:
    """`(found, steps, low, high)` of reporting seeds at one batch size."""
    own = log_steps[~np.isnan(log_steps)]
    missed = int(np.isinf(own).sum())
    if 2 * missed >= len(own):
        return NOT_REACHED, math.nan, math.nan, math.nan
    if missed:
        return AT_LEAST, math.exp(np.median(own)), math.exp(own.min()), math.inf
    mean, word = float(own.mean()), AT_MOST if at_first.any() else REACHED
    if len(own) < 2:
        return word, math.exp(mean), math.nan, math.nan
    half = stdtrit(len(own) - 1, (1 + CONFIDENCE) / 2) * math.sqrt(
        own.var(ddof=1) / len(own) + choice_variance(retuned)
    )
    low = 0.0 if word == AT_MOST else math.exp(mean - half)
    return word, math.exp(mean), low, math.exp(mean + half)


def choice_variance(retuned: np.ndarray) -> float:
    """The variance of a mean that comes from which rate was chosen, of [resamples]."""
    known = retuned[np.isfinite(retuned)]
    return float(known.var()) if known.size else 0.0
