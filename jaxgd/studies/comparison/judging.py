"""From runs on fresh seeds to verdicts: what the procedure of `verdicts` is given, and what it says."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxgd.studies.comparison.baselines import Baseline
from jaxgd.studies.comparison.cells import Cell, final_scores, higher_is_better, order_of, ran, sign_of
from jaxgd.studies.verdicts.concluding import CellScores, Conclusion, conclude, differs
from jaxgd.studies.verdicts.margins import accuracy_margin, loss_margin
from jaxgd.studies.verdicts.recommending import (
    Recommendation,
    lower_bounds_over,
    recommend,
    worth_more_seeds,
)
from jaxgd.studies.verdicts.spending import LEAST_SEEDS, shares_of_error

if TYPE_CHECKING:
    import xarray as xr


class Looks(NamedTuple):
    """How many fresh seeds there were each time that scores were looked at.

    counts: rising. most: of the last round planned. last: whether no round follows.
    """

    counts: tuple[int, ...]
    most: int
    last: bool


class Judgement(NamedTuple):
    """What the fresh seeds say; cells in the order of the dataset, optimizers first.

    order: of cells, best first by validation. chance: whether a cell's seeds differ. beats_constant: whether
    what is recommended is shown to beat a constant prediction, or none is known. undecided: the cells that
    more seeds are for.
    """

    conclusion: Conclusion
    recommendation: Recommendation
    order: list[int]
    chance: list[bool]
    beats_constant: bool
    undecided: list[int]


def judge(
    fresh: "xr.Dataset",
    clock: "xr.Dataset",
    score: str,
    constant: Baseline | None,
    looks: Looks,
    margin: float | None = None,
) -> Judgement:
    """What the scores of the fresh seeds say of every cell, after these looks at them.

    Args:
        fresh: every cell on its fresh seeds, with `test_scores`.
        clock: what an update of each costs; where that is not known, the fewest updates are cheapest.
        score: "accuracy" or "loss".
        constant: what a constant prediction scores; None where none is known.
        looks: the rounds so far.
        margin: of practical equality, in units of the score; None for 0.5 points or a test row, 2 % of a
        loss.
    """
    places = list(np.ndindex(*clock.seconds_per_update.shape))
    chance = [_differs(fresh, place) for place in places]
    scores = _scores(fresh, score, places, chance)
    has_verdicts = looks.counts[0] >= LEAST_SEEDS
    counts = looks.counts if has_verdicts else (LEAST_SEEDS,)
    shares = shares_of_error(looks.counts, looks.most, looks.last) if has_verdicts else [1.0]
    conclusion = conclude(
        scores, _margin(fresh, score, constant) if margin is None else margin, counts, shares
    )
    order = [places.index(place) for place in order_of(fresh, score)]
    costs = run_seconds(fresh, clock), clock.bytes.values.reshape(-1)
    if np.isnan(costs[0]).any():
        costs = _updates(fresh).reshape(-1), np.zeros(len(places))
    recommendation = recommend(conclusion, order, *costs)
    beats = recommendation.cell is not None and _beats(scores, recommendation.cell, constant, sign_of(score))
    undecided = worth_more_seeds(conclusion, order, *costs, chance)
    return Judgement(conclusion, recommendation, order, chance, beats, undecided)


def _beats(scores: CellScores, cell: int, constant: Baseline | None, sign: int) -> bool:
    """Whether a cell is shown to beat the constant prediction; with fewer than 5 seeds, whether it did."""
    if constant is None:
        return True
    alone = scores._replace(values=[scores.values[cell]], chance=[_chance_of(scores, cell)])
    count = len(alone.values[0])
    if count < LEAST_SEEDS and _chance_of(scores, cell):
        return bool(sign * (alone.values[0].mean() - constant.score) > 0)
    bound = lower_bounds_over(alone, constant.rows, (max(count, LEAST_SEEDS),), [1.0])
    return bool(bound[0] > 0)


def _chance_of(scores: CellScores, cell: int) -> bool:
    return scores.chance is None or bool(scores.chance[cell])


def run_seconds(fresh: "xr.Dataset", clock: "xr.Dataset") -> np.ndarray:
    """Seconds of a whole run of each cell, alone and compiled: [cells]."""
    return (_updates(fresh) * clock.seconds_per_update.values).reshape(-1)


def _updates(fresh: "xr.Dataset") -> np.ndarray:
    return fresh.updates.isel(epoch=-1).max("seed").transpose("optimizer", "batch_size").values


def _ran(fresh: "xr.Dataset", place: tuple[int, int]) -> "xr.Dataset":
    """The fresh seeds that the cell at a place was run on."""
    return ran(fresh.isel(optimizer=place[0], batch_size=place[1]))


def has_chance(fresh: "xr.Dataset") -> bool:
    """Whether more seeds may be other runs, of any cell."""
    return any(_differs(fresh, place) for place in np.ndindex(*fresh.status.shape[:2]))


def _differs(fresh: "xr.Dataset", place: tuple[int, int]) -> bool:
    """Whether its runs differ: a full batch from a start at zero is the same run at every seed."""
    losses = _ran(fresh, place).train_loss.transpose("seed", "epoch").values
    return len(losses) < 2 or differs(np.nan_to_num(losses))


def _scores(
    fresh: "xr.Dataset", score: str, places: Sequence[tuple[int, int]], chance: list[bool]
) -> CellScores:
    rows = [_ran(fresh, place).test_scores.transpose("seed", "example").values for place in places]
    values = [each if differing else each[:1] for each, differing in zip(rows, chance, strict=True)]
    known = np.concatenate([each.reshape(-1) for each in values])
    hits = score != "loss" and bool(np.isin(known[np.isfinite(known)], (0, 1)).all())
    return CellScores(values, hits, higher_is_better(score), chance)


def _margin(fresh: "xr.Dataset", score: str, constant: Baseline | None) -> float:
    if score != "loss":
        return accuracy_margin(fresh.sizes["example"])
    means = final_scores(fresh, score, "test").mean("seed").values
    least = np.nanmin(means) if np.isfinite(means).any() else 0.0
    return loss_margin(float(least), None if constant is None else constant.score)


def cells_of(
    grid: "xr.Dataset", fresh: "xr.Dataset", clock: "xr.Dataset", score: str, judged: Judgement
) -> list[Cell]:
    """Every cell, best first by the fresh seeds' validation score."""
    places = list(np.ndindex(*clock.seconds_per_update.shape))
    return [_cell(index, places[index], grid, fresh, clock, score, judged) for index in judged.order]


