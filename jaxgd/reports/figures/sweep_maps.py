"""A metric of a sweep over two of its axes, such as learning rate and batch size."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from jaxgd.reports.figures.maps import COLOUR_SCALE, colour_bar, edges, hatching
from jaxgd.reports.figures.scores import (
    RUN,
    Scores,
    axis_names,
    check_axis,
    is_logarithmic,
    labels,
    scores_of,
    sweep_layout,
)
from jaxgd.reports.scales import rounded
from jaxgd.reports.style import value_axis
from jaxgd.sweeps import SweepResult


def rate_map(
    result: SweepResult,
    metric: str | None = None,
    x: str = "learning_rate",
    y: str = "batch_size",
    over: str | Sequence[str] | None = None,
    mode: str | None = None,
    **where: Any,
) -> go.Figure:
    """A metric over two axes as colours, its mean over seeds after the last epoch.

    Where the sweep has further axes, each cell shows the best point there is. The ridge joins the best x of
    each y. Hatching replaces the colour where a run diverged at every point of a cell.

    Args:
        result: a sweep's result.
        metric: a variable of the dataset; the validation accuracy or loss if None.
        x: the axis across.
        y: the axis upwards.
        over: the axes that are averaged over; `seed` if None and there is one.
        mode: "min" or "max", for metrics of which the name does not say it.
        **where: the part of the sweep that is shown, such as `optimizer="adam"`.

    Raises:
        ValueError: an unknown axis, metric or coordinate; an axis twice.
    """
    scores = scores_of(result, metric, over, mode, where)
    for argument, name in (("x", x), ("y", y)):
        if name in axis_names(result, scores) and name not in scores.axes:
            raise ValueError(f"{argument} is {name!r}, which was drawn and has no grid: use views.slice")
        check_axis(argument, name, scores.axes)
    if x == y:
        raise ValueError(f"x and y are both {x!r}; two axes are needed")
    cells = _sorted(_best_cells(scores, x, y), x, y)
    places = {name: _places(cells[name].values) for name in (x, y)}
    low, high = _colours(scores, cells)
    scale = scores.scale
    figure = go.Figure(layout=sweep_layout(_title(scores, x, y, where)))
    figure.add_heatmap(
        x=edges(places[x]),
        y=edges(places[y]),
        z=rounded(scale.better * scale.position(cells.values)),
        text=_texts(result, scores, cells, x, y),
        hovertemplate="%{text}<extra></extra>",
        colorscale=COLOUR_SCALE,
        zmin=low,
        zmax=high,
        xgap=1,
        ygap=1,
        colorbar=colour_bar(scale, low, high),
    )
    figure.add_trace(hatching(cells.expand_dims(RUN, -1), places[x], places[y]))
    figure.add_traces(_ridge(scores, cells, places[x], places[y]))
    for update, name in ((figure.update_xaxes, x), (figure.update_yaxes, y)):
        texts = [escape(text) for text in labels(result, name, cells[name].values)]
        update(
            value_axis(name, places[name], _thinned(texts)), range=edges(places[name])[:: len(places[name])]
        )
    figure.update_layout(legend={"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"})
    return figure


def _title(scores: Scores, x: str, y: str, where: dict) -> str:
    others = [name for name in scores.axes if name not in (x, y) and name not in where]
    best = f", best over {', '.join(others)}" if others else ""
    part = "".join(f", {name} {value}" for name, value in where.items())
    return f"{scores.metric}{part}{best}"


def _best_cells(scores: Scores, x: str, y: str) -> xr.DataArray:
    """The best value of each cell: [y, x], NaN where a run diverged at every point of it."""
    others = [name for name in scores.axes if name not in (x, y)]
    best = (scores.sign * scores.last).min(others) if others else scores.sign * scores.last
    return (scores.sign * best).transpose(y, x)


def _sorted(cells: xr.DataArray, *names: str) -> xr.DataArray:
    for name in names:
        cells = cells.sortby(name) if cells[name].dtype.kind in "iuf" else cells
    return cells


def _places(values: np.ndarray) -> np.ndarray:
    """Where values stand: by their logarithms, as they are, or one after the other."""
    if is_logarithmic(values) and values.size > 1:
        return np.log10(values)
    return values.astype(float) if values.dtype.kind in "iuf" else np.arange(values.size, dtype=float)


def _thinned(texts: list[str], most: int = 8) -> list[str]:
    """At most so many of the texts, the others empty, which leaves their tick marks."""
    every = -(-len(texts) // most)
    return [text if place % every == 0 else "" for place, text in enumerate(texts)]


def _colours(scores: Scores, cells: xr.DataArray) -> tuple[float, float]:
    """The positions of the first and the last colour; the worst twentieth of the cells shares the first."""
    positions = scores.scale.better * scores.scale.position(cells.values[np.isfinite(cells.values)])
    if not positions.size:
        return 0.0, 1.0
    low, high = np.quantile(positions, 0.05), positions.max()
    return float(low), float(max(high, low + 1e-6))


def _texts(result: SweepResult, scores: Scores, cells: xr.DataArray, x: str, y: str) -> list[list[str]]:
    rows, columns = (labels(result, name, cells[name].values) for name in (y, x))
    return [
        [
            f"{escape(f'{y} {row}, {x} {column}')}<br>{scores.scale.text(value)}"
            for column, value in zip(columns, line, strict=True)
        ]
        for row, line in zip(rows, cells.values, strict=True)
    ]


def _ridge(scores: Scores, cells: xr.DataArray, x: np.ndarray, y: np.ndarray) -> list[go.Scatter]:
    """The best x of each y, as a dark line on a white one: seen on every colour."""
    badness = np.where(np.isfinite(cells.values), scores.sign * cells.values, np.inf)
    rows = np.flatnonzero(np.isfinite(badness).any(axis=1))
    best = x[np.argmin(badness[rows], axis=1)]
    common = {"x": rounded(best, 6), "y": rounded(y[rows], 6), "hoverinfo": "skip"}
    marker = {"color": "white", "size": 9, "line": {"color": "black", "width": 1.5}}
    name = f"best {cells.dims[1]} of each {cells.dims[0]}"
    return [
        go.Scatter(mode="lines", line={"color": "white", "width": 5}, showlegend=False, **common),
        go.Scatter(
            name=name, mode="lines+markers", line={"color": "black", "width": 1.5}, marker=marker, **common
        ),
    ]
