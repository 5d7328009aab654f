"""Which optimizer, batch size and learning rate: one call that trains them all and says what it found."""

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import numpy as np
import xarray as xr

from jaxgd.machine.devices import device_name
from jaxgd.machine.host import num_cores, versions
from jaxgd.specs.choices import Choices, check_choices
from jaxgd.specs.presets import DEFAULT
from jaxgd.specs.sources import Source, load_source, problem_source
from jaxgd.specs.splits import num_rows
from jaxgd.specs.wording import count_text
from jaxgd.studies.comparison.cells import Cell, rank_cells
from jaxgd.studies.comparison.constants import Constant, constant_predictor
from jaxgd.studies.comparison.findings import write_sentence, write_warnings
from jaxgd.studies.comparison.snippets import write_snippet
from jaxgd.studies.comparison.stages import Experiment, rerun_best, run_grid, time_cells
from jaxgd.training import Problem
from jaxgd.training.fitting import check_epochs

INTERVALS = (
    "± is a 95 % t interval over the fresh seeds (initialisation and data order), on one set of test "
    "examples; differences are paired by seed, each at 95 %, not corrected for their number"
)


class About(NamedTuple):
    """What a reader must know of how a comparison was made. num_train, num_valid, num_test: examples."""

    epochs: int
    seeds: int
    fresh_seeds: int
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
    cells: list[Cell] = field(repr=False)  # best first
    sentence: str
    warnings: list[str]
    about: About = field(repr=False)
    snippet: str = field(repr=False)
    # What a constant prediction scores on the test examples; None where none is known.
    constant: Constant | None = field(repr=False, default=None)


def compare(
    problem: Problem | Source | str,
    optimizers: str | Iterable[str] | None = None,
    batch_sizes: int | str | Iterable[int | str] | None = None,
    learning_rates: Iterable[float] | Mapping[str, Iterable[float]] | None = None,
    epochs: int = DEFAULT.epochs,
    seeds: int = DEFAULT.seeds,
    fresh_seeds: int = DEFAULT.fresh_seeds,
    *,
    data: str | None = None,
    progress: bool = True,
    command: str | None = None,
) -> Comparison:
    """The optimizers and batch sizes ranked, each at its best learning rate, with what each one costs.

    Every optimizer, batch size, rate and seed is trained. The best rate of each (optimizer, batch size), by
    the validation score averaged over seeds, is trained again on fresh seeds and scored on test data.

    Args:
        problem: a `Problem`, or text that names one: "digits", "my.py:problem". Missing validation or
            test examples are drawn from the training examples.
        optimizers: names, or "all"; sgd, momentum and adam if None.
        batch_sizes: whole numbers or "full"; full, 128, 32 and 1 if None, as far as the data allow.
        learning_rates: one grid for all optimizers, or {optimizer: grid}; each optimizer's preset if None.
        epochs: passes over the training examples, at least 1.
        seeds: runs per rate, at least 1.
        fresh_seeds: runs of each best rate, at least 2: one run has no spread.
        data: what to call the data in the report.
        progress: draw a progress bar and say on stderr what is going on.
        command: the command line to show in the report.

    Raises `ValueError` or `TypeError` for bad input before anything compiles.
    """
    choices = check_choices(optimizers, batch_sizes, learning_rates, epochs, seeds, fresh_seeds)
    experiment = plan_comparison(problem, choices, data)
    return run_comparison(experiment, progress=progress, command=command)


def plan_comparison(
    problem: Problem | Source | str, choices: Choices | None = None, data: str | None = None
) -> Experiment:
    """What `compare` would run; the preset's choices if None. Nothing is compiled."""
    choices = check_choices() if choices is None else choices
    source = _source(problem, data)
    num_train = source.problem.num_examples
    check_epochs(choices.epochs, num_train)
    return Experiment(
        source,
        choices.optimizers,
        choices.batch_sizes_of(num_train),
        choices.learning_rates,
        choices.epochs,
        choices.seeds,
        choices.fresh_seeds,
    )


def run_comparison(
    experiment: Experiment, *, progress: bool = True, command: str | None = None
) -> Comparison:
    """The comparison of an experiment: grid, best rates on fresh seeds, clock, and what they say."""
    source, score = experiment.source, experiment.score
    num_train = source.problem.num_examples
    ticks = [time.perf_counter()]
    _say(progress, _announcement(experiment))
    grid = run_grid(experiment, progress)
    ticks.append(time.perf_counter())
    _say(progress, f"The best rate of each on {experiment.fresh_seeds} fresh seeds")
    fresh = rerun_best(experiment, grid, progress)
    ticks.append(time.perf_counter())
    _say(progress, "Each one alone, on the clock")
    clock = time_cells(experiment, fresh)
    ticks.append(time.perf_counter())
    cells = rank_cells(grid, fresh, clock, score)
    constant = constant_predictor(source.problem, score)
    return Comparison(
        data=source.data,
        score=score,
        grid=grid,
        fresh=fresh,
        clock=clock,
        cells=cells,
        sentence=write_sentence(
            source.data, score, experiment.epochs, experiment.fresh_seeds, num_train, cells, constant
        ),
        warnings=write_warnings(score, num_train, grid, fresh, cells, source.made_splits),
        about=_about(experiment, grid, fresh, np.diff(ticks).tolist(), command),
        snippet=write_snippet(experiment, cells[0]),
        constant=constant,
    )


def _source(problem: Problem | Source | str, data: str | None) -> Source:
    if isinstance(problem, Source):
        return problem
    if isinstance(problem, str):
        return load_source(problem)
    return problem_source(problem, "your problem" if data is None else data)


def _announcement(experiment: Experiment) -> str:
    cells = len(experiment.optimizers) * len(experiment.batch_sizes)
    runs = cells * experiment.num_rates * experiment.seeds
    parts = [
        count_text(len(experiment.optimizers), "optimizer"),
        count_text(len(experiment.batch_sizes), "batch size"),
        count_text(experiment.num_rates, "rate"),
        count_text(experiment.seeds, "seed"),
    ]
    return f"{' x '.join(parts)}: {count_text(runs, 'run')} of {count_text(experiment.epochs, 'epoch')}"


def _say(progress: bool, text: str):
    """Progress goes to stderr, so that stdout holds the result alone."""
    if progress:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _about(
    experiment: Experiment, grid: xr.Dataset, fresh: xr.Dataset, seconds: list[float], command: str | None
) -> About:
    problem = experiment.source.problem
    return About(
        epochs=experiment.epochs,
        seeds=experiment.seeds,
        fresh_seeds=experiment.fresh_seeds,
        num_train=problem.num_examples,
        num_valid=num_rows(problem.valid),
        num_test=num_rows(problem.test),
        splits=experiment.source.splits,
        model=experiment.source.model,
        examples_seen=sum(int(runs.examples.isel(epoch=-1).sum()) for runs in (grid, fresh)),
        stage_seconds=dict(zip(("grid", "fresh seeds", "clock"), seconds, strict=True)),
        versions=versions(),
        device=device_name(jax.devices()),
        cores=num_cores(),
        command=command or "jaxgd.compare(...)",
    )
