"""How often the intervals of updates to a goal and of critical batch sizes cover what is known to be true.

The truth is the noisy quadratic's: expected losses of SGD at ten batch sizes and nine rates, and the update
at which each comes to the goal, put through the same definitions. A trial draws the seeds' log updates around
it, with a part that all runs of a seed share; or it simulates the runs, update by update.
"""

import math
from typing import NamedTuple

import numpy as np

from jaxgd.studies import critical_batch_sizes
from jaxgd.studies.scaling.critical import fit_steps
from jaxgd.studies.scaling.measured import MeasuredSteps, steps_of
from jaxgd.studies.scaling.passages import Goal
from jaxgd.studies.trials.dense import Trials
from jaxgd.studies.trials.splitting import SeedsSplit

SIZES = 2.0 ** np.arange(10)
SHARED = 0.3  # of the variance of log updates, by what all runs of a seed share
GOAL = Goal("loss", 0.5)
TUNING, REPORTING = 5, 5


class Quadratic(NamedTuple):
    """Curvatures and noise [d], the goal, and the grid of rates."""

    h: np.ndarray
    c: np.ndarray
    goal: float
    rates: np.ndarray


def _quadratic(h, c, goal, lowest, highest):
    return Quadratic(np.array(h, float), np.array(c, float), goal, np.geomspace(lowest, highest, 9))


_FALLING = 1 / np.arange(1, 101)
# The first is that of the tests. "falling" has no bend that the fit could meet.
QUADRATICS = {
    "three": _quadratic([1, 0.3, 0.04], [1, 0.6, 0.08], 0.01, 0.01, 1.9),
    "falling": _quadratic(_FALLING, _FALLING, 0.1, 0.01, 1.9),
    "two groups": _quadratic([1] * 5 + [0.05] * 20, [1] * 5 + [0.05] * 20, 0.03, 0.01, 1.9),
    "noisy": _quadratic([1, 0.5, 0.2, 0.1], [4, 2, 1, 0.5], 0.05, 0.003, 1.5),
}


def true_log_steps(one: Quadratic) -> np.ndarray:
    """Log updates to the goal, [sizes, rates], infinite where the noise forbids it; updates are real here."""
    rates, sizes = one.rates[None, :, None], SIZES[:, None, None]
    floor = rates * one.c / (sizes * one.h * (2 - rates * one.h))
    shrink = np.log((1 - rates * one.h) ** 2)

    def loss(updates: np.ndarray) -> np.ndarray:
        return (one.h * (floor + np.exp(shrink * updates[..., None]) * (1 - floor)) / 2).sum(-1)

    low, high = np.zeros((len(SIZES), len(one.rates))), np.full((len(SIZES), len(one.rates)), 1e6)
    comes_there = loss(high) <= one.goal
    for _ in range(60):
        middle = (low + high) / 2
        is_there = loss(middle) <= one.goal
        low, high = np.where(is_there, low, middle), np.where(is_there, middle, high)
    return np.where(comes_there, np.log(high), np.inf)


def drawn(random, truth: np.ndarray, spread: float) -> MeasuredSteps:
    """What a trial measures whose log updates vary by so much from seed to seed."""
    seeds = TUNING + REPORTING
    chance = math.sqrt(SHARED) * random.standard_normal(seeds)
    chance = chance + math.sqrt(1 - SHARED) * random.standard_normal((*truth.shape, seeds))
    return measured(truth[..., None] + spread * chance)


def measured(log_steps: np.ndarray) -> MeasuredSteps:
    """The steps of trials that come to the goal after these log updates [sizes, rates, seeds]."""
    sizes, rates, seeds = log_steps.shape
    is_there = np.isfinite(log_steps)
    last = np.exp(np.where(is_there, log_steps, 20.0))
    everywhere = np.ones((1, sizes, rates, seeds), bool)
    updates = np.stack([last / 2, last], axis=-1)[None]
    trials = Trials(
        methods=("",),
        batch_sizes=SIZES,
        learning_rates=np.broadcast_to(np.geomspace(0.01, 1, rates), (1, sizes, rates)),
        seeds=tuple(range(seeds)),
        updates=updates,
        values=np.stack([np.full(last.shape, 0.9), np.where(is_there, 0.5, 0.8)], axis=-1)[None],
        examples=updates * SIZES[:, None, None, None],
        epochs=None,
        seconds=None,
        was_run=everywhere,
        diverged=~everywhere,
        ended=~everywhere,
        metric=GOAL.metric,
        mode="min",
        notes=(),
    )
    return steps_of(trials, GOAL, 0, SeedsSplit(np.arange(TUNING), np.arange(TUNING, seeds)))


class Tally(NamedTuple):
    """Of the intervals of one quantity: which cover the truth, were given, and how wide they are."""

    covered: float
    given: float
    width: float

    @property
    def text(self) -> str:
        """As cells of a table."""
        return f"{100 * self.covered:.1f} % | {100 * self.given:.0f} % | {self.width:.2f}"


def tally(ends: list[tuple[float, float]], truth: float) -> Tally:
    """Of intervals, NaN where one was refused."""
    low, high = np.array(ends).T
    given = ~np.isnan(low)
    if not given.any():
        return Tally(math.nan, 0.0, math.nan)
    low, high = low[given], high[given]
    with np.errstate(divide="ignore"):
        width = float(np.median(high / low))
    return Tally(float(((low <= truth) & (truth <= high)).mean()), float(given.mean()), width)


def tallies(found: list[MeasuredSteps], steps: np.ndarray) -> list[Tally]:
    """Of updates (all batch sizes together), the fit and the overhead, for true updates [sizes]."""
    critical = [critical_batch_sizes(one) for one in found]
    known = critical_batch_sizes(steps, SIZES)
    fewest, examples = fit_steps(np.log(steps), SIZES)
    by_size = [tally([(one.low[k], one.high[k]) for one in found], steps[k]) for k in range(len(SIZES))]
    return [
        Tally(*np.mean(by_size, axis=0)),
        tally([(one.fit.low, one.fit.high) for one in critical], examples / fewest),
        tally([(one.overhead.low, one.overhead.high) for one in critical], known.overhead.value),
    ]


def misfit(steps: np.ndarray) -> float:
    """The largest relative difference of the fit from updates [sizes]."""
    fewest, examples = fit_steps(np.log(steps), SIZES)
    return float(np.abs((fewest + examples / SIZES) / steps - 1).max())


def print_calibration(trials: int) -> None:
    """The table of all quadratics and spreads."""
    seeds = f"{TUNING} tuning and {REPORTING} reporting seeds"
    print(f"{trials} trials a row, {seeds}; covered, given, and width.\n")
    print("| quadratic | misfit | spread | updates | | | fit | | | 20 % | | |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name, one in QUADRATICS.items():
        truth = true_log_steps(one)
        steps = np.exp(truth.min(-1))
        for spread in (0.05, 0.1, 0.2):
            random = np.random.default_rng(0)
            found = [drawn(random, truth, spread) for _ in range(trials)]
            cells = " | ".join(one.text for one in tallies(found, steps))
            print(f"| {name} | {100 * misfit(steps):.1f} % | {spread:g} | {cells} |", flush=True)
