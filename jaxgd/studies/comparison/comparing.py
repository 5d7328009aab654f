"""Which optimizer, batch size and learning rate: one call that trains them all and says what it found."""

import functools
import math
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np
import xarray as xr

from jaxgd.machine.devices import device_name
from jaxgd.machine.host import num_cores, versions
from jaxgd.specs.choices import Choices, Seeds, check_choices
from jaxgd.specs.presets import DEFAULT
from jaxgd.specs.sources import NO_ROLES, Source, check_no_roles, load_source, problem_source
from jaxgd.specs.splits import num_rows
from jaxgd.specs.wording import count_text
from jaxgd.studies.comparison.answer import (
    Found,
    Subject,
    write_answer,
    write_batch_sizes,
    write_choice,
    write_remedy,
)
from jaxgd.studies.comparison.baselines import Baseline, constant_predictor, linear_predictor
from jaxgd.studies.comparison.cells import Cell, chosen_rates, first_round, ran
from jaxgd.studies.comparison.experiment import Experiment
from jaxgd.studies.comparison.findings import write_warnings
from jaxgd.studies.comparison.judging import Judgement, cells_of
from jaxgd.studies.comparison.quality import Quality, quality_of, write_quality
from jaxgd.studies.comparison.rounds import Rounds, run_rounds
from jaxgd.studies.comparison.snippets import write_snippet
from jaxgd.studies.comparison.stages import run_cells, run_grid, time_cells
from jaxgd.tables.prepared import PreparedTable
from jaxgd.tables.report import TableReport
from jaxgd.tables.roles import Roles, check_roles
from jaxgd.training import Problem
from jaxgd.training.fitting import check_epochs

if TYPE_CHECKING:
    import pandas as pd

INTERVALS = (
    "scores and differences have 95 % intervals over fresh seeds (initialisation and data order) and over "
    "test rows; the differences from the best of the others hold for all cells together (Hsu's multiple "
    "comparisons with the best)"
)


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
    grid: xr.Dataset = field(repr=False)  # every run: optimizer, batch_size, rate, seed, epoch
    fresh: xr.Dataset = field(repr=False)  # the best rate of each cell on fresh seeds, with test scores
    clock: xr.Dataset = field(repr=False)  # seconds and bytes per update of each cell, alone and compiled
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


def compare(
    problem: "Problem | Source | PreparedTable | pd.DataFrame | str",
    optimizers: str | Iterable[str] | None = None,
    batch_sizes: int | str | Iterable[int | str] | None = None,
    learning_rates: Iterable[float] | Mapping[str, Iterable[float]] | None = None,
    epochs: int = DEFAULT.epochs,
    seeds: int = DEFAULT.seeds,
    fresh_seeds: int = DEFAULT.fresh_seeds,
    *,
    target: str | None = None,
    task: str | None = None,
    drop: str | Iterable[str] = (),
    group: str | None = None,
    split: str | None = None,
    first_seed: int = 0,
    max_seeds: int | None = None,
    max_seconds: float = DEFAULT.max_seconds,
    margin: float | None = None,
    data: str | None = None,
    progress: bool = True,
    command: str | None = None,
) -> Comparison:
    """Which optimizer, batch size and learning rate to use, how sure that is, and what each one costs.

    Every optimizer, batch size, rate and tuning seed is trained. The best rate of each (optimizer, batch
    size), by the validation score averaged over these seeds, is trained again on fresh seeds and scored on
    test data; cells that are undecided and matter for the answer get more seeds, in rounds.

    Args:
        problem: a `Problem`, or text that names one: "digits", "my.py:problem". Missing validation or
            test examples are drawn from the training examples. Or a table: what `jaxgd.table` takes or gives.
        optimizers: names, or "all"; sgd, momentum and adam if None.
        batch_sizes: whole numbers or "full"; full, 128, 32 and 1 if None, as far as the data allow.
        learning_rates: one grid for all optimizers, or {optimizer: grid}; each optimizer's preset if None.
        epochs: passes over the training examples, at least 1.
        seeds: runs per rate, at least 1: the tuning seeds.
        fresh_seeds: runs of each best rate in the first round. With fewer than 5 there is no verdict.
        first_seed: the first tuning seed; fresh seeds follow the tuning seeds. Others repeat the comparison.
        max_seeds: the most fresh seeds of a cell, after rounds that double their number; 40 if None.
        max_seconds: about how long further rounds may take, from the end of the first.
        margin: up to this difference two cells are equal for practical purposes, in units of the score (0.01
            is one point of accuracy); max(0.5 points, one test row) if None, 2 % of a loss.
        target: of a table, the column to predict.
        task: of a table, as in `jaxgd.table`; and so are the next three.
        drop: columns to leave out.
        group: a column; rows with one value in it come into one split.
        split: a column that says train, valid or test of each row.
        data: what to call the data in the report.
        progress: draw a progress bar and say on stderr what is going on.
        command: the command line to show in the report.

    Raises `ValueError` or `TypeError` for bad input before anything compiles.
    """
    choices = check_choices(
        optimizers,
        batch_sizes,
        learning_rates,
        epochs,
        seeds,
        fresh_seeds,
        first_seed,
        max_seeds,
        max_seconds,
        margin,
    )
    roles = check_roles(target, task, drop, group, split)
    experiment = plan_comparison(problem, choices, data, roles)
    return run_comparison(experiment, progress=progress, command=command)


