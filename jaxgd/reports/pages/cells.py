"""The table of a comparison's cells as HTML: scores with their spread, and what each cell costs."""

import math
from html import escape

import numpy as np

from jaxgd.reports.scales import bytes_text, seconds_text
from jaxgd.reports.style import short_size
from jaxgd.specs.wording import difference_text, score_text
from jaxgd.studies.comparison.cells import Cell, higher_is_better
from jaxgd.studies.comparison.comparing import Comparison

WIDTH, HEIGHT = 96, 14  # of the picture of an interval, in pixels


def cells_table(comparison: Comparison) -> str:
    """A `<table>` with a row for each cell, best first; every cell carries a `data-sort` value."""
    limit = _limit(comparison.cells)
    rows = "\n".join(_row(comparison, rank, limit) for rank in range(len(comparison.cells)))
    return f'<table class="cells">\n{_head(comparison)}\n<tbody>\n{rows}\n</tbody>\n</table>'


def _head(comparison: Comparison) -> str:
    """Two rows: which split and which runs a group of columns comes from, and the columns."""
    about, score = comparison.about, escape(comparison.score)
    groups = [
        (4, "Cell"),
        (1, "Validation"),
        (4, f"Test, {about['fresh_seeds']} fresh seeds"),
        (4, "One run, alone and compiled"),
    ]
    columns = [
        ("", "text"),
        ("Optimizer", "text"),
        ("Batch", "number"),
        ("Rate", "number"),
        (score.capitalize(), "number"),
        (f"{score.capitalize()} ±&nbsp;95&nbsp;%", "number"),
        ("Minus the first, paired ±&nbsp;95&nbsp;%", "number"),
        ("Against the first", "text"),
        ("Seeds diverged", "number"),
        ("Updates", "number"),
        ("Examples", "number"),
        ("Seconds", "number"),
        ("Memory of an update", "number"),
    ]
    top = "".join(f'<th scope="colgroup" colspan="{span}">{text}</th>' for span, text in groups)
    bottom = "".join(_column(text, kind) for text, kind in columns)
    return f'<thead><tr class="groups">{top}</tr><tr>{bottom}</tr></thead>'


def _column(text: str, kind: str) -> str:
    label = text or '<span aria-hidden="true">#</span><span class="unseen">Rank</span>'
    return f'<th scope="col" class="{kind}"><button type="button">{label}</button></th>'


def _row(comparison: Comparison, rank: int, limit: float) -> str:
    cell, score = comparison.cells[rank], comparison.score
    fresh_seeds = comparison.about["fresh_seeds"]
    verdict = _verdict(comparison.cells, rank, score)
    test = score_text(cell.test, cell.test_halfwidth, score).removeprefix("test loss ")
    difference = "" if rank == 0 else difference_text(cell.difference, cell.difference_halfwidth, score)
    picture = _interval_picture(cell, limit)
    entries = [
        (rank, str(rank + 1), "number"),
        (cell.optimizer, escape(cell.optimizer), "text"),
        (cell.batch_size, short_size(comparison, cell.batch_size), "number"),
        (cell.learning_rate, f"{cell.learning_rate:g}", "number"),
        (cell.valid, _plain_score(cell.valid, score), "number"),
        (cell.test, test, "number"),
        (cell.difference, f'<div class="interval">{picture}<span>{difference}</span></div>', "number"),
        (verdict, verdict, "text"),
        (cell.diverged, f"{cell.diverged} of {fresh_seeds}" if cell.diverged else "0", "number"),
        (cell.updates, f"{cell.updates:,}", "number"),
        (cell.examples, f"{cell.examples:,}", "number"),
        (cell.seconds, seconds_text(cell.seconds), "number"),
        (cell.bytes, bytes_text(cell.bytes), "number"),
    ]
    mark = ' class="same"' if rank == 0 or cell.indistinguishable else ""
    return f"<tr{mark}>" + "".join(_entry(*entry) for entry in entries) + "</tr>"


def _entry(sort, content: str, kind: str) -> str:
    """A table cell. A NaN sorts after every number, in either direction: its key is empty."""
    key = "" if isinstance(sort, float) and math.isnan(sort) else escape(str(sort))
    return f'<td class="{kind}" data-sort="{key}">{content}</td>'


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


def _interval_picture(cell: Cell, limit: float) -> str:
    """A dot with whiskers beside a line at 0; an arrowhead where the dot lies off the picture."""
    if not (math.isfinite(cell.difference) and math.isfinite(cell.difference_halfwidth)):
        return ""
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
    return f'<svg width="{WIDTH}" height="{HEIGHT}" aria-hidden="true">{zero}{whisker}{dot}</svg>'
