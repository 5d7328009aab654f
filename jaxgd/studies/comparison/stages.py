"""The three stages of a comparison: the grid of runs, the best rates on fresh seeds, and the clock."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgd.machine.interrupts import Interrupted
from jaxgd.specs.splits import num_rows
from jaxgd.studies.comparison.experiment import CellPlace, Experiment
from jaxgd.studies.comparison.quality import PREDICTION, with_predictions
from jaxgd.sweeps import SweepResult, plan, sweep
from jaxgd.sweeps.runs import Run
from jaxgd.sweeps.timing import time_alone
from jaxgd.training import Problem
from jaxgd.training.evaluation import example_scores
from jaxgd.training.states import NOT_RUN

if TYPE_CHECKING:
    import xarray as xr

# Timed calls of each cell, and about how long each takes.
_TURNS, _SECONDS = 5, 0.05

# The rate of each cell.
Chosen = Mapping[CellPlace, float]


def run_grid(experiment: Experiment, progress: bool) -> SweepResult:
    """Every optimizer, batch size, rate and tuning seed: history and status of each run."""
    axes = {
        "optimizer": experiment.optimizers,
        "batch_size": experiment.batch_sizes,
        "rate": range(experiment.num_rates),
        "seed": experiment.seeds.tuning,
    }

    def make_trainer(hp):
        rate = experiment.learning_rates[hp.optimizer][hp.rate]
        return experiment.trainer(CellPlace(hp.optimizer, hp.batch_size), rate)

    try:
        return _with_rates(experiment, _sweep_apart(make_trainer, axes, experiment.epochs, progress))
    except Interrupted as stop:
        stop.result = _with_rates(experiment, stop.result)
        raise


def _with_rates(experiment: Experiment, grid: SweepResult) -> SweepResult:
    rates = [experiment.learning_rates[name] for name in experiment.optimizers]
    dataset = grid.dataset.assign_attrs(num_train=experiment.num_train)
    dataset = dataset.assign_coords(learning_rate=(("optimizer", "rate"), rates))
    return dataclasses.replace(grid, dataset=dataset)


def run_cells(
    experiment: Experiment, chosen: Chosen, places: Sequence[CellPlace], seeds: range, progress: bool
) -> "xr.Dataset":
    """These cells, each at its rate, on these seeds, among all cells: those not asked for are not run.

    Beside history and status of each run: `test_<score>`, `test_scores`, the score of each test example, and
    `learning_rate`, which every cell has, [optimizer, batch size].
    """
    axes = {"cell": [place._asdict() for place in places], "seed": seeds}

    def make_trainer(hp):
        place = CellPlace(hp.optimizer, hp.batch_size)
        return experiment.trainer(place, chosen[place])

    result = _sweep_apart(make_trainer, axes, experiment.epochs, progress)
    counts = ["updates", "examples"]
    found = result.dataset.assign(_test_scores(experiment, result)).reset_coords(counts)
    index = [experiment.index(place) for place in places]
    spread = {str(name): _spread(experiment, index, column) for name, column in found.data_vars.items()}
    rates = [
        [chosen[CellPlace(name, size)] for size in experiment.batch_sizes] for name in experiment.optimizers
    ]
    spread["learning_rate"] = (("optimizer", "batch_size"), rates)
    coords = {
        "optimizer": list(experiment.optimizers),
        "batch_size": [_as_number(experiment, size) for size in experiment.batch_sizes],
        "seed": list(seeds),
        "epoch": found.epoch.values,
    }
    import xarray

    return xarray.Dataset(spread, coords, {"num_train": experiment.num_train}).set_coords(counts)


def _as_number(experiment: Experiment, size: int | str) -> int:
    return experiment.num_train if isinstance(size, str) else size


def _spread(experiment: Experiment, index: Sequence[tuple[int, int]], column: "xr.DataArray") -> Any:
    """A variable of some cells as one of all: NaN, 0 or "not run" at the others."""
    shape = len(experiment.optimizers), len(experiment.batch_sizes), *column.shape[1:]
    empty = {"f": np.nan, "i": 0}.get(column.dtype.kind, NOT_RUN)
    values = np.full(shape, empty, object if empty == NOT_RUN else column.dtype)
    values[tuple(np.transpose(index))] = column.values
    dims = ("optimizer", "batch_size", *column.dims[1:])
    return dims, values.astype(str) if empty == NOT_RUN else values


def _sweep_apart(make_trainer: Callable, axes: dict, epochs: int, progress: bool) -> SweepResult:
    """The sweep one lane at a time, nothing merged: the three stages run the same programs, compiled once."""
    apart = plan(make_trainer, axes, epochs, merge=False, generalize=False, width=1)
    return sweep(make_trainer, axes, epochs, progress=progress, plan=apart)


def time_cells(experiment: Experiment, chosen: Chosen) -> "xr.Dataset":
    """Seconds and bytes per update of each (optimizer, batch size), run alone; all take turns.

    `seconds_by_turn`: [optimizer, batch size, turn], of an update.
    """
    places = experiment.places
    runs = [Run(i, experiment.trainer(place, chosen[place]), 0) for i, place in enumerate(places)]
    timed = time_alone(runs, experiment.epochs, _TURNS, _SECONDS)
    shape = len(experiment.optimizers), len(experiment.batch_sizes)
    seconds = timed.seconds.reshape(*shape, _TURNS)
    sizes = [_as_number(experiment, size) for size in experiment.batch_sizes]
    per_update, dims = np.median(seconds, axis=-1), ("optimizer", "batch_size")
    variables = {
        "seconds_per_update": (dims, per_update),
        "examples_per_second": (dims, np.array(sizes) / per_update),
        "bytes": (dims, timed.bytes.reshape(shape)),
        "seconds_by_turn": ((*dims, "turn"), seconds),
    }
    coords = {"optimizer": list(experiment.optimizers), "batch_size": sizes}
    import xarray

    return xarray.Dataset(variables, coords, {"num_train": experiment.num_train})


def no_clock(experiment: Experiment) -> "xr.Dataset":
    """What `time_cells` gives, of updates that were not timed: NaN, and no turns."""
    import xarray

    shape, dims = (len(experiment.optimizers), len(experiment.batch_sizes)), ("optimizer", "batch_size")
    names = "seconds_per_update", "examples_per_second", "bytes"
    variables: dict[str, Any] = {name: (dims, np.full(shape, np.nan)) for name in names}
    variables["seconds_by_turn"] = ((*dims, "turn"), np.zeros((*shape, 0)))
    sizes = [_as_number(experiment, size) for size in experiment.batch_sizes]
    coords = {"optimizer": list(experiment.optimizers), "batch_size": sizes}
    return xarray.Dataset(variables, coords, {"num_train": experiment.num_train})


def _test_scores(experiment: Experiment, result: SweepResult) -> dict[str, Any]:
    """`test_<metric>` of every run, scores and predictions of every example; NaN where it diverged."""
    problem, status = with_predictions(experiment.source.problem), result.dataset.status
    lost = (status == "diverged").values.reshape(-1)
    found = [
        None if bad else _scores_of(problem, *state) for bad, state in zip(lost, result.states, strict=True)
    ]
    nothing = {name: np.full(num_rows(problem.test), np.nan) for name in ("loss", *problem.metrics)}
    rows = {
        name: np.stack([(each or nothing)[name] for each in found]).reshape(*status.shape, -1)
        for name in nothing
    }
    variables = {f"test_{name}": (status.dims, values.mean(-1, dtype=float)) for name, values in rows.items()}
    variables["test_scores"] = ((*status.dims, "example"), rows[experiment.score])
    if variables.pop(f"test_{PREDICTION}", None):
        variables["test_predictions"] = ((*status.dims, "example"), rows[PREDICTION])
    return variables


def _scores_of(problem: Problem, params: Any, model_state: Any) -> dict[str, np.ndarray]:
    found = example_scores(problem, params, "test", model_state)
    return {name: np.asarray(rows) for name, rows in found.items()}
