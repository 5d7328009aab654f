"""What it costs to reach a goal, cell by cell, and which cell to use."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgd.studies.intervals import paired_interval
from jaxgd.studies.scaling.critical import OVERHEAD
from jaxgd.studies.scaling.measured import MeasuredSteps
from jaxgd.studies.trials.dense import Trials


class Pick(NamedTuple):
    """The method and batch size to use.

    Attributes:
        method: its label.
        batch_size: number.
        learning_rate: number.
        steps: updates to the goal.
        low: the lower end of their 95 % interval, and
        high: the upper end.
        examples: processed to the goal.
        seconds: to the goal, alone and compiled; NaN where an update was not timed.
        others: `(method, batch size)` of those that are not shown to cost more: seconds, else examples.
        edge: "lowest" or "highest" where the rate is the end of its grid; None elsewhere.
        seeds: reporting seeds.
    """

    method: str
    batch_size: float
    learning_rate: float
    steps: float
    low: float
    high: float
    examples: float
    seconds: float
    others: tuple[tuple[str, float], ...]
    edge: str | None
    seeds: int


def picks(pick: Pick | None, method: str, batch_size: float) -> bool:
    """Whether it is this cell that is to be used."""
    return pick is not None and (pick.method, pick.batch_size) == (method, batch_size)


def seconds_per_update(trials: Trials) -> np.ndarray:
    """Seconds of an update of each method and batch size, float64[m, n]; NaN where none were measured."""
    shape = trials.updates.shape[:2]
    if trials.seconds is None:
        return np.full(shape, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        each = (trials.seconds / trials.updates).reshape(*shape, -1)
    each = np.where(np.isfinite(each) & (each > 0), each, np.nan)
    return np.array([[_median(cell) for cell in row] for row in each])


def picked(steps: Sequence[MeasuredSteps], per_update: np.ndarray) -> Pick | None:
    """The cell that reaches the goal soonest, of those where every reporting seed reaches it.

    By seconds where all of these were timed. Else by updates, among those that process at most 20 % more
    examples than the least: seconds then depend on hardware that is not known. None where no cell is left.

    Args:
        steps: of each method.
        per_update: seconds, float64[m, n].
    """
    cells = [(m, b) for m, one in enumerate(steps) for b in np.flatnonzero(one.is_reached).tolist()]
    if not cells:
        return None
    timed = all(math.isfinite(per_update[cell]) for cell in cells)
    sizes = steps[0].batch_sizes
    logs = {(m, b): steps[m].log_steps[b] for m, b in cells}
    if timed:
        costs = {cell: row + math.log(per_update[cell]) for cell, row in logs.items()}
        allowed = cells
    else:
        costs = {(m, b): row + math.log(sizes[b]) for (m, b), row in logs.items()}
        least = min(np.nanmean(row) for row in costs.values())
        allowed = [cell for cell in cells if np.nanmean(costs[cell]) <= least + math.log1p(OVERHEAD) + 1e-12]
    by = costs if timed else logs
    best = min(allowed, key=lambda cell: float(np.nanmean(by[cell])))
    m, b = best
    one = steps[m]
    return Pick(
        method=one.method,
        batch_size=float(sizes[b]),
        learning_rate=float(one.learning_rates[b]),
        steps=float(one.steps[b]),
        low=float(one.low[b]),
        high=float(one.high[b]),
        examples=float(one.examples[b]),
        seconds=float(one.steps[b] * per_update[m, b]),
        others=tuple(
            (steps[i].method, float(sizes[k]))
            for i, k in allowed
            if (i, k) != best and not _costs_more(by[i, k], by[best])
        ),
        edge=one.edges[b],
        seeds=int(one.seeds[b]),
    )


def _costs_more(costs: np.ndarray, least: np.ndarray) -> bool:
    """Whether log costs are higher, seed by seed, by more than chance."""
    both = np.isfinite(costs) & np.isfinite(least)
    return paired_interval(costs[both], least[both]).side > 0


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else math.nan
