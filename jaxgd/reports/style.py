"""What all figures share: colours, layouts, bands, axes, and the names of batch sizes."""

import math
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from jaxgd.reports.scales import log_places, rounded
from jaxgd.specs.wording import batch_text, regime_text

# Each is at least 3:1 against white and against a dark page. The first four stay apart in all common kinds of
# colour blindness; beyond them, and without colour, the symbols do.
COLOURS = ("#3a6fd8", "#008a72", "#c77700", "#b23a8c", "#6b7787", "#a0552d", "#7d5fd3", "#7a8200")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "triangle-down", "hexagon", "star")
# The same symbols as text, for keys outside a figure.
GLYPHS = dict(zip(SYMBOLS, "●■◆▲⬟▼⬢★", strict=True))
GREY = "#8a9097"
COLOUR_SCALE = "Viridis"  # of every map


def regime_name(batch_size: int, num_train: int) -> str:
    """What a legend calls a batch size: "BGD (full batch)", "mini-batch 32", "SGD (batch 1)"."""
    if batch_size in (1, num_train):
        return f"{regime_text(batch_size, num_train)} ({batch_text(batch_size, num_train)})"
    return f"mini-batch {batch_size}"


def base_layout(title: str, xaxis: dict | None = None, yaxis: dict | None = None) -> dict:
    """A quiet layout: no template, no background, the title on the left; what the axes have besides."""
    return {
        "title": {"text": escape(title), "x": 0, "xref": "paper"},
        "template": "none",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "closest",
        "margin": {"l": 64, "r": 16, "t": 40, "b": 48},
        "xaxis": {"zeroline": False, "ticks": "outside", "ticklen": 4, **(xaxis or {})},
        "yaxis": {"zeroline": False, **(yaxis or {})},
    }


def layout_with_legend(title: str, xaxis: dict | None = None, yaxis: dict | None = None) -> dict:
    """The quiet layout with room for a legend between title and plot."""
    layout = base_layout(title, xaxis, yaxis)
    layout["title"] |= {"yref": "container", "y": 0.98, "yanchor": "top"}
    legend = {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom"}
    return layout | {"legend": legend, "margin": {**layout["margin"], "t": 72}}


def colour_of(place: int) -> str:
    """The colour of a curve by its place among the others; they repeat."""
    return COLOURS[place % len(COLOURS)]


def symbol_of(place: int) -> str:
    """The symbol of a curve by its place among the others; they repeat."""
    return SYMBOLS[place % len(SYMBOLS)]


def xy(points: np.ndarray) -> dict[str, list]:
    """Points [n, 2] as a trace has them."""
    return {"x": rounded(points[:, 0]), "y": rounded(points[:, 1])}


def faint(colour: str, opacity: float) -> str:
    """One of the colours, so opaque."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def band(x: Any, low: Any, high: Any, colour: str, **trace: Any) -> go.Scatter:
    """The band between two lines over x."""
    x, low, high = (np.asarray(values, float) for values in (x, low, high))
    return go.Scatter(
        x=rounded([*x, *x[::-1]]),
        y=rounded([*high, *low[::-1]]),
        fill="toself",
        fillcolor=faint(colour, 0.18),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        **trace,
    )


def median_line(
    name: str, x: list, values: np.ndarray, colour: str, shared: dict, **line: Any
) -> list[go.Scatter]:
    """The median of values [..., n] over x as a line, over a band from the least to the greatest of several.

    shared: what the traces of both have; line: what that of the median has besides.
    """
    values = values.reshape(-1, values.shape[-1])
    several = [band(x, values.min(axis=0), values.max(axis=0), colour, **shared)] if len(values) > 1 else []
    style: dict[str, Any] = {"mode": "lines", "line": {"color": colour, "width": 2.2}, **shared, **line}
    return [*several, go.Scatter(name=name, x=x, y=rounded(np.median(values, axis=0)), **style)]


def log_axis(low: float, high: float, write) -> dict:
    """A logarithmic axis from low to high with real values beside it."""
    low, high = math.log10(low), math.log10(high)
    pad = max(0.03 * (high - low), 0.05)
    places = log_places(low - pad, high + pad)
    ticks = [10**place for place in places]
    return {
        "type": "log",
        "range": [low - pad, high + pad],
        "tickvals": rounded(ticks),
        "ticktext": [write(tick) for tick in ticks],
    }


def value_axis(title: str, places, texts: list[str]) -> dict:
    """An axis that names the values that were tried, and no others."""
    return {
        "title": {"text": title},
        "tickvals": rounded(places),
        "ticktext": texts,
        "showgrid": False,
        "zeroline": False,
    }
