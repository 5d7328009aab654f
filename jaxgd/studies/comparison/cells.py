"""The cells of a comparison, one per (optimizer, batch size): choosing each one's rate, and ranking them.

Selection and judgement use different data. The rate of a cell and the order of the cells come from the grid's
seeds and the validation split; what is said about them comes from fresh seeds and the test split. So the test
score of the first cell is not flattered by having been picked.

The first cell is called better than all others only if every paired interval against it excludes 0. That
claim needs no correction for the number of cells: it is false whenever one of them is as good, and then that
one's interval includes 0 with a chance of 95 % (an intersection-union test; Berger 1982). A statement about a
single other cell is one interval at 95 %, not corrected either: correcting would widen it and call more cells
indistinguishable.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from jaxgd.studies.intervals import paired_interval, t_interval


@dataclass(frozen=True)
class Cell:
    """One optimizer at one batch size, at the rate chosen for it."""

    optimizer: str
    batch_size: int
    learning_rate: float
    valid: float  # mean over the grid's seeds of the final validation score; NaN if one diverged
    test: float  # mean over the fresh seeds of the test score; NaN if one diverged
    test_halfwidth: float  # of its 95 % t interval
    updates: int  # of one run
    examples: int  # of one run, repeats counted
    seconds: float  # of one run, alone on the device and compiled
    bytes: int  # that one update needs
    diverged: int  # fresh seeds that diverged
    difference: float  # test score minus that of the first cell, paired over the fresh seeds
    difference_halfwidth: float
    indistinguishable: bool  # from the first cell: the interval of the difference includes 0
    seconds_by_turn: tuple[float, ...] = ()  # of one run, by each timed call


def higher_is_better(score: str) -> bool:
    """Whether a larger value of the score is better: every score but the loss."""
    return score != "loss"


def final_scores(dataset: xr.Dataset, score: str, split: str = "valid") -> xr.DataArray:
    """Each run's score after its last epoch (NaN where it diverged)."""
    values = dataset[f"{split}_{score}"]
    values = values.isel(epoch=-1) if "epoch" in values.dims else values
    return values.where(dataset.status != "diverged")


def best_rates(grid: xr.Dataset, score: str) -> xr.DataArray:
    """The index of the best rate of each (optimizer, batch size), by the mean validation score over seeds.

    A rate at which any seed diverged counts as worst. Equal accuracies, common on small data, are decided by
    the validation loss, then for the smaller rate. Where every rate diverged, the smallest.
    """
    badness = _badness(grid, score).transpose("optimizer", "batch_size", "rate", "key")
    by_rate = np.argsort(grid.learning_rate.values, axis=-1, kind="stable")
    chosen = np.zeros(badness.shape[:2], int)
    for cell in np.ndindex(*chosen.shape):
        chosen[cell] = min(by_rate[cell[0]], key=lambda rate: tuple(badness.values[cell][rate]))
    coords = {"optimizer": grid.optimizer.values, "batch_size": grid.batch_size.values}
    return xr.DataArray(chosen, coords, ("optimizer", "batch_size"))


def rank_cells(grid: xr.Dataset, fresh: xr.Dataset, clock: xr.Dataset, score: str) -> list[Cell]:
    """Every cell, best first by the grid's validation score; cells with a diverged fresh seed come last."""
    rates = best_rates(grid, score)
    badness = _badness(grid, score).isel(rate=rates)
    valid = final_scores(grid, score).mean("seed", skipna=False).isel(rate=rates)

    def rank(place: dict) -> tuple:
        return _num_diverged(fresh, place) > 0, *badness.sel(place).values.tolist()

    places = [
        {"optimizer": o, "batch_size": b} for o in grid.optimizer.values for b in grid.batch_size.values
    ]
    places.sort(key=rank)
    test = final_scores(fresh, score, "test")
    reference = test.sel(places[0])
    return [_cell(p, float(valid.sel(p)), test.sel(p), reference, fresh, clock) for p in places]


def _badness(grid: xr.Dataset, score: str) -> xr.DataArray:
    """What to minimise, along a new dim "key": the score, turned so that less is better, then the loss.

    Means over seeds, infinite if one of them diverged.
    """
    sign = -1 if higher_is_better(score) else 1
    keys = [sign * final_scores(grid, score), final_scores(grid, "loss")]
    stacked = xr.concat([key.mean("seed", skipna=False) for key in keys], "key", coords="minimal")
    return stacked.fillna(np.inf).transpose(..., "key")


def _num_diverged(fresh: xr.Dataset, place: dict) -> int:
    return int((fresh.status.sel(place) == "diverged").sum())


def _by_turn(updates: int, clock: xr.Dataset, place: dict) -> tuple[float, ...]:
    """Seconds of so many updates by each timed call; empty where the clock has kept none."""
    if "seconds_by_turn" not in clock.attrs:
        return ()
    row, column = (clock[name].values.tolist().index(place[name]) for name in ("optimizer", "batch_size"))
    return tuple(updates * seconds for seconds in clock.attrs["seconds_by_turn"][row][column])


def _cell(place: dict, valid: float, test, reference, fresh: xr.Dataset, clock: xr.Dataset) -> Cell:
    own = t_interval(test.values)
    difference = paired_interval(test.values, reference.values)
    runs, timing = fresh.sel(place), clock.sel(place)
    updates = int(runs.updates.isel(epoch=-1).max())
    return Cell(
        optimizer=str(place["optimizer"]),
        batch_size=int(place["batch_size"]),
        learning_rate=float(runs.learning_rate),
        valid=valid,
        test=own.mean,
        test_halfwidth=own.halfwidth,
        updates=updates,
        examples=int(runs.examples.isel(epoch=-1).max()),
        seconds=updates * float(timing.seconds_per_update),
        bytes=int(timing.bytes),
        diverged=_num_diverged(fresh, place),
        difference=difference.mean,
        difference_halfwidth=difference.halfwidth,
        indistinguishable=difference.includes_zero,
        seconds_by_turn=_by_turn(updates, clock, place),
    )
