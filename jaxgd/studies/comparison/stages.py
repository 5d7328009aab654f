"""The three stages of a comparison: the grid of runs, the best rates on fresh seeds, and the clock."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from jaxgd.optim import optimizers as named
from jaxgd.specs.presets import Rates
from jaxgd.specs.sources import Source
from jaxgd.studies.comparison.cells import best_rates
from jaxgd.sweeps import SweepResult, plan, sweep, throughput
from jaxgd.training import Problem, Trainer, evaluate, trainer


@dataclass(frozen=True)
class Experiment:
    """What a comparison will run, checked."""

    source: Source
    optimizers: tuple[str, ...]
    batch_sizes: tuple[int | str, ...]
    learning_rates: dict[str, Rates]
    epochs: int
    seeds: int
    fresh_seeds: int

    @property
    def score(self) -> str:
        """What decides: the accuracy where the problem has one, else the loss."""
        return "accuracy" if "accuracy" in self.source.problem.metrics else "loss"

    @property
    def fresh(self) -> range:
        """The seeds of the rerun, none of which the grid has used."""
        return range(self.seeds, self.seeds + self.fresh_seeds)

    @property
    def num_train(self) -> int:
        """How many training examples there are: the batch size that figures call full."""
        return self.source.problem.num_examples

    @property
    def num_rates(self) -> int:
        """How many rates each optimizer tries."""
        return len(self.learning_rates[self.optimizers[0]])

    def trainer(self, optimizer: str, batch_size: int | str, learning_rate: float) -> Trainer:
        """The trainer of one run."""
        return trainer(self.source.problem, getattr(named, optimizer)(learning_rate), batch_size)


def run_grid(experiment: Experiment, progress: bool) -> xr.Dataset:
    """Every optimizer, batch size, rate and seed: history and status of each run."""
    axes = {
        "optimizer": experiment.optimizers,
        "batch_size": experiment.batch_sizes,
        "rate": range(experiment.num_rates),
        "seed": range(experiment.seeds),
    }

    def make_trainer(hp):
        return experiment.trainer(
            hp.optimizer, hp.batch_size, experiment.learning_rates[hp.optimizer][hp.rate]
        )

    grid = _sweep_apart(make_trainer, axes, experiment.epochs, progress).dataset
    rates = [experiment.learning_rates[name] for name in experiment.optimizers]
    grid = grid.assign_attrs(num_train=experiment.num_train)
    return grid.assign_coords(learning_rate=(("optimizer", "rate"), rates))


def rerun_best(experiment: Experiment, grid: xr.Dataset, progress: bool) -> xr.Dataset:
    """The best rate of each (optimizer, batch size) on fresh seeds, scored on the test split."""
    best = best_rates(grid, experiment.score)
    rates = grid.learning_rate.isel(rate=best).transpose("optimizer", "batch_size")
    axes = {
        "optimizer": experiment.optimizers,
        "batch_size": experiment.batch_sizes,
        "seed": experiment.fresh,
    }
    chosen = _by_place(experiment, rates.values)
    result = _sweep_apart(
        lambda hp: experiment.trainer(hp.optimizer, hp.batch_size, chosen[hp.optimizer, hp.batch_size]),
        axes,
        experiment.epochs,
        progress,
    )
    fresh = result.dataset.assign(learning_rate=(("optimizer", "batch_size"), rates.values))
    fresh = fresh.assign_attrs(num_train=experiment.num_train)
    return fresh.assign(_test_scores(experiment.source.problem, axes, result))


def _sweep_apart(make_trainer: Callable, axes: dict, epochs: int, progress: bool) -> SweepResult:
    """The sweep with nothing merged: the three stages then run the same programs, compiled once."""
    apart = plan(make_trainer, axes, epochs, merge=False, generalize=False)
    return sweep(make_trainer, axes, epochs, progress=progress, plan=apart, clock=False)


def time_cells(experiment: Experiment, fresh: xr.Dataset) -> xr.Dataset:
    """Seconds and bytes per update of each (optimizer, batch size), run alone.

    Attribute `seconds_by_turn`: [optimizer][batch size][turn], of an update.
    """
    chosen = _by_place(experiment, fresh.learning_rate.values)

    def clock(name: str) -> xr.Dataset:
        timed = throughput(
            lambda hp: experiment.trainer(name, hp.batch_size, chosen[name, hp.batch_size]),
            experiment.batch_sizes,
            epochs=experiment.epochs,
        )
        return timed.expand_dims(optimizer=[name])

    clocks = [clock(name) for name in experiment.optimizers]
    turns = [timed.attrs["seconds_by_turn"] for timed in clocks]
    timed = xr.concat(clocks, "optimizer")
    return timed.assign_attrs(seconds_by_turn=turns, num_train=experiment.num_train)


def _by_place(experiment: Experiment, values: np.ndarray) -> dict:
    """Values of [optimizer, batch size] by their names."""
    return {
        (optimizer, batch_size): float(values[i, j])
        for i, optimizer in enumerate(experiment.optimizers)
        for j, batch_size in enumerate(experiment.batch_sizes)
    }


def _test_scores(problem: Problem, axes: dict, result: SweepResult) -> dict:
    """test_loss and test_<metric> of every run; NaN where it diverged."""
    shape = tuple(len(values) for values in axes.values())
    names = ["loss", *problem.metrics]
    scores = {name: np.full(shape, np.nan) for name in names}
    for index in np.ndindex(*shape):
        place = {name: values[i] for (name, values), i in zip(axes.items(), index, strict=True)}
        if result.dataset.status.values[index] != "diverged":
            measured = evaluate(problem, result.params(**place), "test")
            for name in names:
                scores[name][index] = float(measured[name])
    return {f"test_{name}": (tuple(axes), values) for name, values in scores.items()}
