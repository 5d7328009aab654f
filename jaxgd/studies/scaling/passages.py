"""When a run first reaches a goal, between its evaluations."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxgd.arguments import unknown
from jaxgd.studies.trials.dense import Trials


class Goal(NamedTuple):
    """A value of a metric that is to be reached, such as `valid_loss` 0.3, from the side that is worse."""

    metric: str
    value: float

    @property
    def text(self) -> str:
        """As it is written on the command line: "valid_loss=0.3"."""
        return f"{self.metric}={self.value:.4g}"


def checked_goal(goal: Mapping[str, float]) -> Goal:
    """The goal of `{metric: value}`.

    Raises:
        ValueError: it is not one metric with one finite number.
    """
    if not isinstance(goal, Mapping) or len(goal) != 1:
        raise ValueError(
            f"goal must be one metric and its value, such as {{'valid_loss': 0.3}}, got {goal!r}"
        )
    ((metric, value),) = goal.items()
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(f"goal must have a finite value of {metric}, got {value!r}")
    return Goal(str(metric), number)


class FirstPassages(NamedTuple):
    """When each trial first reached a goal.

    Attributes:
        log_steps: float64[m, n, r, s], the logarithm of the updates; infinite where a trial did not get
            there, NaN where there is none.
        at_first: bool[m, n, r, s], whether its first evaluation was there already: it may have been earlier.
    """

    log_steps: np.ndarray
    at_first: np.ndarray


def first_passages(trials: Trials, goal: Goal) -> FirstPassages:
    """When each trial first had the goal at an evaluation, interpolated from the one before.

    Between the two the logarithm of updates is linear in that of the distance to a perfect score: of the
    loss, or of the error rate where better is more and nothing is above 1. A metric that can be negative is
    taken as it is.

    Raises:
        ValueError: the trials are of another metric.
    """
    if goal.metric != trials.metric:
        raise ValueError(unknown("metric", goal.metric, [trials.metric]))
    badness, wanted = _badness(trials, goal)
    with np.errstate(invalid="ignore"):
        reached = badness <= wanted
    first = reached.argmax(-1)
    before = np.maximum(first - 1, 0)

    def at(values: np.ndarray, place: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, place[..., None], -1)[..., 0]

    with np.errstate(divide="ignore", invalid="ignore"):
        begin, end = np.log(at(trials.updates, before)), np.log(at(trials.updates, first))
        share = (at(badness, before) - wanted) / (at(badness, before) - at(badness, first))
        between = begin + np.clip(share, 0, 1) * (end - begin)
    at_first = first == 0
    log_steps = np.where(at_first | ~np.isfinite(between), end, between)
    is_there = reached.any(-1)
    log_steps = np.where(is_there, log_steps, np.inf)
    return FirstPassages(np.where(trials.was_run, log_steps, np.nan), at_first & is_there & trials.was_run)


def _badness(trials: Trials, goal: Goal) -> tuple[np.ndarray, float]:
    """The values and the goal on a scale where less is better and equal ratios are equal distances."""
    values, known = trials.values, trials.values[np.isfinite(trials.values)]
    if trials.mode == "max" and known.size and known.max() <= 1 and 0 <= goal.value <= 1:
        values, value = 1 - values, 1 - goal.value
    elif trials.mode == "max":
        return -values, -goal.value
    else:
        value = goal.value
    if value <= 0 or (known.size and np.nanmin(values) < 0):
        return values, value
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(values, np.finfo(float).tiny)), float(np.log(value))
