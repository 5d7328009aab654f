"""Which optimizer, batch size and learning rate: one call that trains them all and says what it found."""

import functools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from jaxgd.machine.interrupts import raised_sigterm
from jaxgd.specs.choices import Choices, check_choices, check_margin
from jaxgd.specs.presets import DEFAULT
from jaxgd.specs.sources import NO_ROLES, Source, source_of
from jaxgd.specs.wording import count_text
from jaxgd.studies.comparison.baselines import begin_imports, constant_predictor, linear_predictor
from jaxgd.studies.comparison.cells import chosen_rates
from jaxgd.studies.comparison.conclusions import Comparison, conclude_comparison
from jaxgd.studies.comparison.experiment import Experiment
from jaxgd.studies.comparison.interrupted import after_first_round, after_grid
from jaxgd.studies.comparison.rounds import run_rounds
from jaxgd.studies.comparison.stages import Chosen, run_cells, run_grid, time_cells
from jaxgd.tables.prepared import PreparedTable
from jaxgd.tables.roles import Roles, check_roles
from jaxgd.training import Problem
from jaxgd.training.fitting import check_epochs
from jaxgd.training.progress import tell

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


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
            is one point of accuracy, which has 1 at most); max(0.5 points, one test row) if None, 2 % of a
            loss.
        target: of a table, the column to predict.
        task: of a table, as in `jaxgd.table`; and so are the next three.
        drop: columns to leave out.
        group: a column; rows with one value in it come into one split.
        split: a column that says train, valid or test of each row.
        data: what to call the data in the report.
        progress: draw a progress bar and say on stderr what is going on.
        command: the command line to show in the report.

    Raises `ValueError` or `TypeError` for bad input before anything compiles. Ctrl-C and SIGTERM raise
    `jaxgd.Interrupted`: from the end of the first round on, its `result` is the comparison of the rounds that
    were complete, without the clock if that was not, and its warnings say so. Before, it is the `SweepResult`
    of the stage under way, some of whose runs were not run; `earlier["grid"]` is the grid if that was done.
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
    source = source_of(problem, data, roles)
    num_train = source.problem.num_examples
    check_epochs(choices.epochs, num_train)
    made = Experiment(
        source,
        choices.optimizers,
        choices.batch_sizes_of(num_train),
        choices.learning_rates,
        choices.epochs,
        choices.seeds,
        choices.margin,
    )
    check_margin(made.margin, made.score)
    return made


def run_comparison(
    experiment: Experiment, *, progress: bool = True, command: str | None = None
) -> Comparison:
    """The comparison of an experiment: grid, best rates on fresh seeds, clock, and what they say.

    Raises:
        Interrupted: see `compare`.
    """
    ticks, say = [time.perf_counter()], functools.partial(tell, progress)
    say(_announcement(experiment))
    imports = begin_imports()  # while programs compile
    with raised_sigterm():
        result = run_grid(experiment, progress)
        ticks.append(time.perf_counter())
        try:
            grid, chosen = result.dataset, chosen_rates(experiment, result.dataset)
            first = _first_round(experiment, chosen, progress, say)
        except KeyboardInterrupt as stop:
            raise after_grid(stop, result) from None
        del result  # its parameters
        ticks.append(time.perf_counter())
        made = functools.partial(conclude_comparison, experiment, grid, command)
        known: dict[str, Any] = {"clock": None, "constant": None, "linear": None}
        problem, score = experiment.source.problem, experiment.score
        try:
            known["constant"] = constant_predictor(problem, score)
            say("Each one alone, on the clock")
            imports.join()
            known["clock"] = time_cells(experiment, chosen)
            ticks.append(time.perf_counter())
            known["linear"] = linear_predictor(problem, score)
            ticks.append(time.perf_counter())
            rounds = run_rounds(experiment, chosen, first, known["clock"], known["constant"], progress, say)
            ticks.append(time.perf_counter())
            return made(rounds=rounds, ticks=ticks, **known)
        except KeyboardInterrupt as stop:
            raise after_first_round(stop, experiment, first, made, ticks, known) from None


def _first_round(experiment: Experiment, chosen: Chosen, progress: bool, say: Callable) -> "xr.Dataset":
    count = experiment.seeds.num_fresh
    say(f"The best rate of each on {count_text(count, 'fresh seed')}")
    return run_cells(experiment, chosen, experiment.places, experiment.seeds.fresh(0, count), progress)


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
