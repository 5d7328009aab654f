"""Trials read at a budget of one clock: between evaluations along the straight line, never beyond them."""

from typing import NamedTuple

import numpy as np

from jaxgd.studies.trials.dense import Trials

CLOCKS = ("epochs", "updates", "examples", "seconds")
_ROUNDING = 1e-9


class AtBudget(NamedTuple):
    """What trials measured at a budget.

    values: float64[m, n, r, s], NaN where that is not known. lost: bool of that shape, whether the run had
    diverged by then, at its next evaluation if the budget lies between two.
    """

    values: np.ndarray
    lost: np.ndarray


def largest_budget(trials: Trials, times: np.ndarray) -> float:
    """The largest budget that every method and batch size reached; NaN where no trial is known.

    All runs have reached it but those that diverged, that ended on their own, or that were cut short: at
    fewer updates than another seed of the same rate made.

    Args:
        trials: of any kind.
        times: one of their clocks, as `updates`.
    """
    made = np.fmax.reduce(np.where(np.isfinite(trials.values), trials.updates, np.nan), axis=-1)
    counts = trials.was_run & ~trials.diverged
    last = np.where(counts, np.fmax.reduce(times, axis=-1), np.nan)
    most = np.fmax.reduce(np.where(counts, made, np.nan), axis=-1)[..., None]
    limits = np.where(trials.ended | (made < most), np.nan, last)
    budget = float(np.fmin.reduce(limits, axis=None))
    return budget if np.isfinite(budget) else float(np.fmax.reduce(last, axis=None))


def read_at(trials: Trials, times: np.ndarray, budget: float, what: np.ndarray | None = None) -> AtBudget:
    """What every trial measured at a budget.

    Between two evaluations it is on the straight line through them. Before the first and after the last one
    nothing is known, but of runs that ended on their own, which keep their last value.

    Args:
        trials: of any kind.
        times: one of their clocks, as `updates`.
        budget: on that clock.
        what: what is read, another clock in place of their values.
    """
    what = trials.values if what is None else what
    known = np.isfinite(times)
    count = known.sum(-1)
    before = (known & (times <= budget * (1 + _ROUNDING))).sum(-1)
    most = times.shape[-1] - 1
    left, right = np.clip(before - 1, 0, most), np.clip(before, 0, most)
    begin, end, first, second = (
        np.take_along_axis(part, place[..., None], -1)[..., 0]
        for part, place in ((times, left), (times, right), (what, left), (what, right))
    )
    is_between = (before > 0) & (before < count) & (budget > begin)
    share = np.where(is_between, (budget - begin) / np.where(is_between, end - begin, 1), 0)
    values = np.where(is_between, first + share * (second - first), first)
    is_at = np.isclose(begin, budget, rtol=_ROUNDING, atol=0)
    has_value = (before > 0) & (is_between | is_at | (trials.ended & (before == count)))
    values = np.where(has_value, values, np.nan)
    not_yet = (before == 0) & np.isfinite(second)
    return AtBudget(values, trials.diverged & np.isnan(values) & ~not_yet)
