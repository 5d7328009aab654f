"""Warnings of a comparison: what to know before trusting its sentence, each only where it is true."""

import math
from typing import TYPE_CHECKING

import numpy as np

from jaxgd.specs.wording import batch_text, count_text, list_text, regime_text, score_text
from jaxgd.studies.comparison.answer import Found, cell_text
from jaxgd.studies.comparison.baselines import Baseline
from jaxgd.studies.comparison.cells import higher_is_better, sign_of
from jaxgd.studies.comparison.equal_updates import find_reversal
from jaxgd.studies.edges import edge_of
from jaxgd.studies.verdicts.margins import FEW_ROWS, smallest_difference

if TYPE_CHECKING:
    import xarray as xr

MANY_DIVERGED = 0.25
_DISTURBED = 1.5  # a cell's slowest timed call over its fastest
_FEW_SEEDS = 10
_MUCH_WIDER = 2.0  # a difference of two independent scores has an interval √2 times as wide as either's


def write_warnings(
    found: Found, grid: "xr.Dataset", first: "xr.Dataset", linear: Baseline | None, made_splits: str | None
) -> list[str]:
    """One line for each thing to know before trusting the sentence; an empty list if there is none.

    Args:
        found: what the sentence is made of.
        grid: the runs that chose the rates.
        first: the first round of fresh seeds, which every cell has.
        linear: what a linear model scores.
        made_splits: a sentence about splits that were made.
    """
    return [
        *_linear_is_better(found, linear),
        *_few_rows(found),
        *_few_seeds(found),
        *_without_chance(found),
        *_passed_over(found),
        *_reversal(first, found),
        *_edges(grid, found),
        *_one_seed(grid),
        *_diverged(grid),
        *_disturbed(found),
        *([made_splits] if made_splits else []),
    ]


def _linear_is_better(found: Found, linear: Baseline | None) -> list[str]:
    """Where the linear model's score lies beyond the interval of every cell that has one."""
    known = [cell for cell in found.cells if not math.isnan(cell.test_low)]
    if linear is None or not known:
        return []
    if higher_is_better(found.score):
        is_better = linear.score > max(cell.test_high for cell in known)
    else:
        is_better = linear.score < min(cell.test_low for cell in known)
    value = score_text(linear.score, math.nan, math.nan, found.score)
    return [f"{linear.text} scores better than every cell here: {value}."] if is_better else []


def _few_rows(found: Found) -> list[str]:
    if found.num_test >= FEW_ROWS or found.score == "loss":
        return []
    least = 100 * smallest_difference(found.num_test)
    return [
        f"{found.num_test} test rows are few: a difference on the same rows at every seed must be about "
        f"{least:.0f} points or more to be shown, however many seeds are run."
    ]


def _few_seeds(found: Found) -> list[str]:
    """Why differences are known so much worse than scores, where nothing could be told after few seeds.

    With the 4 degrees of freedom of 5 seeds, and four cells, the ends lie 6.9 standard errors away where
    those of a score by itself lie 2.8 away.
    """
    cell, seeds = found.recommended, max(one.seeds for one in found.cells)
    if cell is None or cell.verdict != "cannot tell" or not cell.chance or seeds >= _FEW_SEEDS:
        return []
    wide, own = cell.gap_high - cell.gap_low, cell.test_high - cell.test_low
    if not (math.isfinite(wide) and wide > _MUCH_WIDER * own > 0):
        return []
    together = "both cells" if len(found.cells) == 2 else f"all {len(found.cells)} cells"
    return [
        f"{seeds} fresh seeds are few: the interval of a difference, {wide / own:.0f} times as wide as that "
        f"of a score, holds for {together} together, and {seeds} seeds tell little of how far others would "
        "differ; that of a score holds for it alone."
    ]


def _without_chance(found: Found) -> list[str]:
    """Cells whose runs do not depend on the seed."""
    same = [cell for cell in found.cells if not cell.chance and not math.isnan(cell.test)]
    names = [cell_text(cell, found.num_train) for cell in same]
    if not names:
        return []
    return [f"No seed changes {list_text(names)}: one run, whose interval covers test rows alone."]


def _passed_over(found: Found) -> list[str]:
    """Cells of which a fresh seed diverged, though others did better than what is recommended."""
    sign, first = sign_of(found.score), found.cells[0]
    return [
        f"{cell_text(cell, found.num_train)}: better on the tuning seeds, but {cell.diverged} of "
        f"{count_text(cell.seeds, 'fresh seed')} diverged, so it is passed over."
        for cell in found.cells[1:]
        if cell.diverged and not first.diverged and sign * cell.tuning_valid > sign * first.tuning_valid
    ]


def _disturbed(found: Found) -> list[str]:
    """Whether the machine was busy with something else while cells were timed."""
    spreads = [
        max(cell.seconds_by_turn) / min(cell.seconds_by_turn) for cell in found.cells if cell.seconds_by_turn
    ]
    if not spreads or np.median(spreads) <= _DISTURBED:
        return []
    return [
        f"Timings of one cell varied up to {max(spreads):.1f}-fold: the machine was busy, seconds are rough."
    ]


def _reversal(first: "xr.Dataset", found: Found) -> list[str]:
    optimizer = found.cells[0].optimizer
    pair = find_reversal(first, optimizer, found.score)
    if pair is None:
        return []
    large, small = (regime_text(size, found.num_train) for size in (pair.large, pair.small))
    line = (
        f"{large} made {pair.large_updates:,} updates, {small} {pair.small_updates:,}: "
        f"at equal updates the order reverses ({optimizer})."
    )
    return [line[0].upper() + line[1:]]


def _edges(grid: "xr.Dataset", found: Found) -> list[str]:
    """For each optimizer, the cells whose best rate is the lowest or highest of its grid."""
    if grid.sizes["rate"] == 1:
        return ["One learning rate was tried: no optimizer was tuned."]
    lines = []
    for optimizer in grid.optimizer.values:
        rates = grid.learning_rate.sel(optimizer=optimizer).values
        own = [cell for cell in found.cells if cell.optimizer == optimizer]
        for edge in ("lowest", "highest"):
            if there := [cell for cell in own if edge_of(rates, cell.learning_rate) == edge]:
                sizes = sorted((cell.batch_size for cell in there), reverse=True)
                batches = list_text([batch_text(size, found.num_train) for size in sizes])
                rate = f"{there[0].learning_rate:g}, the {edge} tried"
                lines.append(f"{optimizer}'s best rate is at the grid's edge: {rate} ({batches}).")
    return lines


def _one_seed(grid: "xr.Dataset") -> list[str]:
    return ["Rates were chosen on one seed."] if grid.sizes["seed"] == 1 else []


def _diverged(grid: "xr.Dataset") -> list[str]:
    diverged = grid.status == "diverged"
    share = float(diverged.mean())
    if share <= MANY_DIVERGED:
        return []
    by_optimizer = diverged.mean(["batch_size", "rate", "seed"])
    worst = str(grid.optimizer.values[int(by_optimizer.argmax("optimizer"))])
    return [
        f"{100 * share:.0f} % of the {int(diverged.size):,} runs of the grid diverged, {worst}'s most often."
    ]
