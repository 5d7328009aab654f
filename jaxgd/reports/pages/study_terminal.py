"""A study as text for a terminal: the sentence, what else was found, and a table by batch size."""

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jaxgd.studies.batch_size.costs import picks
from jaxgd.studies.batch_size.found import Study
from jaxgd.studies.scaling.wording import ends_text, steps_text

_NONE = "–"


def render(study: Study) -> RenderableType:
    """What `rich.print` shows of a study; plain text where the output is not a terminal."""
    details = [Text(line) for line in study.details]
    warnings = [Text(f"! {line}", style="yellow") for line in study.warnings]
    gap = [Text()] if warnings else []
    return Group(Text(study.sentence, style="bold"), *details, *gap, *warnings, Text(), _table(study))


def _table(study: Study) -> Table:
    table = Table(box=None, pad_edge=False, caption=_caption(study), caption_justify="left")
    table.add_column("method")
    for name in ("batch", "rate", "updates", "95 %", "examples", "seeds there", "regime"):
        table.add_column(Text(name), justify="right", overflow="fold")
    for one in study.methods:
        steps = one.steps
        for k, size in enumerate(steps.batch_sizes):
            row = [
                steps.method,
                f"{size:g}{' *' if picks(study.pick, steps.method, size) else ''}",
                _NONE if math.isnan(steps.learning_rates[k]) else f"{steps.learning_rates[k]:.3g}",
                steps_text(steps.steps[k], steps.found[k]),
                ends_text(steps.low[k], steps.high[k], _NONE),
                steps_text(steps.examples[k], _NONE if math.isnan(steps.steps[k]) else "reached"),
                f"{steps.reached[k]} of {steps.seeds[k]}",
                one.regimes[k] or _NONE,
            ]
            table.add_row(*map(Text, row))
    return table


def _caption(study: Study) -> Text:
    return Text(
        f"Updates and examples to {study.goal.text}, at each batch size's best rate; * what the first line "
        "names. Equal epochs, updates, examples and seconds, and the figures, are on the page."
    )
