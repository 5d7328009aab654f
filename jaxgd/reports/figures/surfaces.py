"""Surfaces from above: contours with critical points, the paths of optimizers, and basins of attraction."""

from html import escape
from typing import Any

import jax
import numpy as np
import plotly.graph_objects as go
import xarray as xr

from jaxgd.landscape.surfaces.base import Surface
from jaxgd.landscape.surfaces.basins import NOWHERE, grid_points
from jaxgd.landscape.surfaces.critical_points import CriticalPoints
from jaxgd.reports.scales import rounded
from jaxgd.reports.style import GREY, base_layout, colour_of, symbol_of, xy

CELLS = 81  # of the contours, along each axis
# The higher the darker on white, and the lighter on black.
SHADES = (
    (0.0, "rgba(128,134,140,0)"),
    (0.6, "rgba(128,134,140,0.14)"),
    (1.0, "rgba(128,134,140,0.42)"),
)
MOST_MARKS = 40  # of critical points; more hide the paths
MARKS = {"minimum": "circle", "saddle": "x-thin", "maximum": "triangle-up", "degenerate": "diamond"}
NAMES = ("x", "y")


def path_map(
    surface: Surface, paths: xr.Dataset, start: int = 0, critical: CriticalPoints | None = None
) -> go.Figure:
    """The paths of one start over the contours of a surface of two coordinates.

    Args:
        surface: of two coordinates.
        paths: from `explore`, with one rate and one batch size: see `at_best_rate`; of seeds the first.
        start: which start.
        critical: points to mark, if there are no more than 40.
    """
    figure = go.Figure([_contours(surface), *_marks(critical)])
    rows = _one_run(paths).isel(start=start)
    for place, name in enumerate(rows.optimizer.values):
        figure.add_trace(_path(surface, rows.sel(optimizer=name), str(name), place))
    ring = {"size": 12, "color": "rgba(0,0,0,0)", "line": {"color": GREY, "width": 2.5}}
    figure.add_trace(_marked("start", rows.points.isel(optimizer=0, updates=[0]).values, ring))
    figure.update_layout(_layout(surface, f"{surface.name}: {rate_note(paths)}"))
    return figure


def rate_note(paths: xr.Dataset) -> str:
    """How the learning rates of paths were chosen, in words."""
    tried = paths.attrs.get("rates_tried", 1)
    return f"each optimizer at its own best of {tried} learning rates" if tried > 1 else "rates as given"


def basin_map(surface: Surface, basins: xr.Dataset, optimizer: str, batch_size: float) -> go.Figure:
    """Which minimum each start leads to under an optimizer and a batch size; no colour where to none."""
    reached = basins.reached.sel(optimizer=optimizer, batch_size=batch_size)
    minima = basins.minima.values
    colours = [colour_of(place) for place in range(len(minima))]
    figure = go.Figure([_basins(reached, colours), _contours(surface, fill=False)])
    marker = {"color": colours, "size": 11, "line": {"color": "white", "width": 2}}
    figure.add_trace(_marked("minimum", minima, marker, showlegend=False, name=None))
    figure.update_layout(_layout(surface, f"{optimizer}, {size_text(batch_size)}"))
    return figure


def size_text(batch_size: float) -> str:
    """A batch size of a surface in words: infinity is the full batch."""
    return "full batch" if np.isinf(batch_size) else f"batch {batch_size:g}"


def _one_run(paths: xr.Dataset) -> xr.Dataset:
    if "rate" in paths.dims:
        raise ValueError("paths have several rates: take at_best_rate(paths), or paths.isel(rate=0)")
    if "batch_size" in paths.dims:
        if paths.sizes["batch_size"] > 1:
            raise ValueError("paths have several batch sizes: take paths.sel(batch_size=...)")
        paths = paths.isel(batch_size=0)
    return paths.isel(seed=0) if "seed" in paths.dims else paths


