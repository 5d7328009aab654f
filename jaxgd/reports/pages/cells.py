"""The table of a comparison's cells: scores with their spread, and what each cell costs."""

import math

import numpy as np
from markupsafe import Markup

from jaxgd.reports.page import SortedTable, TableCell
from jaxgd.reports.scales import bytes_text, seconds_text
from jaxgd.specs.wording import gap_text, score_text
from jaxgd.studies.comparison.cells import Cell
from jaxgd.studies.comparison.conclusions import Comparison

WIDTH, HEIGHT = 80, 14  # of the picture of an interval, in pixels
_ARROW = 6  # from either side to where an arrowhead begins


def cells_table(comparison: Comparison) -> SortedTable:
    """A row for each cell, best first; those shown to be as good as the best are marked."""
    cells, score = comparison.cells, comparison.score
    groups = [
        (4, "Cell"),
        (5, f"Test {score}, fresh seeds"),
        (2, f"Validation {score}"),
        (3, "One run, alone and compiled"),
    ]
    limit = _limit(cells)
    rows = [_row(comparison, rank, limit) for rank in range(len(cells))]
    good = [rank for rank, cell in enumerate(cells) if cell.is_as_good]
    return SortedTable.of(rows, groups=groups, marked=good)


def _row(comparison: Comparison, rank: int, limit: float) -> dict[str, TableCell]:
    cell, score, about = comparison.cells[rank], comparison.score, comparison.about
    size = "full" if cell.batch_size == about.num_train else str(cell.batch_size)
    name = score.capitalize()
    verdict = f"{cell.verdict}, recommended" if cell is comparison.recommended else cell.verdict
    gap = gap_text(cell.gap, cell.gap_low, cell.gap_high, score).replace(" points", "")
    lost = f"{cell.diverged} of {cell.seeds}" if cell.diverged else "0"
    seeds = (str(cell.seeds), cell.seeds) if cell.chance else ("one run", 1)
    return {
        "#": TableCell(str(rank + 1), rank),
        "Optimizer": TableCell(cell.optimizer, cell.optimizer),
        "Batch": TableCell(size, cell.batch_size),
        "Rate": TableCell(f"{cell.learning_rate:g}", cell.learning_rate),
        f"{name}, 95\u00a0%": TableCell(
            score_text(cell.test, cell.test_low, cell.test_high, score), cell.test
        ),
        "Better than the best of the others by, 95\u00a0%": TableCell(
            gap, cell.gap, _interval_picture(cell, limit)
        ),
        "Verdict": TableCell(verdict.replace(" ", "\u00a0").replace(",\u00a0", ", "), verdict),
        "Seeds": TableCell(*seeds),
        "Diverged": TableCell(lost, cell.diverged),
        "Fresh seeds": TableCell(_plain_score(cell.valid, score), cell.valid),
        "Seeds that chose": TableCell(_plain_score(cell.tuning_valid, score), cell.tuning_valid),
        "Updates": TableCell(f"{cell.updates:,}", cell.updates),
        **_costs(cell),
    }


def _costs(cell: Cell) -> dict[str, TableCell]:
    """What a run costs, as far as it was timed."""
    names, unknown = ("Seconds", "Memory of an update"), TableCell("–", "")
    if math.isnan(cell.seconds):
        return dict.fromkeys(names, unknown)
    costs = TableCell(seconds_text(cell.seconds), cell.seconds), TableCell(bytes_text(cell.bytes), cell.bytes)
    return dict(zip(names, costs, strict=True))


def _plain_score(value: float, score: str) -> str:
    return score_text(value, math.nan, math.nan, score)


def _limit(cells: list[Cell]) -> float:
    """What the pictures of intervals span on either side of 0: most of the better half of the cells."""
    reach = [max(abs(cell.gap_low), abs(cell.gap_high)) for cell in cells]
    finite = [value for value in reach if math.isfinite(value)]
    return float(np.median(finite)) if finite and np.median(finite) > 0 else 1.0


def _interval_picture(cell: Cell, limit: float) -> Markup:
    """A dot with whiskers beside a line at 0; arrowheads where dot or whisker go on beyond the picture."""
    if math.isnan(cell.gap):
        return Markup()
    middle, y = WIDTH / 2, HEIGHT / 2

    def place(value: float) -> float:
        """What lies beyond the limit stands where its arrowhead begins."""
        share = value / limit
        within = middle + share * (middle - _ARROW - 4)
        return round(within, 1) if abs(share) <= 1 else middle + math.copysign(middle - _ARROW, value)

    def arrow(side: int) -> str:
        base, tip = (middle + side * (middle - far) for far in (_ARROW, 1))
        return f'<path d="M{tip:g} {y:g}L{base:g} {y - 4:g}V{y + 4:g}Z"/>'

    values = (cell.gap, cell.gap_low, cell.gap_high)
    arrows = "".join(arrow(side) for side in (-1, 1) if max(side * value for value in values) > limit)
    dot = "" if abs(cell.gap) > limit else f'<circle cx="{place(cell.gap):g}" cy="{y:g}" r="3"/>'
    whisker = f'<path class="whisker" d="M{place(cell.gap_low):g} {y:g}H{place(cell.gap_high):g}"/>'
    zero = f'<path class="zero" d="M{middle:g} 0V{HEIGHT}"/>'
    return Markup(
        f'<svg width="{WIDTH}" height="{HEIGHT}" aria-hidden="true">{zero}{whisker}{arrows}{dot}</svg>'
    )
