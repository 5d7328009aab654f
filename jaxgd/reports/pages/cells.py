"""The table of a comparison's cells: scores with their spread, and what each cell costs."""

import math

import numpy as np
from markupsafe import Markup

from jaxgd.reports.page import SortedTable, TableCell
from jaxgd.reports.scales import bytes_text, seconds_text
from jaxgd.specs.wording import difference_text, score_text
from jaxgd.studies.comparison.cells import Cell, higher_is_better
from jaxgd.studies.comparison.comparing import Comparison

WIDTH, HEIGHT = 96, 14  # of the picture of an interval, in pixels


def cells_table(comparison: Comparison) -> SortedTable:
    """A row for each cell, best first; those that cannot be told from the first are marked."""
    cells = comparison.cells
    groups = [
        (4, "Cell"),
        (1, "Validation"),
        (4, f"Test, {comparison.about.fresh_seeds} fresh seeds"),
        (4, "One run, alone and compiled"),
    ]
    limit = _limit(cells)
    rows = [_row(comparison, rank, limit) for rank in range(len(cells))]
    same = [rank for rank, cell in enumerate(cells) if rank == 0 or cell.indistinguishable]
    return SortedTable.of(rows, groups=groups, marked=same)


def _row(comparison: Comparison, rank: int, limit: float) -> dict[str, TableCell]:
    cell, score, about = comparison.cells[rank], comparison.score, comparison.about
    test = score_text(cell.test, cell.test_halfwidth, score).removeprefix("test loss ")
    difference = "" if rank == 0 else difference_text(cell.difference, cell.difference_halfwidth, score)
    verdict = _verdict(comparison.cells, rank, score)
    size = "full" if cell.batch_size == about.num_train else str(cell.batch_size)
    picture = _interval_picture(cell, limit)
    lost = f"{cell.diverged} of {about.fresh_seeds}" if cell.diverged else "0"
    return {
        "#": TableCell(str(rank + 1), rank),
        "Optimizer": TableCell(cell.optimizer, cell.optimizer),
        "Batch": TableCell(size, cell.batch_size),
        "Rate": TableCell(f"{cell.learning_rate:g}", cell.learning_rate),
        score.capitalize(): TableCell(_plain_score(cell.valid, score), cell.valid),
        f"{score.capitalize()} ±\u00a095\u00a0%": TableCell(test, cell.test),
        "Minus the first, paired ±\u00a095\u00a0%": TableCell(difference, cell.difference, picture),
        "Against the first": TableCell(verdict, verdict),
        "Seeds diverged": TableCell(lost, cell.diverged),
        "Updates": TableCell(f"{cell.updates:,}", cell.updates),
        "Examples": TableCell(f"{cell.examples:,}", cell.examples),
        "Seconds": TableCell(seconds_text(cell.seconds), cell.seconds),
        "Memory of an update": TableCell(bytes_text(cell.bytes), cell.bytes),
    }


def _plain_score(value: float, score: str) -> str:
    if math.isnan(value):
        return "diverged"
    return f"{value:#.3g}" if score == "loss" else f"{100 * value:.1f} %"


def _verdict(cells: list[Cell], rank: int, score: str) -> str:
    """In a word how the cell stands to the first one."""
    cell = cells[rank]
    if rank == 0:
        return "the first"
    if math.isnan(cell.difference):
        return "diverged" if cell.diverged else "unknown"
    if cell.indistinguishable:
        return "cannot tell"
    return "better" if (cell.difference > 0) == higher_is_better(score) else "worse"


def _limit(cells: list[Cell]) -> float:
    """What the pictures of intervals span on either side of 0: most of the better half of the cells."""
    reach = [abs(cell.difference) + cell.difference_halfwidth for cell in cells[1:]]
    finite = [value for value in reach if math.isfinite(value)]
    return float(np.median(finite)) if finite and np.median(finite) > 0 else 1.0


def _interval_picture(cell: Cell, limit: float) -> Markup:
    """A dot with whiskers beside a line at 0; an arrowhead where the dot lies off the picture."""
    if not (math.isfinite(cell.difference) and math.isfinite(cell.difference_halfwidth)):
        return Markup()
    middle, y = WIDTH / 2, HEIGHT / 2

    def place(value: float) -> float:
        return round(middle + max(-1.0, min(1.0, value / limit)) * (middle - 4), 1)

    low, high = cell.difference - cell.difference_halfwidth, cell.difference + cell.difference_halfwidth
    dot = f'<circle cx="{place(cell.difference)}" cy="{y:g}" r="3"/>'
    if abs(cell.difference) > limit:
        x, back = (1, 6) if cell.difference < 0 else (WIDTH - 1, WIDTH - 6)
        dot = f'<path d="M{x} {y:g}L{back} {y - 4:g}V{y + 4:g}Z"/>'
    whisker = f'<path class="whisker" d="M{place(low)} {y:g}H{place(high)}"/>'
    zero = f'<path class="zero" d="M{middle:g} 0V{HEIGHT}"/>'
    return Markup(f'<svg width="{WIDTH}" height="{HEIGHT}" aria-hidden="true">{zero}{whisker}{dot}</svg>')
