"""A metric of a sweep along one of its axes."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from jaxgd.arguments import one_of
from jaxgd.reports.figures.scores import (
    RUN,
    Scores,
    is_logarithmic,
    score_axis,
    scores_of,
    sweep_layout,
)
from jaxgd.reports.scales import rounded, thin
from jaxgd.reports.style import GREY, colour_of, log_axis, symbol_of
from jaxgd.specs.wording import count_text
from jaxgd.sweeps import SweepResult
from jaxgd.training.states import NOT_RUN

_MOST_NAMED, _MOST_TEXTS = 10, 5  # values that are marked beside an axis, and those whose texts fit there


def slice(
    result: SweepResult | xr.Dataset,
    axis: str,
    metric: str | None = None,
    by: str | None = None,
    over: str | Sequence[str] | None = None,
    mode: str | None = None,
    **where: Any,
) -> go.Figure:
    """A metric along one axis: a dot for every point of the sweep, a line through the best at each value.

    A dot is the mean over seeds after the last epoch; points of which a run diverged are crosses at the worse
    edge, those of which one was not run are circles there. Where the axis was drawn from a range there is no
    line.

    Args:
        result: a sweep's result, or a dataset like it.
        axis: an axis, or a coordinate along an axis of points, such as a learning rate that was drawn.
        metric: a variable of the dataset; the validation accuracy or loss if None.
        by: an axis that gives the dots their colour; the optimizer or the batch size if None.
        over: the axes that are averaged over; `seed` if None and there is one.
        mode: "min" or "max", for metrics of which the name does not say it.
        **where: the part of the sweep that is shown, such as `optimizer="adam"`.

    Raises:
        ValueError: an unknown axis, metric or coordinate.
    """
    return slice_of(scores_of(result, metric, over, mode, where).part(where), axis, by)


def slice_of(scores: Scores, axis: str, by: str | None = None) -> go.Figure:
    """`slice` of scores."""
    one_of("axis", axis, scores.names)
    if by is None:
        varied = set(scores.varied_names) - {axis}
        by = next((name for name in ("optimizer", "batch_size") if name in varied), None)
    else:
        one_of("by", by, scores.names)
    x, x_axis = _places(scores, axis)
    values = scores.last.values.ravel()
    y = scores.scale.position(values)
    y_axis = score_axis(scores, y)
    groups, texts = _groups(scores, by), scores.texts.ravel()
    shown = np.array([f"{scores.scale.text(v)}<br>{escape(t)}" for v, t in zip(values, texts, strict=True)])
    over = count_text(scores.runs.sizes[RUN], "run")
    figure = go.Figure(layout=sweep_layout(f"{scores.metric} by {axis}, mean over {over}", x_axis, y_axis))
    has_line = axis in scores.axes
    for place, (name, mine) in enumerate(groups.items()):
        style = {"color": colour_of(place), "symbol": symbol_of(place)}
        figure.add_traces(_traces(scores, name, x[mine], y[mine], shown[mine], style, has_line))
    edge, missing = y_axis["range"][0 if scores.scale.better > 0 else 1], scores.is_missing.values.ravel()
    lost = ~np.isfinite(y) & ~missing
    figure.add_trace(_marks("a run diverged", "x-thin", x[lost], texts[lost], edge))
    if missing.any():
        figure.add_trace(_marks(NOT_RUN, "circle-open", x[missing], texts[missing], edge))
    return figure.update_layout(showlegend=by is not None, legend={"title": {"text": by or ""}})


def _places(scores: Scores, axis: str) -> tuple[np.ndarray, dict]:
    """Where points stand along the horizontal axis, and that axis: few values are named, and no others."""
    values = scores.column(axis)
    known = _different(values)
    base: dict[str, Any] = {"title": {"text": axis}, "showgrid": False, "zeroline": False}
    is_number = values.dtype.kind in "iuf"
    if is_logarithmic(values):
        base = {**log_axis(values.min(), values.max(), lambda value: f"{value:g}"), **base}
    if is_number and known.size > _MOST_NAMED:
        return values, base
    places = values if is_number else np.array([known.tolist().index(value) for value in values.tolist()])
    shown = set(thin(known.size, _MOST_TEXTS)) if is_number else set(range(known.size))
    order = np.argsort(np.argsort(known)) if is_number else np.arange(known.size)
    texts = [
        escape(text) if order[place] in shown else "" for place, text in enumerate(scores.labels(axis, known))
    ]
    return places, {
        **base,
        "tickvals": known.tolist() if is_number else list(range(known.size)),
        "ticktext": texts,
    }


def _groups(scores: Scores, by: str | None) -> dict[str, np.ndarray]:
    """The places of the points of each colour, by what the legend calls them."""
    if by is None:
        return {scores.metric: np.arange(scores.last.size)}
    values = scores.column(by)
    known = _different(values)
    texts = scores.labels(by, known)
    return {text: np.flatnonzero(values == value) for text, value in zip(texts, known, strict=True)}


def _different(values: np.ndarray) -> np.ndarray:
    """Each of the values once, in their order."""
    first = {value: place for place, value in reversed(list(enumerate(values.tolist())))}
    return values[sorted(first.values())]


def _traces(
    scores: Scores, name: str, x: np.ndarray, y: np.ndarray, texts: np.ndarray, style: dict, has_line: bool
) -> list[go.Scatter]:
    """The dots of one colour, and the line through the best at each value."""
    seen = np.isfinite(y)
    dots = go.Scatter(
        name=escape(name),
        legendgroup=name,
        x=rounded(x[seen], 6),
        y=rounded(y[seen]),
        text=texts[seen].tolist(),
        hovertemplate="%{text}<extra></extra>",
        mode="markers",
        marker={**style, "size": 7, "opacity": 0.7},
    )
    if not has_line:
        return [dots]
    tops = np.unique(x[seen])
    best = [(scores.scale.better * y[seen & (x == top)]).max() * scores.scale.better for top in tops]
    line = go.Scatter(
        legendgroup=name,
        x=rounded(tops, 6),
        y=rounded(best),
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )
    return [line.update(line={"color": style["color"], "width": 2}), dots]


def _marks(name: str, symbol: str, x: np.ndarray, texts: np.ndarray, edge: float) -> go.Scatter:
    """Points that have no value, at the worse edge, and why."""
    return go.Scatter(
        name=name,
        x=rounded(x, 6),
        y=[edge] * len(x),
        text=[f"{name}<br>{escape(text)}" for text in texts],
        hovertemplate="%{text}<extra></extra>",
        mode="markers",
        marker={"symbol": symbol, "size": 7, "line": {"color": GREY, "width": 1.5}},
        cliponaxis=False,
        showlegend=bool(len(x)),
    )
