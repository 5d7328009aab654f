"""What to know before trusting numbers at equal budgets: each where it is true, with its clocks."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxgd.specs.wording import count_text, list_text
from jaxgd.studies.edges import edge_of
from jaxgd.studies.intervals import paired_interval
from jaxgd.studies.trials.dense import Trials
from jaxgd.studies.verdicts.spending import LEAST_SEEDS

SCHEDULES = ("decayed", "averaged", "constant")
_ERROR = 0.05  # of all pairs of a clock together
# Which optimizers each can imitate by the choice of its constants: tuned well, it loses to none of them
# (Choi et al. 2019, section 3).
CONTAINED = {
    "momentum": ("sgd",),
    "nesterov": ("sgd",),
    "rmsprop": ("sgd",),
    "adam": ("sgd", "momentum", "rmsprop"),
    "nadam": ("sgd", "momentum", "nesterov", "rmsprop"),
    "adamw": ("sgd", "momentum", "rmsprop", "adam"),
}


class Evidence(NamedTuple):
    """What was found on one clock. trials: all of them. rates: int64[m, n], places of the tuned ones, -1 for
    none. scores: float64[m, n, p], and lost: bool, whether the run had diverged, of the reporting seeds.
    lost_in_tuning: bool[m, n, r, s], of all. num_tuning: seeds that chose.
    """

    trials: Trials
    clock: str
    budget: float
    rates: np.ndarray
    scores: np.ndarray
    lost: np.ndarray
    lost_in_tuning: np.ndarray
    num_tuning: int
    schedule: str | None


def flags_of(found: Sequence[Evidence]) -> tuple[str, ...]:
    """The sentences. One that is true of several clocks is there once, and names them."""
    clocks: dict[str, list[str]] = {}
    known = [one for one in found if np.isfinite(one.budget)]
    for write in (_edges, _under_tuned, _lost, _unknown, _without_chance, _before_the_end):
        for one in known:
            for text in write(one):
                clocks.setdefault(text, []).append(one.clock)
    unknown = [one.clock for one in found if not np.isfinite(one.budget)]
    lines = [f"{text} (at equal {list_text(names)})." for text, names in clocks.items()]
    if unknown:
        lines.append(f"Nothing is said at equal {list_text(unknown)}, which the data do not hold.")
    return (*_of_all(found[0]), *lines, *found[0].trials.notes)


def _of_all(found: Evidence) -> Iterator[str]:
    """What is true whatever the clock."""
    seeds = found.scores.shape[-1]
    if seeds < LEAST_SEEDS:
        yield f"{count_text(seeds, 'reporting seed')}: with fewer than {LEAST_SEEDS} there is no verdict."
    if found.num_tuning < seeds:
        chose = count_text(found.num_tuning, "seed")
        yield f"Rates were chosen on {chose}, fewer than report: methods may differ by luck of the choice."
    if found.schedule is None:
        yield (
            "What the learning rate did is not given (schedule), and whether weights were averaged: methods "
            "may change places with it."
        )
    if found.schedule == "constant":
        yield "The learning rate was constant, without averages: methods may change places where it decays."


def _edges(found: Evidence) -> Iterator[str]:
    for row, method in enumerate(found.trials.methods):
        ends: dict[str, list[float]] = {}
        for column, size in enumerate(found.trials.batch_sizes):
            tried = found.trials.learning_rates[row, column]
            tried, place = tried[np.isfinite(tried)], found.rates[row, column]
            if place >= 0:
                edge = "only" if len(tried) == 1 else edge_of(tried, tried[place])
                ends.setdefault(edge or "", []).append(size)
        for edge in ("lowest", "highest"):
            if edge in ends:
                cells = _cells(method, ends[edge])
                yield f"The best rate is the {edge} tried, and better may lie beyond: {cells}"
        if "only" in ends:
            yield f"One learning rate was tried, so nothing was tuned: {_cells(method, ends['only'])}"


def _under_tuned(found: Evidence) -> Iterator[str]:
    """Where a method is worse than one that it contains: paired intervals, 5 % for all pairs together."""
    methods = found.trials.methods
    pairs = [(one, other) for one in methods for other in methods if _contains(one, other)]
    if not pairs:
        return
    error = _ERROR / (len(pairs) * len(found.trials.batch_sizes))
    worse = 1 if found.trials.mode == "min" else -1
    for one, other in pairs:
        first, second = found.scores[methods.index(one)], found.scores[methods.index(other)]
        sizes = [
            size
            for size, a, b in zip(found.trials.batch_sizes, first, second, strict=True)
            if paired_interval(a, b, error).side == worse
        ]
        if sizes:
            yield f"Under-tuned, as it contains {other} and loses to it: {_cells(one, sizes)}"


def _contains(one: str, other: str) -> bool:
    """Whether the optimizers of two labels contain each other, and the rest of them is the same."""
    (first, _, rest), (second, _, same) = (label.partition(", ") for label in (one, other))
    return second in CONTAINED.get(first, ()) and rest == same


def _lost(found: Evidence) -> Iterator[str]:
    lost, seeds = found.lost.sum(-1), found.scores.shape[-1]
    for count in range(1, seeds + 1):
        for method, sizes in _where(found, lost == count):
            share = f"{count} of {count_text(seeds, 'reporting seed')}"
            yield f"{share} diverged, so there is no mean: {_cells(method, sizes)}"


def _unknown(found: Evidence) -> Iterator[str]:
    """Why a method and batch size has no mean, where it did not diverge on the reporting seeds."""
    trials = found.trials
    there = trials.was_run.any((-1, -2))
    is_rate = np.isfinite(trials.learning_rates)
    all_lost = (found.lost_in_tuning.any(-1) | ~is_rate).all(-1) & there
    times = getattr(trials, found.clock)
    with np.errstate(invalid="ignore"):
        late = np.fmin.reduce(times, axis=(-1, -2, -3)) > found.budget
    untuned = there & (found.rates < 0)
    partial = there & (found.rates >= 0) & np.isnan(found.scores).any(-1) & ~found.lost.any(-1)
    for what, cells in (
        ("Every learning rate diverged at some seed", untuned & all_lost & ~late),
        ("The first evaluation comes after the budget, so there is no value", untuned & late),
        ("No learning rate is known at the budget at every tuning seed", untuned & ~all_lost & ~late),
        ("Some reporting seed is not known at the budget, so there is no mean", partial),
        ("There are no trials", ~there),
    ):
        for method, sizes in _where(found, np.asarray(cells)):
            yield f"{what}: {_cells(method, sizes)}"


def _without_chance(found: Evidence) -> Iterator[str]:
    """Cells with one score at all reporting seeds: no seed changes them, or their scores are coarse."""
    same = np.asarray(found.scores.max(-1) == found.scores.min(-1))
    for method, sizes in _where(found, same) if found.scores.shape[-1] > 1 else ():
        yield f"All reporting seeds have the same score, as one run has: {_cells(method, sizes)}"


def _before_the_end(found: Evidence) -> Iterator[str]:
    """Runs of a decaying rate that are read before it has fallen: no run of that length was like that."""
    if found.schedule != "decayed":
        return
    times = np.fmax.reduce(getattr(found.trials, found.clock), axis=-1)
    last = np.fmax.reduce(times, axis=(-1, -2))
    with np.errstate(invalid="ignore"):
        early = last > found.budget * (1 + 1e-6)
    for method, sizes in _where(found, early):
        yield f"Read before the end of the schedule, where the rate is to fall: {_cells(method, sizes)}"


def _where(found: Evidence, cells: np.ndarray) -> Iterator[tuple[str, list[float]]]:
    """Each method with the batch sizes at which this is true, if there are any."""
    for row, method in enumerate(found.trials.methods):
        if cells[row].any():
            yield method, found.trials.batch_sizes[cells[row]].tolist()


def _cells(method: str, sizes: Sequence[float]) -> str:
    """A method at batch sizes: "adam at batch size 8 and 32"."""
    listed = f"batch size {list_text([f'{size:g}' for size in sizes])}"
    return f"{method} at {listed}" if method else listed
