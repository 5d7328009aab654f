"""Trials in dense arrays, from evaluations one after the other."""

from typing import NamedTuple

import numpy as np

from jaxgd.studies.trials.evaluations import Evaluations
from jaxgd.tables.reading import Texts
from jaxgd.training.states import WITHOUT_SCORE

# The words of runs that ended on their own before their last epoch, and keep their last value.
_ENDED = ("stopped early", "budget spent")
_DIVERGED = "diverged"


class Trials(NamedTuple):
    """Runs at m methods, n batch sizes, up to r learning rates and s seeds, with up to e evaluations each.

    Attributes:
        methods: m labels, such as "adam" or "adam, width 64"; `("",)` where no axis tells methods apart.
        batch_sizes: float64[n], ascending.
        learning_rates: float64[m, n, r], ascending in a row, then NaN: methods and batch sizes may have rates
            of their own. A single 1 where none were given.
        seeds: s of them, ascending; whole numbers, else texts.
        updates: float64[m, n, r, s, e], made before each evaluation, ascending, then NaN.
        values: float64[m, n, r, s, e], the metric then; NaN from the evaluation on at which a run had
            diverged, and where there is none.
        examples: like updates, examples seen; updates times batch size where they were not given.
        epochs: like updates, where known; else None.
        seconds: like updates, where known; else None.
        was_run: bool[m, n, r, s], whether there is such a trial.
        diverged: bool[m, n, r, s].
        ended: bool[m, n, r, s], whether it ended on its own, by early stopping or a budget of its own: it
            keeps its last value from then on.
        metric: the name of what was measured.
        mode: "min" or "max", which of its values are better.
        notes: what was noticed, a sentence each.
    """

    methods: tuple[str, ...]
    batch_sizes: np.ndarray
    learning_rates: np.ndarray
    seeds: tuple
    updates: np.ndarray
    values: np.ndarray
    examples: np.ndarray
    epochs: np.ndarray | None
    seconds: np.ndarray | None
    was_run: np.ndarray
    diverged: np.ndarray
    ended: np.ndarray
    metric: str
    mode: str
    notes: tuple[str, ...]


class _Arranged(NamedTuple):
    """Evaluations in the order of their trials, then of their updates.

    rows: int64[k], of the evaluations as given. begins: bool[k], where a trial begins. trial: int64[k], which
    it is. unsorted: how many trials had their evaluations in another order.
    """

    rows: np.ndarray
    begins: np.ndarray
    trial: np.ndarray
    unsorted: int


def arrange(found: Evaluations, metric: str, mode: str) -> Trials:
    """The trials of these evaluations.

    Raises:
        ValueError: a trial has two evaluations after the same update.
    """
    order = _arranged(found)
    is_finite = np.isfinite(found.values[order.rows])
    position = np.arange(len(order.rows))
    last_finite = np.maximum.reduceat(np.where(is_finite, position, -1), np.flatnonzero(order.begins))
    ended, lost, kept_out = _words_by_trial(found.status, order)
    repeats = np.r_[False, np.diff(found.updates[order.rows]) == 0] & ~order.begins
    trailing = position > last_finite[order.trial]
    # Not measured after these updates, though later: a table that holds rows of something else.
    wanted = (is_finite | (trailing & ~ended[order.trial])) & ~kept_out[order.trial]
    # A run that is over counts no further, in whatever rows it has.
    wanted &= ~(repeats & ~is_finite)
    diverged = lost | np.logical_or.reduceat(wanted & ~is_finite, np.flatnonzero(order.begins))
    _check_duplicates(found, order, repeats & wanted & np.r_[False, wanted[:-1]])
    return _filled(found, order, wanted, diverged, ended, kept_out, metric, mode)


def _arranged(found: Evaluations) -> _Arranged:
    keys = (found.seed, found.learning_rates, found.batch_sizes, found.method)
    given = np.lexsort(keys)
    rows = np.lexsort((found.updates, *keys))
    begins = np.zeros(len(rows), bool)
    begins[:1] = True
    for key in keys:
        begins[1:] |= np.diff(key[rows]) != 0
    trial = np.cumsum(begins) - 1
    falls = np.diff(found.updates[given], prepend=np.inf) < 0
    return _Arranged(rows, begins, trial, len(np.unique(trial[falls & ~begins])))


def _words_by_trial(status: Texts | None, order: _Arranged) -> list[np.ndarray]:
    """Which trials ended on their own, diverged, have no results, by the last word of each; bool[trials]."""
    kinds = _ENDED, (_DIVERGED,), [word for word in WITHOUT_SCORE if word != _DIVERGED]
    if status is None:
        return [np.zeros(order.trial[-1] + 1, bool) for _ in kinds]
    lasts = np.flatnonzero(np.r_[order.begins[1:], True])
    codes = status.codes[order.rows[lasts]]
    return [np.array([word in words for word in status.words])[codes] for words in kinds]


