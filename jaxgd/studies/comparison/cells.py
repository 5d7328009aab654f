"""The cells of a comparison, one per (optimizer, batch size): choosing each one's rate, and what is known of
it.

Choice and judgement use different data. The rate of a cell comes from the tuning seeds and the validation
split; cells are ordered by the validation scores of fresh seeds; verdicts come from the test scores of the
fresh seeds.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jaxgd.studies.comparison.experiment import CellPlace, Experiment
from jaxgd.training.states import NOT_RUN, WITHOUT_SCORE

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Cell:
    """One optimizer at one batch size, at the rate chosen for it. Scores are NaN if one of their runs
    diverged.
    """

    optimizer: str
    batch_size: int
    learning_rate: float
    seeds: int  # fresh seeds that were run
    chance: bool  # whether runs of different seeds differ at all
    tuning_valid: float  # mean validation score of the tuning seeds, at the rate that they chose
    valid: float  # mean validation score of the fresh seeds: cells are ordered by it
    test: float  # mean test score of the fresh seeds, then its 95 % interval over seeds and test rows
    test_low: float
    test_high: float
    gap: float  # by how much it is better than the best of the others on test data, then the interval of it
    gap_low: float
    gap_high: float
    bound: float  # a lower one of the gap; above minus the margin the cell is as good, with 95 % for all
    verdict: str  # "better", "as good", "worse", "cannot tell" or "no verdict"
    updates: int  # of one run
    examples: int  # of one run, repeats counted
    seconds: float  # of one run, alone on the device and compiled; NaN where it was not timed
    bytes: int  # that one update needs; 0 where it was not timed
    diverged: int  # fresh seeds that diverged
    seconds_by_turn: tuple[float, ...] = ()  # of one run, by each timed call

    @property
    def is_as_good(self) -> bool:
        """Whether it is shown to be as good as the best, or better."""
        return self.verdict in ("better", "as good")


def higher_is_better(score: str) -> bool:
    """Whether a larger value of the score is better: every score but the loss."""
    return score != "loss"


def sign_of(score: str) -> int:
    """1 where a larger value of the score is better, -1 where a smaller one is."""
    return 1 if higher_is_better(score) else -1


def final_scores(dataset: "xr.Dataset", score: str, split: str = "valid") -> "xr.DataArray":
    """Each run's score after its last epoch (NaN where it diverged or was not run)."""
    values = dataset[f"{split}_{score}"]
    values = values.isel(epoch=-1) if "epoch" in values.dims else values
    return values.where(~dataset.status.isin(WITHOUT_SCORE))


def best_rates(grid: "xr.Dataset", score: str) -> "xr.DataArray":
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
    import xarray

    return xarray.DataArray(chosen, coords, ("optimizer", "batch_size"))


def chosen_rates(experiment: Experiment, grid: "xr.Dataset") -> dict[CellPlace, float]:
    """The best rate of each cell."""
    best = best_rates(grid, experiment.score).values
    return {
        place: experiment.learning_rates[place.optimizer][best[experiment.index(place)]]
        for place in experiment.places
    }


def ran(runs: "xr.Dataset") -> "xr.Dataset":
    """The seeds that a cell was run on, of its runs."""
    return runs.isel(seed=(runs.status != NOT_RUN).values)


def first_round(fresh: "xr.Dataset") -> "xr.Dataset":
    """The seeds that every cell was run on."""
    return fresh.isel(seed=(fresh.status != NOT_RUN).all(["optimizer", "batch_size"]).values)


def order_of(fresh: "xr.Dataset", score: str) -> list[tuple[int, int]]:
    """Where every cell is, best first by the fresh seeds' validation score; those that diverged last."""
    badness, status = _badness(fresh, score).values, fresh.status.values
    lost = (status == "diverged").any(-1)
    return sorted(np.ndindex(*lost.shape), key=lambda cell: (bool(lost[cell]), *badness[cell].tolist()))


def _badness(runs: "xr.Dataset", score: str) -> "xr.DataArray":
    """What to minimise, along a new dim "key": the score, turned so that less is better, then the loss.

    Means over the seeds that were run, infinite if one of them diverged.
    """
    import xarray

    lost = (runs.status == "diverged").any("seed")
    keys = [-sign_of(key) * final_scores(runs, key) for key in (score, "loss")]
    stacked = xarray.concat([key.mean("seed").where(~lost) for key in keys], "key", coords="minimal")
    return stacked.fillna(np.inf).transpose(..., "key")
