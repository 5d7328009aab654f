"""What a comparison found: its cells, what to use, and all that a reader must know of how it was made."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from jaxgd.html_text import card
from jaxgd.machine.devices import device_name
from jaxgd.machine.host import num_cores, versions
from jaxgd.specs.choices import Seeds
from jaxgd.specs.sources import Source
from jaxgd.specs.splits import num_rows
from jaxgd.specs.wording import batch_text, score_text
from jaxgd.studies.comparison.answer import (
    Found,
    Subject,
    write_answer,
    write_batch_sizes,
    write_choice,
    write_remedy,
)
from jaxgd.studies.comparison.baselines import Baseline
from jaxgd.studies.comparison.cells import Cell, first_round, ran
from jaxgd.studies.comparison.experiment import Experiment
from jaxgd.studies.comparison.findings import write_warnings
from jaxgd.studies.comparison.judging import Judgement, cells_of
from jaxgd.studies.comparison.quality import Quality, quality_of, write_quality
from jaxgd.studies.comparison.rounds import Rounds
from jaxgd.studies.comparison.snippets import write_snippet
from jaxgd.tables.report import TableReport

if TYPE_CHECKING:
    import xarray as xr

INTERVALS = (
    "scores and differences have 95 % intervals over fresh seeds (initialisation and data order) and over "
    "test rows; the differences from the best of the others hold for all cells together (Hsu's multiple "
    "comparisons with the best)"
)


# Cells that a notebook shows.
_MOST_SHOWN = 8


class About(NamedTuple):
    """What a reader must know of how a comparison was made. num_train, num_valid, num_test: examples."""

    epochs: int
    seeds: Seeds
    fresh_counts: tuple[int, ...]  # fresh seeds after each round
    margin: float
    num_train: int
    num_valid: int
    num_test: int
    splits: str
    model: str
    examples_seen: int  # repeats counted
    stage_seconds: dict[str, float]
    versions: dict[str, str]
    device: str
    cores: int
    command: str
    intervals: str = INTERVALS
    table: TableReport | None = None  # what became of the columns of a table

    @property
    def wall_seconds(self) -> float:
        """Of all stages."""
        return sum(self.stage_seconds.values())


@dataclass(frozen=True)
class Comparison:
    """Optimizers and batch sizes compared, each at its own best learning rate."""

    data: str
    score: str  # "accuracy" (a fraction, higher is better) or "loss" (lower is better)
    grid: "xr.Dataset" = field(repr=False)  # every run: optimizer, batch_size, rate, seed, epoch
    fresh: "xr.Dataset" = field(repr=False)  # the best rate of each cell on fresh seeds, with test scores
    clock: "xr.Dataset" = field(repr=False)  # seconds and bytes per update of each cell, alone and compiled
    cells: list[Cell] = field(repr=False)  # best first by the fresh seeds' validation scores
    recommended: Cell | None = field(repr=False)  # None where nothing is recommended
    sentence: str  # what to use
    details: list[str]  # on batch sizes, what would tell more, the choice on fresh seeds, other measures
    warnings: list[str]
    about: About = field(repr=False)
    snippet: str = field(repr=False)
    # What a constant prediction and a linear model score on the test examples, as far as they are known.
    constant: Baseline | None = field(repr=False, default=None)
    linear: Baseline | None = field(repr=False, default=None)
    classes: tuple[str, ...] = field(repr=False, default=())  # their names, where they have some
    quality: Quality | None = field(repr=False, default=None)  # of the recommended cell, by other measures

    def _repr_html_(self) -> str:
        head = ("optimizer", "batch", "rate", f"test {self.score}, 95 %", "verdict", "updates")
        rows = [_html_row(self, cell) for cell in self.cells[:_MOST_SHOWN]]
        notes = [*self.details, *(f"! {line}" for line in self.warnings)]
        return card(self.sentence, rows, head, notes)


def _html_row(comparison: Comparison, cell: Cell) -> tuple[str | int, ...]:
    score = score_text(cell.test, cell.test_low, cell.test_high, comparison.score)
    verdict = f"{cell.verdict}{' *' if cell is comparison.recommended else ''}"
    size = batch_text(cell.batch_size, comparison.about.num_train).removeprefix("batch ")
    return cell.optimizer, size, f"{cell.learning_rate:g}", score, verdict, cell.updates


def conclude_comparison(
    experiment: Experiment,
    grid: "xr.Dataset",
    command: str | None,
    *,
    clock: "xr.Dataset",
    rounds: Rounds,
    constant: Baseline | None,
    linear: Baseline | None,
    ticks: Sequence[float],
) -> Comparison:
    """The comparison that was run: what its cells are, what to use, and what a reader must know of it.

    Args:
        experiment: what was run.
        grid: the runs that chose the rates.
        command: the command line to show in the report.
        clock: what an update of each cell costs.
        rounds: the runs on fresh seeds, and the judgement on them.
        constant: what a constant prediction scores.
        linear: what a linear model scores.
        ticks: when it began, and when each of its stages ended.
    """
    source, fresh, judged = experiment.source, rounds.fresh, rounds.judged
    subject = Subject(
        source.data,
        experiment.score,
        experiment.epochs,
        experiment.num_train,
        num_rows(source.problem.test),
        experiment.seeds.most,
    )
    found = found_in(subject, grid, fresh, clock, judged, constant)
    recommended = found.recommended if judged.beats_constant else None
    quality = None if recommended is None else _quality(source, fresh, recommended)
    details = [write_batch_sizes(found), write_remedy(found), write_choice(found)]
    details += [] if quality is None else [write_quality(quality)]
    return Comparison(
        data=source.data,
        score=experiment.score,
        grid=grid,
        fresh=fresh,
        clock=clock,
        cells=list(found.cells),
        recommended=recommended,
        sentence=write_answer(found),
        details=[line for line in details if line],
        warnings=[
            *write_warnings(found, grid, first_round(fresh), linear, source.made_splits),
            *(source.table.notes if source.table else ()),
        ],
        about=_about(experiment, grid, fresh, rounds.looks.counts, found.margin, ticks, command),
        snippet=write_snippet(experiment, recommended or found.cells[0]),
        constant=constant,
        linear=linear,
        quality=quality,
        classes=tuple(source.table.classes) if source.table else (),
    )


def found_in(
    subject: Subject,
    grid: "xr.Dataset",
    fresh: "xr.Dataset",
    clock: "xr.Dataset",
    judged: Judgement,
    constant: Baseline | None,
) -> Found:
    """What was found, for the sentences, from runs and the judgement on them."""
    cells = cells_of(grid, fresh, clock, subject.score, judged)
    place, shown = judged.recommendation
    best = None if place is None else cells[judged.order.index(place)]
    best = None if best is None or math.isnan(best.test) else best  # every cell diverged on a fresh seed
    margin, beats = judged.conclusion.margin, judged.beats_constant
    return Found(
        **vars(subject),
        cells=cells,
        recommended=best,
        shown=shown,
        margin=margin,
        constant=constant,
        beats_constant=beats,
    )


def _quality(source: Source, fresh: "xr.Dataset", cell: Cell) -> Quality | None:
    runs = fresh.sel(optimizer=cell.optimizer, batch_size=cell.batch_size)
    return quality_of(source.problem, ran(runs), source.target_scale)


def _about(
    experiment: Experiment,
    grid: "xr.Dataset",
    fresh: "xr.Dataset",
    counts: tuple[int, ...],
    margin: float,
    ticks: Sequence[float],
    command: str | None,
) -> About:
    problem, stages = experiment.source.problem, ("grid", "fresh seeds", "clock", "baselines", "more seeds")
    return About(
        epochs=experiment.epochs,
        seeds=experiment.seeds,
        fresh_counts=counts,
        margin=margin,
        num_train=problem.num_examples,
        num_valid=num_rows(problem.valid),
        num_test=num_rows(problem.test),
        splits=experiment.source.splits,
        model=experiment.source.model,
        examples_seen=sum(int(runs.examples.isel(epoch=-1).sum()) for runs in (grid, fresh)),
        stage_seconds=dict(zip(stages, np.diff(ticks).tolist(), strict=False)),
        versions=versions(),
        device=device_name(jax.devices()),
        cores=num_cores(),
        command=command or "jaxgd.compare(...)",
        table=experiment.source.table,
    )