def _check_duplicates(found: Evaluations, order: _Arranged, twice: np.ndarray) -> None:
    if not twice.any():
        return
    place = int(np.argmax(twice))
    row, other = int(order.rows[place]), int(order.rows[place - 1])
    parts = [
        found.labels[found.method[row]],
        f"batch size {found.batch_sizes[row]:g}",
        f"learning rate {found.learning_rates[row]:g}",
        f"seed {found.seeds[found.seed[row]]}",
        f"update {found.updates[row]:g}",
    ]
    differing = found.differing(row, other)
    hint = f"; if they differ by {' or '.join(map(repr, differing))}, name it in method" if differing else ""
    raise ValueError(
        f"trials must be there once each: two evaluations are of {', '.join(filter(None, parts))} "
        f"({found.place(min(row, other))} and {found.place(max(row, other))}){hint}"
    )


def _filled(
    found: Evaluations, order: _Arranged, wanted, diverged, ended, kept_out, metric: str, mode: str
) -> Trials:
    """The arrays, once it is known which evaluations count, and how each trial ended."""
    firsts = order.rows[order.begins]
    has_run = ~kept_out
    found, own_seeds = _with_shared_seeds(found, firsts)
    sizes, size = np.unique(found.batch_sizes[firsts], return_inverse=True)
    rate = _ranks(found.method[firsts], size, found.learning_rates[firsts])
    shape = (len(found.labels), len(sizes), int(rate.max()) + 1, len(found.seeds))
    cells = found.method[firsts], size, rate, found.seed[firsts]
    rates = np.full(shape[:3], np.nan)
    rates[cells[:3]] = found.learning_rates[firsts]

    rows, trial = order.rows[wanted], order.trial[wanted]
    count = np.bincount(trial, minlength=len(firsts))
    number = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    places = (*(part[trial] for part in cells), number)

    def put(numbers: np.ndarray) -> np.ndarray:
        filled = np.full((*shape, max(int(count.max()), 1)), np.nan)
        filled[places] = numbers[rows]
        return filled

    def mark(marked: np.ndarray) -> np.ndarray:
        filled = np.zeros(shape, bool)
        filled[cells] = marked
        return filled

    values = put(np.where(np.isfinite(found.values), found.values, np.nan))
    runs = {"was_run": mark(has_run), "diverged": mark(diverged & has_run), "ended": mark(ended)}
    notes = (*found.notes, *own_seeds, *_notes_of_order(order.unsorted, int(kept_out.sum())))
    return Trials(
        methods=found.labels,
        batch_sizes=sizes,
        learning_rates=rates,
        seeds=found.seeds,
        updates=put(found.updates),
        values=values,
        examples=put(found.examples),
        epochs=None if found.epochs is None else put(found.epochs),
        seconds=None if found.seconds is None else put(found.seconds),
        metric=metric,
        mode=mode,
        notes=notes,
        **runs,
    )


def _with_shared_seeds(found: Evaluations, firsts: np.ndarray) -> tuple[Evaluations, list[str]]:
    """The evaluations with seeds that trials share: where each has seeds of its own, they are numbered.

    firsts: of each trial one row, in the order of the trials.
    """
    keys = (found.method[firsts], found.batch_sizes[firsts], found.learning_rates[firsts])
    begins = np.r_[True, np.logical_or.reduce([np.diff(key) != 0 for key in keys])]
    group = np.cumsum(begins) - 1
    most = int(np.bincount(group).max())
    if most >= len(found.seeds):
        return found, []
    number = np.arange(len(firsts)) - np.flatnonzero(begins)[group]
    seed = np.empty_like(found.seed)
    seed[firsts] = number
    note = "Methods, batch sizes or rates have seeds of their own; each one's are numbered from 0."
    return found._replace(seed=seed, seeds=tuple(range(most))), [note]


def _ranks(method: np.ndarray, size: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """The place of each trial's rate among those of its method and batch size; trials in that order."""
    new_cell = np.r_[True, (np.diff(method) != 0) | (np.diff(size) != 0)]
    new_rate = new_cell | np.r_[True, np.diff(rates) != 0]
    counted = np.cumsum(new_rate)
    return counted - np.maximum.accumulate(np.where(new_cell, counted, 0))


def _notes_of_order(unsorted: int, without: int) -> list[str]:
    notes = []
    if unsorted:
        notes.append(f"{unsorted} trials had their evaluations out of order; they were sorted by updates.")
    if without:
        notes.append(f"{without} trials failed or were not run; they are left out.")
    return notes
