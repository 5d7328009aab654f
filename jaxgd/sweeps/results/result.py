"""What a sweep gives: a labelled dataset, the trained parameters, and the plan that was followed."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgd.html_text import card
from jaxgd.sweeps.axes import Point, label
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.results.clocked import missing_trainers, with_clock
from jaxgd.sweeps.results.exports import to_csv, to_netcdf, to_pandas
from jaxgd.sweeps.results.ranking import Best, best_point
from jaxgd.sweeps.results.saving import put, taken
from jaxgd.sweeps.results.selection import as_given, run_index
from jaxgd.training.states import NOT_RUN
from jaxgd.training.trainers import Trainer

if TYPE_CHECKING:
    import xarray


# What a notebook shows: so many values of an axis, and the best point by the first of these that there is.
_MOST_VALUES = 8
_LOOKED_AT = ("valid_accuracy", "valid_loss", "train_loss")


@dataclasses.dataclass(frozen=True, repr=False)
class SweepResult:
    """The result of a sweep.

    Attributes:
        dataset: an `xarray.Dataset` whose dimensions are the axes in their order, then `epoch` (from 1). Its
            variables are every entry of a run's history, `status` (a word) and `stopped_at` (the update, from
            0, at which a run diverged; -1 if it did not). Where runs end with their best, `kept_epoch` is the
            epoch that their parameters are of, -1 if it is the last. A run that had not ended when the sweep
            was interrupted has the status "not run", NaN in its history and counts of 0. The coordinate of
            the batch size "full" is the number of training examples. The coordinate of values of several
            kinds, such as None and 0.5, has dtype object; a number of NumPy's or JAX's of less than 64 bits
            is its shortest decimal.
        plan: the programs that ran.
        axes: the values of each axis as they were given.
        states: parameters and model state of each run, in the order of the grid, the last axis fastest; None
            for one that was not run. A sequence, which makes a state when it is asked for.
        spec: the description of the sweep that a file gave, None for one that was called from Python.
        data_sha256: SHA-256 of the splits of each problem, where they were computed.
        make_trainer: what the sweep called with each point; None where the result was loaded, or
            is of a function. A pickle leaves it out.
    """

    dataset: "xarray.Dataset"
    plan: Plan
    axes: Mapping[str, Sequence[Any]]
    states: Sequence[Any]
    spec: Mapping[str, Any] | None = None
    data_sha256: Sequence[str] = ()
    make_trainer: Callable[[Point], Trainer] | None = None

    @property
    def num_ended(self) -> int:
        """How many runs ended: all, unless the sweep was interrupted."""
        return int((self.dataset["status"] != NOT_RUN).sum())

    def params(self, **coords: Any) -> Any:
        """The trained parameters of one run, by a value for every axis that has more than one.

        A coordinate along an axis serves in its place where one run has it: `learning_rate=0.013` where the
        axis is a list of points that each hold a rate. Two numbers are compared in the coarser of their
        precisions: 0.001 and `np.float32(0.001)` are one rate.

        Raises:
            ValueError: an axis or a value that the sweep does not have, an axis that is not given, or a run
                that was not run.
        """
        return self._state(coords)[0]

    def model_state(self, **coords: Any) -> Any:
        """The model state that belongs to one run's parameters, None without one; as `params`."""
        return self._state(coords)[1]

    def _state(self, coords: Mapping[str, Any]) -> tuple[Any, Any]:
        index = run_index(self.dataset, self.axes, coords)
        state = self.states[index]
        if state is None:
            where = ", ".join(f"{name}={label(value)!r}" for name, value in coords.items())
            how = str(self.dataset.status.values.ravel()[index])
            if how == NOT_RUN:
                how = "was not run: the sweep was interrupted before it ended"
            raise ValueError(f"the run at ({where}) {how}")
        return state

    def best(
        self,
        metric: str = "valid_loss",
        over: str | Sequence[str] | None = None,
        mode: str | None = None,
        at: str = "last",
    ) -> Best:
        """The point with the best mean of a metric; `result.params(**best.coords, seed=0)` is a run of it.

        A point of which a run diverged, or was not run, is worse than any other. A run that stopped keeps the
        value of its last epoch. No claim from one seed: the spread says how far its runs lie apart.

        Args:
            metric: a variable of the dataset.
            over: the axes that are averaged over; `seed` if None and there is one.
            mode: "min" or "max"; None knows losses, errors, norms, counts and accuracies.
            at: "last" for the value that the runs' parameters have: of their last epoch or, where
                `early_stopping` restored the best, of that. "best" for the epoch in which the mean is best.

        Raises:
            ValueError: an unknown metric, axis or word; no point without a run that diverged or was not run.
        """
        found = best_point(self.dataset, metric, over, mode, at)
        coords = {name: as_given(self.axes, name, value) for name, value in found.coords.items()}
        return found._replace(coords=coords)

    def clocked(self, make_trainer: Callable[[Point], Trainer] | None = None) -> "SweepResult":
        """This result with the coordinate `seconds`, measured now; the given one stays as it is.

        Updates of each program and batch size are timed alone, warm and without validation, as
        `sweep(..., clock=True)` does at its end: about a twentieth of what the runs took, and a program of
        one lane at a time is compiled where there is none.

        Args:
            make_trainer: what the sweep was called with, for a result that was loaded: it gets each point
                with its values as the dataset shows them.

        Raises:
            ValueError: the result was loaded, and `make_trainer` is not given; it makes other trainers than
                the sweep had; it is the result of a function.
        """
        make = self.make_trainer if make_trainer is None else make_trainer
        if make is None:
            raise ValueError(missing_trainers(self.plan, self.spec))
        dataset, plan = with_clock(self.dataset, self.plan, self.axes, make)
        return dataclasses.replace(self, dataset=dataset, plan=plan)

    def save(self, folder: str | os.PathLike) -> None:
        """Write the result into a folder, for `jaxgd.load`: dataset, parameters and model states, plan.

        The folder is made if missing; an earlier save in it is replaced. Whatever stops it, the folder holds
        the earlier save or this one, whole. Other files there stay.

        Raises:
            TypeError: parameters or attributes that are neither numbers nor text; nothing is written then.
            ValueError: no name of a folder.
            FileExistsError: the folder has a `manifest.json` that is not of a saved sweep.
            OSError: the folder cannot be written.
        """
        put(folder, self.dataset, self.plan, self.axes, self.states, self.spec, self.data_sha256)

    def to_pandas(self) -> Any:
        """A tidy `pandas.DataFrame`: a row for each run and epoch, a column for each axis and variable."""
        return to_pandas(self.dataset)

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write the table of `to_pandas` to a CSV file, for a spreadsheet, as a whole or not at all.

        A text that begins with = + - @, a tab or the end of a line gets an apostrophe before it, so that no
        spreadsheet takes it for a formula; numbers stay numbers.

        Raises:
            OSError: the file cannot be written.
        """
        to_csv(self.dataset, path)

    def to_netcdf(self, path: str | os.PathLike) -> None:
        """Write the dataset to a netCDF file, for other programs: by netCDF4, h5netcdf or SciPy.

        Attributes that netCDF cannot hold become JSON. SciPy writes netCDF 3, whose whole numbers have 32
        bits.

        Raises:
            ValueError: a number that needs more than 32 bits where only SciPy is installed.
        """
        to_netcdf(self.dataset, path)

    def __getstate__(self):
        return {**vars(self), "make_trainer": None}  # mostly a function without a name

    def __repr__(self):
        sizes = " x ".join(f"{name} {len(values)}" for name, values in self.axes.items())
        return f"SweepResult({sizes}; {self.dataset.sizes['epoch']} epochs; {self._status_text})"

    @property
    def _status_text(self) -> str:
        """Such as "7 completed, 1 diverged"."""
        words, counts = np.unique(self.dataset["status"].values, return_counts=True)
        return ", ".join(f"{count} {word}" for word, count in zip(words, counts, strict=True))

    def _repr_html_(self) -> str:
        rows = [(name, _values_text(values)) for name, values in self.axes.items()]
        rows += [("status", self._status_text), *_best_row(self), ("plan", self.plan.title)]
        names = ", ".join(str(name) for name in self.dataset.data_vars)
        return card("SweepResult", rows, notes=[f"dataset: {names}"])


def _values_text(values: Sequence[Any]) -> str:
    """Values of an axis, without those in the middle of many."""
    texts = [str(label(value)) for value in values]
    if len(texts) > _MOST_VALUES:
        texts = [*texts[: _MOST_VALUES - 1], "...", texts[-1]]
    count = f" ({len(values)})" if len(values) > 1 else ""
    return ", ".join(texts) + count


def _best_row(result: SweepResult) -> list[tuple[str, str]]:
    """The best point by the metric that is looked at first; none where no point has a score."""
    metric = next((name for name in _LOOKED_AT if name in result.dataset), "")
    try:
        best = result.best(metric)
    except ValueError:
        return []
    where = ", ".join(f"{name} {label(value)}" for name, value in best.coords.items())
    return [(f"best {metric}", f"{best.value:.4g}{', at ' if where else ''}{where}")]


def load(folder: str | os.PathLike, like: Any = None) -> SweepResult:
    """The result that `SweepResult.save` wrote into a folder.

    Its axes are the labels that the dataset shows: an optimizer that was given as a function is its name.

    Args:
        folder: where it was saved.
        like: for models whose parameters are nodes of another library, such as an `nnx.State`: the problem,
            or parameters of the same structure. NamedTuples get their own class from it too.

    Raises:
        FileNotFoundError: there is no saved sweep.
        ValueError: a file is missing, damaged, from another save or from a newer version.

    Example:
        >>> result.save("digits-sweep")
        >>> result = jaxgd.load("digits-sweep")
    """
    return SweepResult(*taken(folder, like))
