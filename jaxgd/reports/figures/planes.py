"""Pictures of a loss around models: a plane as contours with the training path on it, and lines."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from jaxgd.landscape.networks.planes import Line, Plane
from jaxgd.reports.scales import log_places, round_values, rounded, thin
from jaxgd.reports.style import COLOUR_SCALE, GREY, colour_of, layout_with_legend, median_line

MOST_POINTS = 100  # of a path; more do not show


def plane_contours(plane: Plane, lane: tuple[int, ...] = (), title: str = "loss on a plane") -> go.Figure:
    """The losses of one lane's plane as contours, the brighter the lower; blank where they are not finite.

    The centre is marked, and so is the training path where the plane has one, from its first point (an open
    circle) to its last; the title then says how much of the path's variance the plane holds. Colours are
    logarithmic in the loss.
    """
    losses = _losses_of(plane, lane)
    low, heights, ticks = _heights(losses)
    figure = go.Figure()
    figure.add_contour(
        x=rounded(plane.x),
        y=rounded(plane.y),
        z=rounded(heights, 5),
        customdata=rounded(losses),
        hovertemplate="loss %{customdata:.4g}<br>at (%{x:.3g}, %{y:.3g})<extra></extra>",
        colorscale=COLOUR_SCALE,
        reversescale=True,
        ncontours=24,
        line={"width": 0.5, "color": "rgba(255,255,255,0.6)"},
        colorbar={**ticks, "title": {"text": "loss", "side": "top"}, "thickness": 12, "outlinewidth": 0},
        zmin=low,
        zmax=float(np.nanmax(heights)),
    )
    directions, share = plane.directions, plane.directions.share
    figure.add_traces(_centre() if directions.path is None else _path(np.asarray(directions.path)[lane]))
    if share is not None:
        title += f" that holds {_percent(np.asarray(share)[lane])} of the path’s variance"
    across, upwards = ({"title": {"text": name}, "showgrid": False} for name in directions.names)
    upwards |= {"ticks": "outside", "ticklen": 4}
    return figure.update_layout(layout_with_legend(title, across, upwards))


def _losses_of(plane: Plane, lane: tuple[int, ...]) -> np.ndarray:
    losses = np.asarray(plane.losses, float)
    if losses.ndim - len(lane) != 2:
        raise ValueError(f"lane must have {losses.ndim - 2} places, one for each axis of lanes, got {lane}")
    losses = losses[lane]
    if not np.isfinite(losses).any():
        raise ValueError("the plane has no finite loss to draw: choose smaller steps x and y")
    return np.where(np.isfinite(losses), losses, np.nan)


def _heights(losses: np.ndarray) -> tuple[float, np.ndarray, dict]:
    """`(least, heights, ticks)`: logarithms of losses, losses themselves where one is not positive."""
    least, most = np.nanmin(losses), np.nanmax(losses)
    if least > 0 and most > 1.02 * least:
        places = log_places(np.log10(least), np.log10(most))
        texts = [f"{float(f'{10**place:.3g}'):g}" for place in places]
        return float(np.log10(least)), np.log10(losses), {"tickvals": rounded(places), "ticktext": texts}
    values = round_values(least, most) if most > least else [float(least)]
    return float(least), losses, {"tickvals": values, "ticktext": [f"{value:.6g}" for value in values]}


def _centre() -> list[go.Scatter]:
    marker = {"symbol": "x", "size": 9, "color": "white", "line": {"color": "black", "width": 1}}
    return [go.Scatter(name="the model", x=[0], y=[0], mode="markers", marker=marker, hoverinfo="name")]


def _path(places: np.ndarray) -> list[go.Scatter]:
    """The path as a dark line on a white one, seen on every colour, with its start and its end."""
    points = thin(places.shape[1], MOST_POINTS)
    x, y = rounded(places[0, points]), rounded(places[1, points])
    texts = [f"epoch {point}" for point in points]
    casing = go.Scatter(x=x, y=y, mode="lines", line={"color": "white", "width": 5}, showlegend=False)
    sizes = [11, *[4] * (len(points) - 2), 11]
    symbols = ["circle", *["circle"] * (len(points) - 2), "x"]
    colours = ["white", *["black"] * (len(points) - 1)]
    path = go.Scatter(
        name="training path, from ○ to ×",
        x=x,
        y=y,
        text=texts,
        hovertemplate="%{text}<extra></extra>",
        mode="lines+markers",
        line={"color": "black", "width": 1.5},
        marker={"size": sizes, "symbol": symbols, "color": colours, "line": {"color": "black", "width": 1}},
    )
    return [casing.update(hoverinfo="skip"), path]


def _percent(share: Any) -> str:
    """A share in percent, rounded down: "93.6 %"."""
    return f"{min(np.floor(1000 * float(share)) / 10, 99.9):.1f} %"


def loss_lines(lines: Mapping[str, Line], title: str = "loss along a line between two models") -> go.Figure:
    """Losses between pairs of models; of a line with lanes, the median in a band from least to greatest."""
    figure = go.Figure()
    for place, (name, line) in enumerate(lines.items()):
        x, losses = rounded(line.positions), np.asarray(line.losses, float)
        figure.add_traces(median_line(name, x, losses, colour_of(place), {"legendgroup": name}))
    across = {"title": {"text": "position"}, "showgrid": False}
    upwards = {"title": {"text": "loss"}, "rangemode": "tozero"}
    figure.update_layout(layout_with_legend(title, across, upwards))
    for place, text in enumerate(("first model", "second model")):
        figure.add_vline(place, line={"color": GREY, "width": 1, "dash": "dot"})
        figure.add_annotation(x=place, y=1, yref="paper", text=text, showarrow=False, yanchor="top")
    return figure
