"""The page of a comparison: the sentence, warnings, figures of its two sweeps, and the table of its cells."""

import os
from itertools import product
from pathlib import Path

import plotly.graph_objects as go

from jaxgd.reports.figures.costs import COSTS, cost_curves
from jaxgd.reports.figures.curves import curves_of
from jaxgd.reports.figures.maps import map_of
from jaxgd.reports.figures.scores import scores_of
from jaxgd.reports.page import SMALL, Choice, Section, sections_page
from jaxgd.reports.pages.cells import cells_table
from jaxgd.reports.scales import seconds_text
from jaxgd.reports.style import regime_name
from jaxgd.specs.wording import count_text
from jaxgd.studies.comparison.comparing import Comparison
from jaxgd.studies.comparison.findings import constant_text
from jaxgd.sweeps.store.files import write_whole


def write(comparison: Comparison, path: str | os.PathLike) -> None:
    """Write the page of a comparison to a file, as a whole or not at all."""
    write_whole(Path(path), page(comparison))


def page(comparison: Comparison) -> str:
    """The page of a comparison: a whole HTML document, plotly.js included."""
    about, score = comparison.about, comparison.score
    deck = (
        f"The headline’s scores are {score} on the test split ({count_text(about.num_test, 'example')}), "
        f"mean over {_fresh(comparison)} ± half of a 95\u00a0% interval. Learning rates were chosen on the "
        "validation split, with other seeds."
    )
    return sections_page(
        "jaxgd compare",
        comparison.sentence,
        deck,
        [_curves(comparison), _maps(comparison), _costs(comparison), _cells(comparison)],
        _facts(comparison),
        comparison.warnings,
        {
            "The command that made this page": about.command,
            "Python that repeats the first cell": comparison.snippet,
        },
    )


def _fresh(comparison: Comparison) -> str:
    return count_text(comparison.about.fresh_seeds, "fresh seed")


def _optimizers(comparison: Comparison) -> list[str]:
    """The best one first: what a page shows at first."""
    return list(dict.fromkeys(cell.optimizer for cell in comparison.cells))


def _curves(comparison: Comparison) -> Section:
    seconds = comparison.clock.seconds_per_update * comparison.fresh.updates
    fresh = comparison.fresh.set_coords("learning_rate").assign_coords(seconds=seconds)
    scores = {measure: scores_of(fresh, f"valid_{measure}") for measure in (comparison.score, "loss")}

    def curves(optimizer: str, measure: str) -> go.Figure:
        figure = curves_of(scores[measure], "batch_size", "epochs", {"optimizer": optimizer})
        title = f"{optimizer}: validation {measure}, {_fresh(comparison)}"
        figure.update_yaxes(title={"text": f"validation {measure}"})
        return figure.update_layout(title={"text": title})

    figures = {key: curves(*key) for key in product(_optimizers(comparison), scores)}
    note = next(iter(figures.values())).layout.meta["note"]  # pyright: ignore
    return Section(
        "Epochs, updates, examples or seconds: which batch size leads?",
        f"Every batch size sees the same examples, but {_updates_per_epoch(comparison)} Switch the clock and "
        "see what changes rank. Each batch size runs at its own best learning rate.",
        [Choice(("Optimizer", "Validation"), figures)],
        caption=f"Validation split ({count_text(comparison.about.num_valid, 'example')}), "
        f"{_fresh(comparison)}: strong line the mean, faint lines the seeds, × where a seed diverged. The "
        f"dotted line is the budget. {note} Seconds are updates × seconds per update of the run alone, "
        "compiled; evaluation is not counted. The table of all cells says which differences are more than "
        "chance.",
        ranks=True,
    )


def _updates_per_epoch(comparison: Comparison) -> str:
    """The updates in an epoch at the largest and the smallest batch size: the end of a sentence."""
    sizes, num_train = comparison.fresh.batch_size.values, comparison.about.num_train
    counts = [
        f"{regime_name(size, num_train)} makes {count_text(-(-num_train // size), 'update')}"
        for size in dict.fromkeys((int(sizes.max()), int(sizes.min())))
    ]
    return f"in one epoch {' and '.join(counts)}."


def _maps(comparison: Comparison) -> Section:
    about, score, rates = comparison.about, comparison.score, comparison.fresh.learning_rate
    scores = scores_of(comparison.grid, f"valid_{score}")

    def rates_of(name: str) -> go.Figure:
        ridge, where = rates.sel(optimizer=name), {"optimizer": name}
        figure = map_of(scores, "learning_rate", "batch_size", ridge, where)
        return figure.update_layout(title={"text": name})

    return Section(
        "Which learning rate for which batch size?",
        f"Final validation {score} after {count_text(about.epochs, 'epoch')}, mean over "
        f"{count_text(about.seeds, 'seed')}: learning rate across, batch size up, both logarithmic. The line "
        "joins the best rate of each batch size; where it touches the side of its map, a better rate may lie "
        "outside.",
        [rates_of(str(name)) for name in comparison.grid.optimizer.values],
        columns=SMALL,
    )


def _costs(comparison: Comparison) -> Section:
    names = _optimizers(comparison)
    return Section(
        "What an update costs",
        "Measured for each batch size alone on the device, compiled, without the other runs of the grid. "
        "Whether a batch size that processes more examples per second also learns faster is the question "
        "above. Grey lines are the other optimizers.",
        [
            Choice(("Optimizer",), {(name,): cost_curves(comparison.clock, cost, name) for name in names})
            for cost in COSTS
        ],
    )


def _cells(comparison: Comparison) -> Section:
    about, score, constant = comparison.about, comparison.score, comparison.constant
    return Section(
        "Every optimizer and batch size, at its best rate",
        f"Ordered by validation {score} (grid, {count_text(about.seeds, 'seed')}), which chose the rates; "
        f"judged by test {score} ({_fresh(comparison)}). “Cannot tell” means that the paired 95\u00a0% "
        "interval of the difference to the first includes 0. A heading sorts.",
        table=cells_table(comparison),
        caption="" if constant is None else constant_text(constant, score),
    )


def _facts(comparison: Comparison) -> dict[str, str]:
    about, grid = comparison.about, comparison.grid
    dims = {"optimizer": "optimizer", "batch_size": "batch size", "rate": "learning rate", "seed": "seed"}
    sizes = " × ".join(count_text(grid.sizes[dim], noun) for dim, noun in dims.items())
    stages = ", ".join(f"{name} {seconds_text(spent)}" for name, spent in about.stage_seconds.items())
    facts = {
        "Data": comparison.data,
        "Splits": about.splits,
        "Model": about.model,
        "Grid": f"{sizes} = {count_text(grid.status.size, 'run')} of {count_text(about.epochs, 'epoch')}",
        "Rerun": f"best rate of each cell on {_fresh(comparison)}: "
        f"{count_text(comparison.fresh.status.size, 'run')}",
        "Intervals": about.intervals,
        "Budget": f"{about.examples_seen:,} training examples processed (repeats counted)",
        "Time": f"{seconds_text(about.wall_seconds)} in all, compilation included: {stages}",
        "Device": f"{about.device}, {count_text(about.cores, 'CPU core')}",
        "Versions": ", ".join(f"{name} {version}" for name, version in about.versions.items()),
    }
    return {name: text for name, text in facts.items() if text}
