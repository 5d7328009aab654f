"""The page of a comparison: the sentence, warnings, figures of its two sweeps, and the table of its cells."""

import os
from itertools import product

import plotly.graph_objects as go

from jaxgd.arguments import path_of
from jaxgd.reports.figures.costs import COSTS, cost_curves
from jaxgd.reports.figures.curves import curves_of
from jaxgd.reports.figures.maps import map_of
from jaxgd.reports.figures.scores import scores_of
from jaxgd.reports.page import SMALL, Choice, Section, SortedTable, sections_page
from jaxgd.reports.pages.cells import cells_table
from jaxgd.reports.scales import seconds_text
from jaxgd.reports.style import regime_name
from jaxgd.specs.wording import count_text, margin_text
from jaxgd.studies.comparison.answer import baseline_lines, cell_text
from jaxgd.studies.comparison.cells import first_round
from jaxgd.studies.comparison.conclusions import Comparison
from jaxgd.sweeps.store.files import write_whole
from jaxgd.training.states import NOT_RUN

MOST_CLASSES = 12  # of a confusion matrix that is shown


def write(comparison: Comparison, path: str | os.PathLike) -> None:
    """Write the page of a comparison to a file, as a whole or not at all."""
    write_whole(path_of("path", path), page(comparison))


def page(comparison: Comparison) -> str:
    """The page of a comparison: a whole HTML document, plotly.js included."""
    about, score = comparison.about, comparison.score
    scored = (
        f"Test scores are {score} on {count_text(about.num_test, 'example')}; intervals (95\u00a0%) cover "
        "fresh seeds and these test rows. Rates were chosen on the validation split, with other seeds."
    )
    headline, lead = _opening(comparison)
    return sections_page(
        "jaxgd compare",
        headline,
        [*comparison.details, scored],
        [
            _cells(comparison),
            _curves(comparison),
            _maps(comparison),
            *([_costs(comparison)] if comparison.clock.seconds_per_update.notnull().all() else []),
            *_confusion(comparison),
        ],
        _facts(comparison),
        comparison.warnings,
        {
            "The command that made this page": about.command,
            "Python that repeats what is recommended": comparison.snippet,
        },
        lead=lead,
    )


def _opening(comparison: Comparison) -> tuple[str, str]:
    """The first clause of the sentence, what to use, and the rest: how good that is, and how sure."""
    cell = comparison.recommended
    what = "nothing to recommend" if cell is None else f"use {cell_text(cell, comparison.about.num_train)}"
    data, clause, rest = comparison.sentence.rpartition(what)
    rest = rest.lstrip(":. ")
    return f"{data}{clause}", f"{rest[:1].upper()}{rest[1:]}"


def _fresh(comparison: Comparison) -> str:
    """How many fresh seeds every cell has, which the curves are drawn of."""
    return count_text(first_round(comparison.fresh).sizes["seed"], "fresh seed")


def _optimizers(comparison: Comparison) -> list[str]:
    """The best one first: what a page shows at first."""
    return list(dict.fromkeys(cell.optimizer for cell in comparison.cells))


def _curves(comparison: Comparison) -> Section:
    seconds = comparison.clock.seconds_per_update * comparison.fresh.updates
    fresh = comparison.fresh.set_coords("learning_rate").assign_coords(seconds=seconds)
    fresh = first_round(fresh.drop_dims("example"))
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
        f"{count_text(about.seeds.num_tuning, 'seed')}: learning rate across, batch size up, both "
        "logarithmic. The line joins the best rate of each batch size; where it touches the side of its map, "
        "a better rate may lie outside.",
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
    about, score = comparison.about, comparison.score
    return Section(
        "Every optimizer and batch size, at its best rate",
        f"Ordered by validation {score} of the fresh seeds; judged by their test {score}. Verdicts are read "
        "off the interval of the difference to the best of the others, in which + is better: better or worse "
        f"where it lies beyond the margin of {margin_text(about.margin, score)}, as good where it can be at "
        "most that much worse. An arrowhead: it goes on beyond its picture. Bold: shown to be as good as the "
        "best, or better. A heading sorts.",
        table=cells_table(comparison),
        caption=" ".join(baseline_lines(comparison.constant, comparison.linear, score)),
    )


def _confusion(comparison: Comparison) -> list[Section]:
    """Which classes the recommended cell takes for which; nothing where it is no classification of few
    classes.
    """
    quality = comparison.quality
    if quality is None or quality.confusion is None or len(quality.confusion) > MOST_CLASSES:
        return []
    names = comparison.classes or [str(k) for k in range(len(quality.confusion))]
    rows = [
        [name, *(f"{count:.3g}" for count in row)] for name, row in zip(names, quality.confusion, strict=True)
    ]
    return [
        Section(
            "Which classes are taken for which",
            "Test examples of the class of the row that the recommended cell takes for the class of the "
            "column, mean over its fresh seeds.",
            table=SortedTable(["", *names], rows),
        )
    ]


def _facts(comparison: Comparison) -> dict[str, str]:
    about, grid = comparison.about, comparison.grid
    dims = {"optimizer": "optimizer", "batch_size": "batch size", "rate": "learning rate", "seed": "seed"}
    sizes = " × ".join(count_text(grid.sizes[dim], noun) for dim, noun in dims.items())
    stages = ", ".join(f"{name} {seconds_text(spent)}" for name, spent in about.stage_seconds.items())
    facts = {
        "Data": comparison.data,
        **(about.table.facts() if about.table else {}),
        "Splits": about.splits,
        "Model": about.model,
        "Grid": f"{sizes} = {count_text(grid.status.size, 'run')} of {count_text(about.epochs, 'epoch')}",
        "Rerun": f"best rate of each cell on fresh seeds, {', '.join(map(str, about.fresh_counts))} after "
        f"each round: {count_text(int((comparison.fresh.status != NOT_RUN).sum()), 'run')}",
        "Seeds": f"{about.seeds.tuning.start} to {about.seeds.tuning.stop - 1} chose the rates, fresh ones "
        "follow",
        "Intervals": about.intervals,
        "Budget": f"{about.examples_seen:,} training examples processed (repeats counted)",
        "Time": f"{seconds_text(about.wall_seconds)} in all, compilation included: {stages}",
        "Device": f"{about.device}, {count_text(about.cores, 'CPU core')}",
        "Versions": ", ".join(f"{name} {version}" for name, version in about.versions.items()),
    }
    return {name: text for name, text in facts.items() if text}
