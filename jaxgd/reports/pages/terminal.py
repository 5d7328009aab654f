"""A comparison as text for a terminal: the sentence, the warnings, and a table of the best cells."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jaxgd.specs.wording import difference_text, score_text
from jaxgd.studies.comparison.cells import Cell
from jaxgd.studies.comparison.comparing import Comparison
from jaxgd.studies.comparison.findings import constant_text

NUM_ROWS = 8


def render(comparison: Comparison) -> RenderableType:
    """What `rich.print` shows of a comparison; plain text where the output is not a terminal."""
    warnings = [Text(f"! {line}", style="yellow") for line in comparison.warnings]
    gap = [Text()] if warnings else []
    constant = comparison.constant
    reference = [] if constant is None else [Text(constant_text(constant, comparison.score))]
    sentence = Text(comparison.sentence, style="bold")
    return Group(sentence, *gap, *warnings, Text(), _table(comparison), *reference)


def _table(comparison: Comparison) -> Table:
    cells, num_train = comparison.cells, comparison.about.num_train
    shown = cells[:NUM_ROWS]
    table = Table(box=None, pad_edge=False, caption=_caption(comparison, len(shown)), caption_justify="left")
    table.add_column("optimizer")
    for name in ("batch", "rate", f"test {comparison.score}", "against first", "updates", "seconds"):
        table.add_column(Text(name), justify="right")
    for cell in shown:  # as texts: a string may hold the brackets of rich's markup
        table.add_row(*map(Text, _row(cell, cell is cells[0], comparison.score, num_train)))
    return table


def _row(cell: Cell, is_first: bool, score: str, num_train: int) -> list[str]:
    difference = "" if is_first else difference_text(cell.difference, cell.difference_halfwidth, score)
    return [
        cell.optimizer,
        "full" if cell.batch_size == num_train else str(cell.batch_size),
        f"{cell.learning_rate:g}",
        score_text(cell.test, cell.test_halfwidth, score).removeprefix("test loss "),
        f"{difference} {'≈' if cell.indistinguishable and not is_first else ' '}",
        f"{cell.updates:,}",
        f"{cell.seconds:.3g}",
    ]


def _caption(comparison: Comparison, num_shown: int) -> Text:
    seeds = comparison.about.fresh_seeds
    return Text(
        f"The best {num_shown} of {len(comparison.cells)} by validation {comparison.score}. "
        f"± 95 % over {seeds} fresh seeds; "
        "≈ indistinguishable from the first; seconds: one run alone, compiled."
    )