def plan_comparison(
    problem: "Problem | Source | PreparedTable | pd.DataFrame | str",
    choices: Choices | None = None,
    data: str | None = None,
    roles: Roles = NO_ROLES,
) -> Experiment:
    """What `compare` would run; the preset's choices if None. Nothing is compiled."""
    choices = check_choices() if choices is None else choices
    source = _source(problem, data, roles)
    num_train = source.problem.num_examples
    check_epochs(choices.epochs, num_train)
    return Experiment(
        source,
        choices.optimizers,
        choices.batch_sizes_of(num_train),
        choices.learning_rates,
        choices.epochs,
        choices.seeds,
        choices.margin,
    )


def run_comparison(
    experiment: Experiment, *, progress: bool = True, command: str | None = None
) -> Comparison:
    """The comparison of an experiment: grid, best rates on fresh seeds, clock, and what they say."""
    ticks, say = [time.perf_counter()], functools.partial(_say, progress)
    say(_announcement(experiment))
    grid = run_grid(experiment, progress)
    chosen = chosen_rates(experiment, grid)
    ticks.append(time.perf_counter())
    count = experiment.seeds.num_fresh
    say(f"The best rate of each on {count_text(count, 'fresh seed')}")
    first = run_cells(experiment, chosen, experiment.places, experiment.seeds.fresh(0, count), progress)
    ticks.append(time.perf_counter())
    say("Each one alone, on the clock")
    clock = time_cells(experiment, chosen)
    ticks.append(time.perf_counter())
    constant, linear = (
        predictor(experiment.source.problem, experiment.score)
        for predictor in (constant_predictor, linear_predictor)
    )
    ticks.append(time.perf_counter())
    rounds = run_rounds(experiment, chosen, first, clock, constant, progress, say)
    ticks.append(time.perf_counter())
    return _comparison(experiment, grid, clock, rounds, constant, linear, np.diff(ticks).tolist(), command)


def _comparison(
    experiment: Experiment,
    grid: xr.Dataset,
    clock: xr.Dataset,
    rounds: Rounds,
    constant: Baseline | None,
    linear: Baseline | None,
    seconds: list[float],
    command: str | None,
) -> Comparison:
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
        about=_about(experiment, grid, fresh, rounds.looks.counts, found.margin, seconds, command),
        snippet=write_snippet(experiment, recommended or found.cells[0]),
        constant=constant,
        linear=linear,
        quality=quality,
        classes=tuple(source.table.classes) if source.table else (),
    )


def found_in(
    subject: Subject,
    grid: xr.Dataset,
    fresh: xr.Dataset,
    clock: xr.Dataset,
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


def _quality(source: Source, fresh: xr.Dataset, cell: Cell) -> Quality | None:
    runs = fresh.sel(optimizer=cell.optimizer, batch_size=cell.batch_size)
    return quality_of(source.problem, ran(runs), source.target_scale)


def _source(problem, data: str | None, roles: Roles) -> Source:
    if isinstance(problem, Source):
        return problem
    is_frame = hasattr(problem, "columns")
    if not (is_frame or isinstance(problem, str | Path | PreparedTable)):
        check_no_roles(roles, "a Problem")
        return problem_source(problem, "your problem" if data is None else data)
    source = load_source(problem, **roles._asdict())
    return source if data is None else source._replace(data=data)


def _announcement(experiment: Experiment) -> str:
    cells = len(experiment.optimizers) * len(experiment.batch_sizes)
    runs = cells * experiment.num_rates * experiment.seeds.num_tuning
    parts = [
        count_text(len(experiment.optimizers), "optimizer"),
        count_text(len(experiment.batch_sizes), "batch size"),
        count_text(experiment.num_rates, "rate"),
        count_text(experiment.seeds.num_tuning, "seed"),
    ]
    return f"{' x '.join(parts)}: {count_text(runs, 'run')} of {count_text(experiment.epochs, 'epoch')}"


def _say(progress: bool, text: str):
    """Progress goes to stderr, so that stdout holds the result alone."""
    if progress:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _about(
    experiment: Experiment,
    grid: xr.Dataset,
    fresh: xr.Dataset,
    counts: tuple[int, ...],
    margin: float,
    seconds: list[float],
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
        stage_seconds=dict(zip(stages, seconds, strict=True)),
        versions=versions(),
        device=device_name(jax.devices()),
        cores=num_cores(),
        command=command or "jaxgd.compare(...)",
        table=experiment.source.table,
    )
