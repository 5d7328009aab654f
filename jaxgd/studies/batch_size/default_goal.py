"""The goal of a study that was given none: what the middle batch size reaches at two thirds of the budget."""

import math

import numpy as np

from jaxgd.studies.scaling.passages import Goal
from jaxgd.studies.trials.dense import Trials
from jaxgd.studies.trials.splitting import SeedsSplit

SHARE = 2 / 3
_DIGITS = 3


def usual_goal(trials: Trials, split: SeedsSplit) -> Goal:
    """What every method has reached at the middle batch size after two thirds of its evaluations.

    By the rate that serves it best there, at every tuning seed; in three digits, rounded to the side that is
    easier to reach.

    Raises:
        ValueError: a method has no rate at which all tuning seeds have a value then.
    """
    middle = middle_place(trials)
    sign = 1 if trials.mode == "min" else -1
    values = sign * trials.values[:, middle][..., split.tuning, :]
    counts = np.isfinite(trials.updates[:, middle][..., split.tuning, :]).sum(-1, keepdims=True)
    place = np.maximum(np.ceil(SHARE * counts).astype(int) - 1, 0)
    lowest = np.fmin.accumulate(np.where(np.isnan(values), np.inf, values), axis=-1)
    reached = np.take_along_axis(lowest, place, -1)[..., 0]
    best = reached.max(-1).min(-1)
    if not np.isfinite(best).all():
        name = trials.methods[int(np.argmax(~np.isfinite(best)))] or "no rate"
        size = f"batch size {trials.batch_sizes[middle]:g}"
        raise ValueError(f"goal is needed: at {size} {name} has no {trials.metric} at every tuning seed")
    return Goal(trials.metric, _rounded_up(float(best.max())) * sign)


def middle_place(trials: Trials) -> int:
    """The place of the middle batch size; of two, the smaller."""
    return (len(trials.batch_sizes) - 1) // 2


def _rounded_up(value: float) -> float:
    """The number in three digits, not below it."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - _DIGITS + 1)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.{_DIGITS}g}")