def _cell(
    index, place, grid: "xr.Dataset", fresh: "xr.Dataset", clock: "xr.Dataset", score: str, judged
) -> Cell:
    runs, found = _ran(fresh, place), judged.conclusion
    timing = clock.isel(optimizer=place[0], batch_size=place[1])
    tuned = grid.isel(optimizer=place[0], batch_size=place[1])
    tuned = tuned.isel(rate=int(np.argmax(tuned.learning_rate.values == float(runs.learning_rate))))
    updates = int(runs.updates.isel(epoch=-1).max())
    return Cell(
        optimizer=str(runs.optimizer.values),
        batch_size=int(runs.batch_size),
        learning_rate=float(runs.learning_rate),
        seeds=runs.sizes["seed"],
        chance=judged.chance[index],
        tuning_valid=float(final_scores(tuned, score).mean("seed", skipna=False)),
        valid=float(final_scores(runs, score).mean("seed", skipna=False)),
        test=float(found.score[index]),
        test_low=_possible(found.score_low[index], score, 0),
        test_high=_possible(found.score_high[index], score, 0),
        gap=float(found.estimate[index]),
        gap_low=_possible(found.low[index], score, -1),
        gap_high=_possible(found.high[index], score, -1),
        bound=float(found.bound[index]),
        verdict=found.verdicts[index],
        updates=updates,
        examples=int(runs.examples.isel(epoch=-1).max()),
        seconds=updates * float(timing.seconds_per_update),
        bytes=int(timing.bytes.fillna(0)),
        diverged=int((runs.status == "diverged").sum()),
        seconds_by_turn=tuple((updates * timing.seconds_by_turn.values).tolist()),
    )


def _possible(end: float, score: str, least: int) -> float:
    """A known end of an interval: of accuracies, fractions, from 0 to 1, and of their differences from -1."""
    is_fraction = higher_is_better(score) and np.isfinite(end)
    return float(np.clip(end, least, 1)) if is_fraction else float(end)
