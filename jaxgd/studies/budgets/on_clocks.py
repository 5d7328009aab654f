"""Methods and batch sizes at the budget of one clock: tuned rates, scores, what they cost, verdicts."""

from typing import NamedTuple

import numpy as np

from jaxgd.studies.budgets.clocks import AtBudget, largest_budget, read_at
from jaxgd.studies.budgets.tuned import at_rates, tuned_rates, tuning_means
from jaxgd.studies.budgets.winners import Judged, judge_scores
from jaxgd.studies.trials.dense import Trials
from jaxgd.studies.trials.splitting import SeedsSplit


class OnClock(NamedTuple):
    """What is found on one clock.

    budget: NaN where the clock is not known. reading: of all trials. rates: int64[m, n], places of the tuned
    ones, -1 where there is none. tuning: float64[m, n], their means on the tuning seeds. scores: float64[m,
    n, p], and lost: bool, whether the run had diverged, of the reporting seeds. seconds: float64[m, n], that
    the budget took. judged: of all cells, methods first.
    """

    budget: float
    reading: AtBudget
    rates: np.ndarray
    tuning: np.ndarray
    scores: np.ndarray
    lost: np.ndarray
    seconds: np.ndarray
    judged: Judged


def on_clock(
    trials: Trials, clock: str, budget: float | None, split: SeedsSplit, margin: float | None, share: float
) -> OnClock:
    """What is found at a budget of a clock; at the largest that all reached where None is given.

    share: of the error, that this clock may make.
    """
    times = getattr(trials, clock)
    times = np.full_like(trials.updates, np.nan) if times is None else times
    budget = largest_budget(trials, times) if budget is None else float(budget)
    reading = read_at(trials, times, budget)
    means = tuning_means(reading.values, split.tuning)
    rates = tuned_rates(means, trials.mode)
    is_tuned = rates >= 0

    def reported(numbers: np.ndarray) -> np.ndarray:
        return at_rates(numbers, rates)[..., split.reporting]

    def cost(counted: np.ndarray) -> np.ndarray:
        taken = reported(read_at(trials, times, budget, counted).values).mean(-1)
        return np.where(is_tuned, taken, np.nan)

    scores = np.where(is_tuned[..., None], reported(reading.values), np.nan)
    seconds = np.full(rates.shape, np.nan) if trials.seconds is None else cost(trials.seconds)
    is_timed = np.isfinite(seconds) | ~np.isfinite(scores).all(-1)
    costs = seconds if is_timed.all() else cost(trials.updates)
    judged = judge_scores(scores.reshape(-1, scores.shape[-1]), trials.mode, margin, share, costs.reshape(-1))
    return OnClock(
        budget=budget,
        reading=reading,
        rates=rates,
        tuning=np.where(is_tuned, at_rates(means, rates), np.nan),
        scores=scores,
        lost=reported(reading.lost) & is_tuned[..., None],
        seconds=seconds,
        judged=judged,
    )
