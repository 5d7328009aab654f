"""What figures of a sweep are drawn from: its scores as labelled arrays, and scales and names for them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from jaxgd.arguments import one_of
from jaxgd.reports.scales import ScoreScale, rounded, score_scale
from jaxgd.reports.style import base_layout
from jaxgd.sweeps import SweepResult
from jaxgd.sweeps.results.ranking import (
    axes_over,
    better,
    check_metric,
    final_places,
    tells_better,
    values_and_ends,
)
from jaxgd.sweeps.results.selection import linked_names, places_of
from jaxgd.training.states import NOT_RUN

# The dimension of the runs that are averaged over; no axis of a sweep has this name.
RUN = "averaged over"
CLOCKS = ("updates", "examples", "seconds")  # beside the epochs, as far as a dataset has them


@dataclass(frozen=True)
class Scores:
    """A metric of a sweep, or of a part of it.

    metric: its name. sign: 1 where less is better, -1 where more is. given: the values of every axis as they
    were given. full: the batch size that is all training examples, None if it is not known. names: what a
    figure can show along an axis: the axes that are not averaged over, and coordinates along them. scale: for
    the values of the whole. runs: [*axes, RUN, epoch], NaN from where a run diverged, its last value where it
    stopped before. ends: [*axes, RUN], the place of a run's last epoch. final: [*axes, RUN], the value that a
    run's parameters have, NaN where it diverged. not_run: [*axes, RUN], whether it was not run. clocks:
    [*axes, RUN, epoch] each, epochs first.
    """

    metric: str
    sign: int
    given: Mapping[str, Sequence[Any]]
    full: int | None
    names: Sequence[str]
    scale: ScoreScale
    runs: xr.DataArray
    ends: xr.DataArray
    final: xr.DataArray
    not_run: xr.DataArray
    clocks: Mapping[str, xr.DataArray]

    @cached_property
    def last(self) -> xr.DataArray:
        """The mean over the runs as they ended: [*axes], NaN where a run diverged or was not run."""
        return self.final.mean(RUN, skipna=False)

    @cached_property
    def badness(self) -> xr.DataArray:
        """What is least where the mean is best: [*axes], infinite where a run diverged or was not run."""
        return (self.sign * self.last).fillna(np.inf)

    @property
    def is_missing(self) -> xr.DataArray:
        """Where a mean is not known only because runs were not run: [*axes]."""
        lost = self.final.isnull() & ~self.not_run
        return self.not_run.any(RUN) & ~lost.any(RUN)

    @property
    def axes(self) -> list[str]:
        """The axes that are not averaged over."""
        return [str(name) for name in self.last.dims]

    @property
    def varied(self) -> list[str]:
        """The axes with several values."""
        return [name for name in self.axes if self.last.sizes[name] > 1]

    @property
    def varied_names(self) -> list[str]:
        """Of the names those with several values."""
        return [name for name in self.names if len(set(self.column(name).tolist())) > 1]

    def isel(self, places: Mapping[str, Any]) -> "Scores":
        """The part at some places along axes."""
        return self._each(lambda array: array.isel(places))

    def at_best(self, *kept: str) -> "Scores":
        """The best point at each place of some axes, the only axes of the result."""
        others = [name for name in self.axes if name not in kept]
        badness = self.badness.transpose(*kept, *others).values
        shape = badness.shape[: len(kept)]
        least = badness.reshape(*shape, -1).argmin(axis=-1)
        found = np.unravel_index(least, badness.shape[len(kept) :]) if others else ()
        places = {name: xr.DataArray(at, dims=kept) for name, at in zip(others, found, strict=True)}
        return self._each(lambda array: array.isel(places).transpose(*kept, ...))

    def part(self, where: Mapping[str, Any]) -> "Scores":
        """The part with these coordinates, without the axes along which they leave one place."""
        places = {name: self.places(name, value) for name, value in where.items() if name in self.axes}
        return self.isel({name: at[0] if len(at) == 1 else at for name, at in places.items()})

    def places(self, axis: str, value: Any) -> list[int]:
        """The places along an axis that have a value; ValueError where none has it."""
        labelled: Any = self.last
        return places_of(labelled, axis, self.given[axis], axis, value)

    def column(self, name: str) -> np.ndarray:
        """The coordinate of every point, in the order of `last.values.ravel()`."""
        return self.last[name].broadcast_like(self.last).transpose(*self.last.dims).values.ravel()

    def labels(self, name: str, values: Any) -> list[str]:
        """How values of an axis are written: a batch size that was given as "full" by that word."""
        is_size = name == "batch_size" and self.full is not None
        return ["full" if is_size and value == self.full else _text(value) for value in values]

    @property
    def texts(self) -> np.ndarray:
        """The coordinates of every point in words, [*axes]: "optimizer adam, batch_size 32"."""
        columns = [self.labels(name, self.column(name)) for name in self.names]
        rows = zip(*columns, strict=True) if columns else [()] * self.last.size
        texts = [", ".join(f"{n} {text}" for n, text in zip(self.names, row, strict=True)) for row in rows]
        return np.array(texts, object).reshape(self.last.shape)

    def _each(self, function: Callable) -> "Scores":
        clocks = {name: function(clock) for name, clock in self.clocks.items()}
        arrays = {name: function(getattr(self, name)) for name in ("runs", "ends", "final", "not_run")}
        return replace(self, clocks=clocks, **arrays)


def scores_of(
    data: SweepResult | xr.Dataset,
    metric: str | None = None,
    over: Any = None,
    mode: str | None = None,
    where: Mapping[str, Any] | None = None,
) -> Scores:
    """The scores of a metric at every point, averaged over some axes.

    Coordinates along the axes that are averaged over choose runs; those along others choose a part of the
    result, see `Scores.part`, and are checked.

    Raises:
        ValueError: an unknown metric, axis, coordinate or mode.
    """
    dataset, where = (data if isinstance(data, xr.Dataset) else data.dataset), where or {}
    given, axes = _given(data), [str(name) for name in dataset.status.dims]
    over = axes_over(over, axes)
    for name, value in where.items():
        places = places_of(dataset, one_of("axis", name, axes), given[name], name, value)
        dataset = dataset.isel({name: places}) if name in over else dataset
    metric = default_metric(dataset) if metric is None else metric
    check_metric(dataset, metric)
    kept = [name for name in axes if name not in over]
    shape = [dataset.sizes[name] for name in kept]
    diverged = dataset.status == "diverged"
    # What a run measured before it diverged is part of its curve.
    values, ends = values_and_ends(
        dataset.assign(status=dataset.status.where(~diverged, "")), metric, [*kept, *over]
    )
    places = final_places(dataset, [*kept, *over], ends)
    final = np.take_along_axis(values, places[..., None], axis=-1)[..., 0]
    final = np.where(diverged.transpose(*kept, *over).values, np.nan, final)
    coords = {str(name): coord for name, coord in dataset.coords.items() if set(coord.dims) <= set(kept)}

    def labelled(array: Any, *more: str) -> xr.DataArray:
        array = np.asarray(array).reshape(*shape, -1, *(dataset.sizes[name] for name in more))
        return xr.DataArray(array, dims=(*kept, RUN, *more)).assign_coords(coords)

    clocks = {"epochs": dataset.epoch + 0 * dataset.updates}
    there = [name for name in CLOCKS if name in dataset.variables and np.isfinite(dataset[name].values).all()]
    clocks |= {name: dataset[name] for name in there}
    linked = {name: axis for name, axis in linked_names(dataset).items() if axis in kept}
    hidden = set(linked.values())  # the number of a drawn point says nothing
    wide = [name for name, coord in coords.items() if coord.ndim > 1]
    sizes = list(given.get("batch_size", ()))
    full = dataset.batch_size.values[sizes.index("full")] if "full" in sizes else None
    return Scores(
        metric,
        1 if better(metric, mode) == "min" else -1,
        given,
        dataset.attrs.get("num_train", full),
        [*linked, *(name for name in kept if name not in hidden), *wide],
        _scale(metric, values[np.isfinite(values)]),
        labelled(values, "epoch"),
        labelled(ends),
        labelled(final),
        labelled((dataset.status == NOT_RUN).transpose(*kept, *over).values),
        {
            name: labelled(clock.transpose(*kept, *over, "epoch").values, "epoch")
            for name, clock in clocks.items()
        },
    )


def on_the_clock(result: SweepResult) -> SweepResult:
    """The result with seconds: measured now, where it has none and knows what made its trainers."""
    is_timed = "seconds" in result.dataset.variables
    return result if is_timed or result.make_trainer is None else result.clocked()


def _scale(metric: str, values: np.ndarray) -> ScoreScale:
    """A scale for values: logarithmic for losses and for the errors of fractions."""
    errors = 1 - values[values < 1]
    # Of n examples one error is 1/n: the least error seen tells a scale where to end.
    num = max(1, round(1 / errors.min())) if errors.size else 1
    return score_scale(values, "loss" if metric.endswith("loss") else "score", num)


def default_metric(dataset: xr.Dataset) -> str:
    """The accuracy where there is one, else the validation loss, else the training loss.

    Of a function that returns none of them the first history whose name says what is better.

    Raises:
        ValueError: there is none.
    """
    histories = [str(name) for name, variable in dataset.data_vars.items() if "epoch" in variable.dims]
    known = [name for name in ("valid_accuracy", "valid_loss", "train_loss") if name in histories]
    known += [name for name in histories if tells_better(name)]
    if not known:
        raise ValueError(f"metric is needed: of {', '.join(histories)} no name says what is better")
    return known[0]


def _given(data: SweepResult | xr.Dataset) -> Mapping[str, Sequence[Any]]:
    """The values of every axis as they were given; of a dataset, as its attribute `num_train` lets know."""
    if isinstance(data, SweepResult):
        return data.axes
    given = {str(name): data[name].values.tolist() for name in data.status.dims}
    if "num_train" in data.attrs and "batch_size" in given:
        sizes = ["full" if size == data.attrs["num_train"] else size for size in given["batch_size"]]
        return given | {"batch_size": sizes}
    return given


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return str(value)


def is_logarithmic(values: np.ndarray) -> bool:
    """Whether values are better shown by logarithms: positive, and far apart or each so many times the last.

    Such as 1 and 30, or 16, 32 and 64; not 16 and 32, nor 1, 2 and 3.
    """
    if values.dtype.kind not in "iuf" or not (values > 0).all():
        return False
    steps = np.diff(np.log(np.unique(values)))
    is_even = steps.size > 1 and steps.min() > np.log(1.5) and steps.max() < 1.25 * steps.min()
    return bool(is_even or values.max() >= 20 * values.min())


def sweep_layout(title: str, xaxis: dict | None = None, yaxis: dict | None = None) -> dict:
    """The layout of a sweep's figure: that of the others, with room for long names beside the axis."""
    layout = base_layout(title, xaxis, yaxis)
    return {**layout, "margin": {**layout["margin"], "l": 88}}


def score_axis(scores: Scores, positions: np.ndarray) -> dict:
    """The vertical axis of a figure, over these positions; with room at the worse end for what diverged."""
    scale, finite = scores.scale, positions[np.isfinite(positions)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    pad = 0.06 * (high - low) or 0.1
    places, texts = scale.ticks(low - pad, high + pad)
    return {
        "title": {"text": scores.metric, "standoff": 6},
        "range": rounded([low - pad, high + pad]),
        "tickvals": rounded(places),
        "ticktext": texts,
    }