def _grid(surface: Surface) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates x [CELLS] and y [CELLS], and the values there [y, x]."""
    if surface.dim != 2:
        raise ValueError(f"a map needs a surface of two coordinates, got {surface!r}")
    x, y = (np.linspace(low, high, CELLS) for low, high in surface.domain)
    values = jax.jit(jax.vmap(surface))(grid_points(x, y))
    return x, y, np.asarray(values, np.float64).reshape(CELLS, CELLS)


def _contours(surface: Surface, fill: bool = True) -> go.Contour:
    """Contours at values that are about evenly spread over the domain: closer together where it is low."""
    x, y, values = _grid(surface)
    low = np.nanmin(values)
    scale = max(float(np.nanquantile(values, 0.1) - low), 1e-9)
    return go.Contour(
        x=rounded(x, 5),
        y=rounded(y, 5),
        z=rounded(np.log1p((values - low) / scale)),
        customdata=rounded(values),
        hovertemplate="f(%{x}, %{y}) = %{customdata}<extra></extra>" if fill else None,
        hoverinfo="skip" if not fill else None,
        colorscale=SHADES,
        showscale=False,
        showlegend=False,
        ncontours=18,
        contours={"coloring": "fill" if fill else "none"},
        line={"width": 0.7, "color": "rgba(128,134,140,0.55)"},
    )


def _marks(critical: CriticalPoints | None) -> list[go.Scatter]:
    if critical is None or len(critical.kinds) > MOST_MARKS:
        return []
    marks = []
    for kind, symbol in MARKS.items():
        line = {"width": 2 if symbol == "x-thin" else 0, "color": GREY}
        marker = {"symbol": symbol, "size": 9, "color": GREY, "line": line}
        if len(points := critical.of_kind(kind)):
            marks.append(_marked(kind, points, marker))
    return marks


def _marked(what: str, points: np.ndarray, marker: dict[str, Any], **trace: Any) -> go.Scatter:
    """Points of one kind, which the legend and a pointer name."""
    text = f"{what} (%{{x}}, %{{y}})<extra></extra>"
    return go.Scatter(
        {"name": what, **xy(points), "mode": "markers", "marker": marker, "hovertemplate": text, **trace}
    )


def _path(surface: Surface, run: xr.Dataset, name: str, place: int) -> go.Scatter:
    """The path as a line with a dot at every update until it has settled, and a symbol at its end."""
    points = run.points.values
    shown = points[: _settled(points, np.ptp(surface.domain, axis=1))]
    losses = zip(run.updates.values, run.loss.values[: len(shown)], strict=False)
    marker = {"size": [3] * (len(shown) - 1) + [11], "symbol": symbol_of(place), "color": colour_of(place)}
    return go.Scatter(
        **xy(shown),
        name=f"{escape(name)}, rate {float(run.learning_rate):g}",
        meta=name,
        customdata=[f"update {t}: loss {loss:.4g}" for t, loss in losses],
        hovertemplate=f"<b>{escape(name)}</b>, %{{customdata}}<extra></extra>",
        mode="lines+markers",
        line={"color": colour_of(place), "width": 1.8},
        marker={**marker, "line": {"width": 0}, "opacity": 1},
        showlegend=True,
    )


def _settled(points: np.ndarray, width: np.ndarray) -> int:
    """How many points to draw: up to where the rest is within a five-hundredth of the domain of the end."""
    far = (np.abs(points - points[-1]) > width / 500).any(axis=1)
    return int(np.flatnonzero(far)[-1]) + 2 if far.any() else 1


def _basins(reached: xr.DataArray, colours: list[str]) -> go.Heatmap:
    count = max(len(colours), 1)
    steps = [(edge, colour) for k, colour in enumerate(colours) for edge in (k / count, (k + 1) / count)]
    places = reached.values.astype(float)
    return go.Heatmap(
        x=rounded(reached.x.values, 5),
        y=rounded(reached.y.values, 5),
        z=rounded(np.where(places == NOWHERE, np.nan, places)),
        zmin=-0.5,
        zmax=count - 0.5,
        colorscale=steps,
        opacity=0.75,
        showscale=False,
        hoverinfo="skip",
    )


def _layout(surface: Surface, title: str) -> dict:
    layout = base_layout(title) | {"legend": {"itemsizing": "constant"}}
    for name, ends in zip(NAMES, surface.domain, strict=True):
        axis = {"range": rounded(ends), "title": {"text": name}, "constrain": "domain"}
        layout[f"{name}axis"] = {**axis, "showgrid": False, "zeroline": False}
    if np.isclose(*np.ptp(surface.domain, axis=1)):
        layout["yaxis"] |= {"scaleanchor": "x"}
    return layout
