"""The same question at equal epochs, updates, examples and seconds: none of them is the fair one alone."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgd.arguments import one_of
from jaxgd.studies.budgets.clocks import CLOCKS
from jaxgd.studies.budgets.flags import SCHEDULES, Evidence, flags_of
from jaxgd.studies.budgets.on_clocks import OnClock, on_clock
from jaxgd.studies.budgets.tuned import at_rates
from jaxgd.studies.intervals import t_interval
from jaxgd.studies.trials.canonical import trials_of
from jaxgd.studies.trials.dense import Trials
from jaxgd.studies.trials.splitting import SeedsSplit, seeds_split

# Of a comparison's error, half is that of a false "better". Four clocks may make four of those.
_FALSE_BETTER = 0.5


class Winner(NamedTuple):
    """The method and batch size with the best mean at one clock's budget, and what is shown of it.

    Attributes:
        clock: "epochs", "updates", "examples" or "seconds".
        method: its label.
        batch_size: number.
        learning_rate: number, its tuned rate.
        mean: number, over the reporting seeds.
        verdict: "better" than all others by more than the margin, "as good", "cannot tell" or "no verdict".
        gap: by how much its mean is better than the second best; NaN where there is none.
        low: the lower end of the gap's interval.
        high: the upper end.
        second: the label and the batch size of the second best, None where there is none.
    """

    clock: str
    method: str
    batch_size: float
    learning_rate: float
    mean: float
    verdict: str
    gap: float
    low: float
    high: float
    second: tuple[str, float] | None


class EqualBudgets(NamedTuple):
    """Each method and batch size at equal cost, on four clocks; arrays [4, m, n] are by clock first.

    Attributes:
        clocks: ("epochs", "updates", "examples", "seconds").
        budgets: float64[4], NaN of a clock that is not known.
        methods: m labels.
        batch_sizes: float64[n].
        learning_rates: float64[4, m, n], each one's best mean on the tuning seeds at that budget; NaN where
            no rate has one.
        tuning: float64[4, m, n], that mean, which the choice flatters.
        scores: float64[4, m, n, p], of the reporting seeds at that rate; NaN where a run diverged or is not
            known.
        mean: float64[4, m, n], over the reporting seeds; NaN where one of them is.
        halfwidth: float64[4, m, n], of its 95 % t interval.
        diverged: int64[4, m, n], reporting seeds that diverged by then.
        seconds: float64[4, m, n], mean of the reporting seeds, that the budget took; NaN where not known.
        gap: float64[4, m, n], by how much it is better than the best of the others, whichever direction is
            better.
        low: float64[4, m, n], and
        high: float64[4, m, n]: its interval, simultaneous for all methods and batch sizes of a clock.
        verdicts: str[4, m, n], "better", "as good", "worse", "cannot tell" or "no verdict".
        margin: float64[4], of practical equality.
        winners: of each clock that is known.
        probability: float64[4, m, n], that it is the one to use: within the margin of the best, and no such
            one cheaper, by seconds, else by updates.
        recommended: of each clock the places (method, batch size) where that is most probable; None where
            no mean is known.
        shown: of each clock the places of the cheapest one that is shown to be as good as the best; None
            where none is. The safe choice, which often is slower.
        tuning_seeds: those that chose the rates.
        reporting_seeds: the others, which alone report.
        metric: what was measured.
        mode: "min" or "max".
        schedule: what the learning rate did, as it was given.
        flags: what to know before trusting it, a sentence each.
    """

    clocks: tuple[str, ...]
    budgets: np.ndarray
    methods: tuple[str, ...]
    batch_sizes: np.ndarray
    learning_rates: np.ndarray
    tuning: np.ndarray
    scores: np.ndarray
    mean: np.ndarray
    halfwidth: np.ndarray
    diverged: np.ndarray
    seconds: np.ndarray
    gap: np.ndarray
    low: np.ndarray
    high: np.ndarray
    verdicts: np.ndarray
    margin: np.ndarray
    winners: tuple[Winner, ...]
    probability: np.ndarray
    recommended: tuple[tuple[int, int] | None, ...]
    shown: tuple[tuple[int, int] | None, ...]
    tuning_seeds: tuple
    reporting_seeds: tuple
    metric: str
    mode: str
    schedule: str | None
    flags: tuple[str, ...]


def equal_budgets(
    data: Any,
    metric: str | None = None,
    mode: str | None = None,
    *,
    budgets: Mapping[str, float] | None = None,
    tuning: int | Sequence | None = None,
    margin: float | None = None,
    schedule: str | None = None,
    **options: Any,
) -> EqualBudgets:
    """What each method and batch size reaches at equal epochs, updates, examples and seconds.

    In one epoch a small batch makes more updates than a large one, and on parallel hardware takes more
    seconds: equal epochs flatter small batches, equal updates large ones. So all four stand side by side. At
    each budget every method and batch size has the learning rate with the best mean over the tuning seeds
    there (never the best of each seed, which would flatter whatever varies most), and is judged on the
    reporting seeds. A rate at which a tuning seed diverged is not taken. Between two evaluations a value is
    on the straight line through them, and never beyond them.

    At the rates that were chosen a false "better" at any of the clocks has a probability of 5 % at most, all
    of them together. Intervals cover chance in initialisation and data order, not the choice of the examples
    that are scored.

    Args:
        data: as of `trials_of`.
        metric: as of `trials_of`.
        mode: as of `trials_of`.
        budgets: by clock, such as `{"updates": 1000}`, above 0. Of a clock that is left out: the largest that
            every method and batch size reached.
        tuning: as of `seeds_split`.
        margin: up to this difference two scores are equal in practice, in units of the metric. None: 0.005 of
            a share from 0 to 1, else 2 % of the best mean.
        schedule: "decayed", the learning rate fell to the end of each run; "averaged", it was constant and
            the metric is that of averaged weights; "constant", without averaging. Orders of methods at
            one of them need not be those at another.
        **options: `method` and a selection, as of `trials_of`.

    Raises:
        ValueError: an unknown clock, a budget or a margin out of its range, no seed left to report.

    Source: Choi et al. 2019, "On Empirical Comparisons of Optimizers for Deep Learning", on tuning; Shallue
    et al. 2019, "Measuring the Effects of Data Parallelism on Neural Network Training", on budgets; Wen et
    al. 2025, "Fantastic Pretraining Optimizers and Where to Find Them", on schedules. Verdicts are those of
    `jaxgd.compare`.

    Example:
        >>> import jaxgd, numpy as np
        >>> size, seed, epoch = (x.ravel() for x in np.mgrid[0:2, 0:10, 1:5])
        >>> table = {"batch_size": 8 + 24 * size, "learning_rate": np.full(80, 0.1), "seed": seed,
        ...          "epochs": epoch, "updates": epoch * (4 - 3 * size),
        ...          "loss": 1 / epoch + 0.2 * size + 0.01 * np.sin(seed)}
        >>> found = jaxgd.studies.equal_budgets(table)
        >>> [(one.clock, one.batch_size, one.verdict) for one in found.winners]
        [('epochs', 8.0, 'better'), ('updates', 32.0, 'better'), ('examples', 8.0, 'better')]
    """
    trials = trials_of(data, metric, mode, **options)
    wanted = _checked(trials, budgets, margin, schedule)
    split = seeds_split(trials, tuning)
    there = [clock for clock in CLOCKS if getattr(trials, clock) is not None]
    share = min(1.0, 1 / (_FALSE_BETTER * len(there)))
    parts = [on_clock(trials, clock, wanted.get(clock), split, margin, share) for clock in CLOCKS]
    found = _stacked(trials, parts, split, schedule)
    return found._replace(flags=flags_of(_for_flags(trials, found, parts)))


def _checked(
    trials: Trials, budgets: Mapping[str, float] | None, margin: float | None, schedule: str | None
) -> dict[str, float]:
    budgets = {} if budgets is None else dict(budgets)
    for clock, budget in budgets.items():
        one_of("clock", clock, CLOCKS)
        if not 0 < budget < np.inf:
            raise ValueError(f"budgets[{clock!r}] must be finite and above 0, got {budget!r}")
        if getattr(trials, clock) is None:
            raise ValueError(f"budgets has {clock!r}, which the data do not hold")
    if margin is not None and not 0 <= margin < np.inf:
        raise ValueError(f"margin must be finite and 0 or more, got {margin!r}")
    if schedule is not None:
        one_of("schedule", schedule, SCHEDULES)
    return budgets


def _stacked(
    trials: Trials, parts: Sequence[OnClock], split: SeedsSplit, schedule: str | None
) -> EqualBudgets:
    shape = (len(parts), len(trials.methods), len(trials.batch_sizes))
    rates = [np.where(part.rates < 0, np.nan, at_rates(trials.learning_rates, part.rates)) for part in parts]
    scores = np.stack([part.scores for part in parts])
    intervals = np.array([t_interval(cell) for cell in scores.reshape(-1, scores.shape[-1])])
    conclusions = [part.judged.conclusion for part in parts]
    winners = [
        _winner(trials, clock, part, rate) for clock, part, rate in zip(CLOCKS, parts, rates, strict=True)
    ]
    return EqualBudgets(
        clocks=CLOCKS,
        budgets=np.array([part.budget for part in parts]),
        methods=trials.methods,
        batch_sizes=trials.batch_sizes,
        learning_rates=np.stack(rates),
        tuning=np.stack([part.tuning for part in parts]),
        scores=scores,
        mean=intervals[:, 0].reshape(shape),
        halfwidth=intervals[:, 1].reshape(shape),
        diverged=np.stack([part.lost.sum(-1) for part in parts]),
        seconds=np.stack([part.seconds for part in parts]),
        gap=np.stack([one.estimate for one in conclusions]).reshape(shape),
        low=np.stack([one.low for one in conclusions]).reshape(shape),
        high=np.stack([one.high for one in conclusions]).reshape(shape),
        verdicts=np.array([part.judged.verdicts for part in parts]).reshape(shape),
        margin=np.array([part.judged.margin for part in parts]),
        winners=tuple(one for one in winners if one is not None),
        probability=np.stack([part.judged.probabilities for part in parts]).reshape(shape),
        recommended=tuple(_place(part.judged.recommended, shape[2]) for part in parts),
        shown=tuple(_place(part.judged.shown, shape[2]) for part in parts),
        tuning_seeds=tuple(trials.seeds[place] for place in split.tuning),
        reporting_seeds=tuple(trials.seeds[place] for place in split.reporting),
        metric=trials.metric,
        mode=trials.mode,
        schedule=schedule,
        flags=(),
    )


def _place(cell: int | None, columns: int) -> tuple[int, int] | None:
    return None if cell is None else divmod(cell, columns)


def _winner(trials: Trials, clock: str, part: OnClock, rates: np.ndarray) -> Winner | None:
    order, found = part.judged.order, part.judged.conclusion
    if not order:
        return None
    best, others = order[0], order[1:]
    names = [(method, float(size)) for method in trials.methods for size in trials.batch_sizes]
    means = found.score
    gap = abs(means[best] - means[others[0]]) if others else np.nan
    return Winner(
        clock=clock,
        method=names[best][0],
        batch_size=names[best][1],
        learning_rate=float(rates.reshape(-1)[best]),
        mean=float(means[best]),
        verdict=part.judged.verdicts[best],
        gap=float(gap),
        low=float(found.low[best]),
        high=float(found.high[best]),
        second=names[others[0]] if others else None,
    )


def _for_flags(trials: Trials, found: EqualBudgets, parts: Sequence[OnClock]) -> list[Evidence]:
    """What the flags are read off, of each clock."""
    return [
        Evidence(
            trials=trials,
            clock=clock,
            budget=part.budget,
            rates=part.rates,
            scores=part.scores,
            lost=part.lost,
            lost_in_tuning=part.reading.lost,
            num_tuning=len(found.tuning_seeds),
            schedule=found.schedule,
        )
        for clock, part in zip(CLOCKS, parts, strict=True)
    ]
