"""A comparison as text for a terminal: the sentence, the warnings, and a table of the best cells."""

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jaxgd.specs.wording import gap_text, score_text
from jaxgd.studies.comparison.answer import baseline_lines
from jaxgd.studies.comparison.cells import Cell
from jaxgd.studies.comparison.conclusions import Comparison

NUM_ROWS = 8


def render(comparison: Comparison) -> RenderableType:
    """What `rich.print` shows of a comparison; plain text where the output is not a terminal."""
    details = [Text(line) for line in comparison.details]
    warnings = [Text(f"! {line}", style="yellow") for line in comparison.warnings]
    gap = [Text()] if warnings else []
    sentence = Text(comparison.sentence, style="bold")
    beside = map(Text, baseline_lines(comparison.constant, comparison.linear, comparison.score))
    return Group(sentence, *details, *gap, *warnings, Text(), _table(comparison), *beside)


def _table(comparison: Comparison) -> Table:
    shown = comparison.cells[:NUM_ROWS]
    table = Table(box=None, pad_edge=False, caption=_caption(comparison, len(shown)), caption_justify="left")
    table.add_column("optimizer")
    for name in ("batch", "rate", f"test {comparison.score}, 95 %", "against the best other", "verdict"):
        table.add_column(Text(name), justify="right", overflow="fold")
    for name in ("seeds", "updates", "seconds"):
        table.add_column(Text(name), justify="right")
    for cell in shown:  # as texts: a string may hold the brackets of rich's markup
        table.add_row(*map(Text, _row(cell, comparison)))
    return table


def _row(cell: Cell, comparison: Comparison) -> list[str]:
    score = comparison.score
    return [
        cell.optimizer,
        "full" if cell.batch_size == comparison.about.num_train else str(cell.batch_size),
        f"{cell.learning_rate:g}",
        score_text(cell.test, cell.test_low, cell.test_high, score),
        gap_text(cell.gap, cell.gap_low, cell.gap_high, score).replace(" points", ""),
        f"{cell.verdict}{' *' if cell is comparison.recommended else ''}",
        str(cell.seeds) if cell.chance else "one run",
        f"{cell.updates:,}",
        "–" if math.isnan(cell.seconds) else f"{cell.seconds:.3g}",
    ]


def _caption(comparison: Comparison, num_shown: int) -> Text:
    return Text(
        f"The best {num_shown} of {len(comparison.cells)} by validation {comparison.score} of fresh seeds; "
        "* recommended. Intervals cover fresh seeds and test rows; + is better. "
        "seconds: one run alone, compiled."
    )
