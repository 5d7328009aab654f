"""A metric of a sweep over two of its axes, such as learning rate and batch size, and its best ridge."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from jaxgd.arguments import one_of
from jaxgd.reports.figures.scores import Scores, is_logarithmic, scores_of, sweep_layout
from jaxgd.reports.scales import ScoreScale, rounded
from jaxgd.reports.style import COLOUR_SCALE, GREY, value_axis
from jaxgd.specs.wording import count_text
from jaxgd.sweeps import SweepResult
from jaxgd.training.states import NOT_RUN


def rate_map(
    result: SweepResult | xr.Dataset,
    metric: str | None = None,
    x: str = "learning_rate",
    y: str = "batch_size",
    over: str | Sequence[str] | None = None,
    mode: str | None = None,
    ridge: xr.DataArray | None = None,
    **where: Any,
) -> go.Figure:
    """A metric over two axes as colours, its mean over seeds after the last epoch.

    Where the sweep has further axes, each cell shows the best point there is. The ridge joins the best x of
    each y. Hatching replaces the colour where a run diverged at every point of a cell, dots where it was not
    run. The colours are those of the whole sweep, so that its parts can be compared.

    Args:
        result: a sweep's result, or a dataset like it: `comparison.grid`, say.
        metric: a variable of the dataset; the validation accuracy or loss if None.
        x: the axis across; or a coordinate along an axis and those of `where`, such as the rates of
            `comparison.grid`, of which each optimizer has its own.
        y: the axis upwards.
        over: the axes that are averaged over; `seed` if None and there is one.
        mode: "min" or "max", for metrics of which the name does not say it.
        ridge: the x of each y to join, by the coordinate y; those of the best means if None.
        **where: the part of the sweep that is shown, such as `optimizer="adam"`.

    Raises:
        ValueError: an unknown axis, metric or coordinate; an axis twice.
    """
    return map_of(scores_of(result, metric, over, mode, where), x, y, ridge, where)


def map_of(scores: Scores, x: str, y: str, ridge: xr.DataArray | None, where: Mapping[str, Any]) -> go.Figure:
    """`rate_map` of scores."""
    across, upwards = (_axis(scores, name, value, where) for name, value in (("x", x), ("y", y)))
    if across == upwards:
        raise ValueError(f"x and y are both {x!r}; two axes are needed")
    best = scores.at_best(*dict.fromkeys((upwards, across, *(n for n in where if n in scores.axes))))
    low, high = _colours(scores, best.last.values)
    cells = best.part({name: value for name, value in where.items() if name not in (across, upwards)})
    cells = cells.at_best(upwards, across)
    cells = cells.isel({n: cells.places(n, where[n]) for n in (across, upwards) if n in where})
    cells = cells.isel({across: _ascending(cells, x), upwards: _ascending(cells, y)})
    values = {name: cells.last[name].values for name in (x, y)}
    places = {name: _places(values[name]) for name in (x, y)}
    is_top = cells.badness.values == cells.badness.values.min(axis=1, keepdims=True)
    if ridge is not None:
        is_top = values[x] == ridge.sel({y: values[y]}).values[:, None]
    rows = np.flatnonzero(np.isfinite(cells.badness.values).any(axis=1) & is_top.any(axis=1))
    tops = is_top[rows].argmax(axis=1)
    chosen = {x: sorted(set(tops.tolist())), y: []}
    axes = [_named_axis(cells, name, values[name], places[name], chosen[name]) for name in (x, y)]
    figure = go.Figure(layout=sweep_layout(_title(scores, (across, upwards), where), *axes))
    figure.add_heatmap(
        x=_edges(places[x]),
        y=_edges(places[y]),
        z=rounded(scores.scale.better * scores.scale.position(cells.last.values)),
        text=_texts(cells, x, y),
        hovertemplate="%{text}<extra></extra>",
        colorscale=COLOUR_SCALE,
        zmin=low,
        zmax=high,
        xgap=1,
        ygap=1,
        colorbar=_colour_bar(scores.scale, low, high),
    )
    missing = cells.is_missing.values
    lost = np.isnan(cells.last.values) & ~missing
    figure.add_trace(_pattern("a run diverged", "/", lost, places[x], places[y]))
    if missing.any():
        figure.add_trace(_pattern(NOT_RUN, ".", missing, places[x], places[y]))
    figure.add_traces(_ridge(places[x][tops], places[y][rows], f"best {x} of each {y}"))
    pairs = zip(scores.labels(x, values[x][tops]), scores.labels(y, values[y][rows]), strict=True)
    best_ones = ", ".join(f"{x} {top} at {y} {row}" for top, row in pairs)
    words = f"{int(lost.sum())} of {lost.size} cells diverged"
    words += f", {int(missing.sum())} were not run" if missing.any() else ""
    legend = {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"}
    meta = {"words": f"Best: {best_ones or 'none'}; {words}.", "chosen": chosen[x]}
    return figure.update_layout(legend=legend, meta=meta)


def _axis(scores: Scores, argument: str, name: str, where: Mapping[str, Any]) -> str:
    """The axis along which the values of a name lie."""
    if name in scores.axes or name not in scores.names:
        return one_of(argument, name, scores.axes)
    along = [str(dim) for dim in scores.last[name].dims]
    others = [dim for dim in along if dim not in where]
    if len(along) == 1:
        raise ValueError(f"{argument} is {name!r}, which was drawn and has no grid: use figures.slice")
    if len(others) > 1:
        raise ValueError(f"{argument} is {name!r}, of which each {along[0]} has its own: choose one")
    return others[0]


def _title(scores: Scores, axes: tuple[str, str], where: Mapping[str, Any]) -> str:
    others = [name for name in scores.axes if name not in axes and name not in where]
    best = f", best over {', '.join(others)}" if others else ""
    part = "".join(f", {name} {value}" for name, value in where.items())
    return f"{scores.metric}{part}{best}"


def _ascending(cells: Scores, name: str) -> np.ndarray:
    """The places of the values of a name in their order; words stay as they are."""
    values = cells.last[name].values
    return np.argsort(values, kind="stable") if values.dtype.kind in "iuf" else np.arange(values.size)


def _places(values: np.ndarray) -> np.ndarray:
    """Where values stand: by their logarithms, as they are, or one after the other."""
    if is_logarithmic(values) and values.size > 1:
        return np.log10(values)
    return values.astype(float) if values.dtype.kind in "iuf" else np.arange(values.size, dtype=float)


def _named_axis(
    scores: Scores, name: str, values: np.ndarray, places: np.ndarray, chosen: Sequence[int]
) -> dict:
    """The axis of values at their places, with the texts of the chosen ones and others far enough apart."""
    texts = _thinned([escape(text) for text in scores.labels(name, values)], chosen)
    return {**value_axis(name, places, texts), "range": _edges(places)[:: len(places)]}


def _thinned(texts: list[str], chosen: Sequence[int], most: int = 8) -> list[str]:
    """The chosen texts, the last and others as far apart as lets `most` of them stand; the rest is empty."""
    every = -(-len(texts) // most)
    shown = set(chosen)
    for place in (len(texts) - 1, *range(0, len(texts), every)):
        if all(abs(place - other) >= every for other in shown):
            shown.add(place)
    return [text if place in shown else "" for place, text in enumerate(texts)]


def _colours(scores: Scores, values: np.ndarray) -> tuple[float, float]:
    """The positions of the first and the last colour; the worst twentieth of the cells shares the first."""
    positions = scores.scale.better * scores.scale.position(values[np.isfinite(values)])
    if not positions.size:
        return 0.0, 1.0
    low, high = np.quantile(positions, 0.05), positions.max()
    return float(low), float(max(high, low + 1e-6))


def _colour_bar(scale: ScoreScale, low: float, high: float) -> dict:
    """A colour bar with round values of the score beside it."""
    places, texts = scale.ticks(*sorted((scale.better * low, scale.better * high)))
    return {"tickvals": rounded([scale.better * place for place in places]), "ticktext": texts}


def _texts(cells: Scores, x: str, y: str) -> list[list[str]]:
    """What is said of each cell: where it is, its mean, and every run."""
    rows, columns = (cells.labels(name, cells.last[name].values) for name in (y, x))
    return [
        [
            f"{escape(f'{y} {row}, {x} {column}')}<br>{_runs_text(runs, absent, cells.scale)}"
            for column, runs, absent in zip(columns, *lines, strict=True)
        ]
        for row, *lines in zip(rows, cells.final.values, cells.not_run.values, strict=True)
    ]


def _runs_text(runs: np.ndarray, absent: np.ndarray, scale: ScoreScale) -> str:
    lost, count = int(np.isnan(runs[~absent]).sum()), count_text(runs.size, "run")
    if absent.any():
        return f"{int(absent.sum())} of {count} not run" + (f", {lost} diverged" if lost else "")
    if lost or runs.size == 1:
        return f"{lost} of {count} diverged" if lost else scale.text(runs[0])
    return f"{scale.text(runs.mean())}, mean of {count}<br>({', '.join(scale.text(run) for run in runs)})"


def _edges(centres: np.ndarray) -> list:
    """Bounds of cells around ascending centres: halfway between neighbours."""
    if centres.size == 1:
        return [float(centres[0]) - 0.25, float(centres[0]) + 0.25]
    middle = (centres[1:] + centres[:-1]) / 2
    first, last = 2 * centres[0] - middle[0], 2 * centres[-1] - middle[-1]
    return rounded([first, *middle, last], 6)


def _pattern(name: str, shape: str, cells: np.ndarray, x: np.ndarray, y: np.ndarray) -> go.Scatter:
    """Boxes of a pattern over some of the cells, bool[y, x]."""
    left, right = _edges(x)[:-1], _edges(x)[1:]
    low, high = _edges(y)[:-1], _edges(y)[1:]
    xs, ys = [], []
    for row, column in np.argwhere(cells):
        xs += [left[column], right[column], right[column], left[column], left[column], None]
        ys += [low[row], low[row], high[row], high[row], low[row], None]
    return go.Scatter(
        name=name,
        x=xs,
        y=ys,
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor="rgba(0,0,0,0)",
        fillpattern={"shape": shape, "size": 6, "solidity": 0.25, "fgcolor": GREY, "fillmode": "replace"},
        hoverinfo="skip",
    )


def _ridge(x: np.ndarray, y: np.ndarray, name: str) -> list[go.Scatter]:
    """The best x of each y, as a dark line on a white one: seen on every colour."""
    common = {"x": rounded(x, 6), "y": rounded(y, 6), "hoverinfo": "skip"}
    marker = {"color": "white", "size": 9, "line": {"color": "black", "width": 1.5}}
    line = {"color": "black", "width": 1.5}
    return [
        go.Scatter(mode="lines", line={"color": "white", "width": 5}, showlegend=False, **common),
        go.Scatter(name=name, mode="lines+markers", line=line, marker=marker, **common),
    ]
