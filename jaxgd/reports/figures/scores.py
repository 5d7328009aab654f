"""What figures of a sweep are drawn from: its scores as labelled arrays, and scales and names for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from jaxgd.arguments import unknown
from jaxgd.reports.scales import ScoreScale, rounded, score_scale
from jaxgd.reports.style import base_layout
from jaxgd.sweeps import SweepResult
from jaxgd.sweeps.results.ranking import axes_over, better, check_metric, final_places, values_and_ends
from jaxgd.sweeps.results.selection import linked_names, places_of

# The dimension of the runs that are averaged over; no axis of a sweep has this name.
RUN = "averaged over"


@dataclass(frozen=True)
class Scores:
    """A metric of a sweep.

    metric: its name. runs: [*axes, RUN, epoch]; NaN where a run diverged, its last value where it stopped
    before. ends: [*axes, RUN], the place of a run's last epoch. final: [*axes, RUN], the value that a run's
    parameters have. clock: [*axes, RUN, epoch], updates made. sign: 1 where less is better, -1 where more is.
    """

    metric: str
    runs: xr.DataArray
    ends: xr.DataArray
    final: xr.DataArray
    clock: xr.DataArray
    sign: int

    @cached_property
    def last(self) -> xr.DataArray:
        """The mean over the runs as they ended: [*axes], NaN where a run diverged."""
        return self.final.mean(RUN, skipna=False)

    @property
    def axes(self) -> list[str]:
        """The axes that are not averaged over."""
        return [str(name) for name in self.last.dims]

    @cached_property
    def scale(self) -> ScoreScale:
        """A scale for the values: logarithmic for losses and for the errors of fractions."""
        values = self.runs.values[np.isfinite(self.runs.values)]
        errors = 1 - values[values < 1]
        measure = "loss" if self.metric.endswith("loss") else "score"
        # Of n examples one error is 1/n: the least error seen tells a scale where to end.
        return score_scale(values, measure, max(1, round(1 / errors.min())) if errors.size else 1)

    def best_along(self, axis: str) -> list[dict[str, int]]:
        """For each place along an axis, the places of the best point there; left out where all diverged."""
        badness = (self.sign * self.last).fillna(np.inf).transpose(axis, ...)
        found = []
        for place in range(badness.sizes[axis]):
            here = badness.isel({axis: place})
            if np.isfinite(here.values).any():
                others = np.unravel_index(int(np.argmin(here.values)), here.shape)
                found.append(
                    {axis: place, **{str(d): int(p) for d, p in zip(here.dims, others, strict=True)}}
                )
        return found


def scores_of(
    result: SweepResult, metric: str | None, over: Any, mode: str | None, where: Mapping[str, Any]
) -> Scores:
    """The scores of a metric, averaged over some axes, of those runs that have the given coordinates.

    Raises:
        ValueError: an unknown metric, axis, coordinate or mode.
    """
    dataset = chosen(result, where)
    metric = default_metric(dataset) if metric is None else metric
    check_metric(dataset, metric)
    axes = [str(name) for name in dataset.status.dims]
    over = axes_over(over, axes)
    kept = [name for name in axes if name not in over]
    shape = [dataset.sizes[name] for name in kept]
    values, ends = values_and_ends(dataset, metric, [*kept, *over])
    places = final_places(dataset, [*kept, *over], ends)
    final = np.take_along_axis(values, places[..., None], axis=-1)
    clock = dataset.updates.transpose(*kept, *over, "epoch").values
    coords = {name: coord for name, coord in dataset.coords.items() if set(coord.dims) <= {*kept, "epoch"}}

    def labelled(array, *more):
        return xr.DataArray(array, dims=(*kept, RUN, *more)).assign_coords(
            {name: coord for name, coord in coords.items() if more or "epoch" not in coord.dims}
        )

    epochs = values.shape[-1]
    return Scores(
        metric,
        labelled(values.reshape(*shape, -1, epochs), "epoch"),
        labelled(ends.reshape(*shape, -1)),
        labelled(final.reshape(*shape, -1)),
        labelled(clock.reshape(*shape, -1, epochs), "epoch"),
        1 if better(metric, mode) == "min" else -1,
    )


def default_metric(dataset: xr.Dataset) -> str:
    """The accuracy where there is one, else the validation loss, else the training loss."""
    return next(name for name in ("valid_accuracy", "valid_loss", "train_loss") if name in dataset)


def chosen(result: SweepResult, where: Mapping[str, Any]) -> xr.Dataset:
    """The part of the dataset with these coordinates, all of its dimensions kept."""
    dataset = result.dataset
    for name, value in where.items():
        if name not in result.axes:
            raise ValueError(unknown("axis", name, result.axes))
        dataset = dataset.isel({name: places_of(result.dataset, name, result.axes[name], name, value)})
    return dataset


def labels(result: SweepResult, name: str, values: np.ndarray) -> list[str]:
    """How values of an axis are written: a batch size that was given as "full" by that word."""
    given = result.axes.get(name)
    full = None
    if name == "batch_size" and given is not None and "full" in list(given):
        full = result.dataset[name].values[list(given).index("full")]
    return ["full" if full is not None and value == full else _text(value) for value in values]


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return str(value)


def axis_names(result: SweepResult, scores: Scores) -> list[str]:
    """What a view can show along an axis: the axes that are not averaged over, and coordinates along them."""
    linked = {name: axis for name, axis in linked_names(result.dataset).items() if axis in scores.axes}
    hidden = set(linked.values())  # the number of a drawn point says nothing
    return [*linked, *(name for name in scores.axes if name not in hidden)]


def check_axis(argument: str, name: str, known: Sequence[str]) -> None:
    """Raise ValueError unless a view can show this along an axis."""
    if name not in known:
        raise ValueError(unknown(argument, name, known))


def column(scores: Scores, name: str) -> np.ndarray:
    """The coordinate of every point, in the order of `scores.last.values.ravel()`."""
    return scores.last[name].broadcast_like(scores.last).transpose(*scores.last.dims).values.ravel()


def point_texts(result: SweepResult, scores: Scores) -> list[str]:
    """The coordinates of every point in words: "optimizer adam, batch_size 32"."""
    names = axis_names(result, scores)
    columns = [labels(result, name, column(scores, name)) for name in names]
    rows = zip(*columns, strict=True) if columns else [()] * scores.last.size
    return [", ".join(f"{name} {text}" for name, text in zip(names, row, strict=True)) for row in rows]


def is_logarithmic(values: np.ndarray) -> bool:
    """Whether values are better shown by their logarithms: positive, and far apart."""
    return values.dtype.kind in "iuf" and bool((values > 0).all()) and values.max() >= 20 * values.min()


def sweep_layout(title: str) -> dict:
    """The layout of a view: that of the other figures, with room for long names beside the axis."""
    layout = base_layout(title)
    return {**layout, "margin": {**layout["margin"], "l": 88}}


def score_axis(scores: Scores, positions: np.ndarray) -> dict:
    """The vertical axis of a view, over these positions; with room at the worse end for what diverged."""
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
