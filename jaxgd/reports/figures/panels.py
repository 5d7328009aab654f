"""Small figures of lines side by side, each line named at its end, with the spread of its seeds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from jaxgd.reports.scales import log_text, round_values, rounded, thin
from jaxgd.reports.style import base_layout, colour_of, log_axis, median_line

PANEL_HEIGHT = 340
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif"
LABEL_GAP = 0.062  # between two labels, as a fraction of a panel's height
MOST_POINTS = 150  # of one line; more do not show


class Panel(NamedTuple):
    """What one panel shows.

    title, x_title, y_title: texts. lines: `{name: (x [points], y [points] or [seeds, points])}`. Where y has
    seeds the line is their median, in a band from the least to the greatest. log: the axes that are
    logarithmic: "", "x", "y" or "xy". y_range: the lowest and the highest value shown, the lines' if None.
    """

    title: str
    x_title: str
    y_title: str
    lines: Mapping[str, tuple[Any, Any]]
    log: str = ""
    y_range: tuple[float, float] | None = None


def side_by_side(*panels: Panel) -> go.Figure:
    """A figure with a column for each panel. A name has one colour in all of them."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    colours = {name: colour_of(place) for place, name in enumerate(names)}
    many = len(panels) > 2  # a page shows a wide figure smaller, so its text is set larger
    width = 1040 if many else (480, 880)[len(panels) - 1]
    figure = go.Figure(layout=base_layout(""))
    figure.update_layout(font={"size": 13 if many else 12, "family": FONT}, showlegend=False)
    figure.update_layout(width=width, height=PANEL_HEIGHT, paper_bgcolor="white")
    figure.update_layout(margin={"l": 56, "r": 8, "t": 36, "b": 46})
    slot, label = 1 / len(panels), 90 / width
    for column, panel in enumerate(panels):
        domain = (column * slot + (0.06 if column else 0), (column + 1) * slot - label)
        _add_panel(figure, panel, str(column + 1) if column else "", domain, colours)
    return figure


def _add_panel(figure: go.Figure, panel: Panel, axis: str, domain: tuple, colours: dict) -> None:
    lines = {name: _thinned(x, y) for name, (x, y) in panel.lines.items()}
    for name, (x, y) in lines.items():
        figure.add_traces(_line(name, x, y, colours[name], axis))
    ranges = {
        "x": _extent([x for x, _ in lines.values()], "x" in panel.log),
        "y": panel.y_range or _extent([y for _, y in lines.values()], "y" in panel.log),
    }
    axes = {way: _axis(ranges[way], way in panel.log) for way in "xy"}
    layout: Any = figure.layout
    for way, other, text in (("x", "y", panel.x_title), ("y", "x", panel.y_title)):
        title = {"text": text, "standoff": 6, "font": {"size": layout.font.size}}
        figure.update_layout({f"{way}axis{axis}": {**axes[way], "anchor": f"{other}{axis}", "title": title}})
    figure.update_layout({f"xaxis{axis}": {"domain": domain}})
    refs = {"xref": f"x{axis} domain", "yref": f"y{axis} domain", "showarrow": False}
    figure.add_annotation(text=f"<b>{panel.title}</b>", x=0, y=1.11, xanchor="left", **refs)
    ends = {name: _end(x, y, axes) for name, (x, y) in lines.items()}
    for name, (right, height) in _spread(ends).items():
        # A line that ends inside the panel may have others to its right, but has come from above or below.
        side = ("left", 5) if right > 0.85 else ("right", -10)
        place = {"x": right, "y": height, "xanchor": side[0], "xshift": side[1], "yanchor": "middle"}
        text = {"text": name, "font": {"color": colours[name]}, "bgcolor": "rgba(255,255,255,0.7)"}
        figure.add_annotation(**place, **text, **refs)


def _thinned(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """The points x and the values y, [seeds, points], with no more points than show."""
    x, y = np.asarray(x, float), np.atleast_2d(np.asarray(y, float))
    points = thin(len(x), MOST_POINTS)
    return x[points], y[:, points]


def _line(name: str, x: np.ndarray, y: np.ndarray, colour: str, axis: str) -> list[go.Scatter]:
    """The traces of one line: the band of its seeds, then their median."""
    shared: dict[str, Any] = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
    style = {"mode": "lines+markers" if len(x) <= 12 else "lines", "marker": {"size": 6, "color": colour}}
    return median_line(name, rounded(x), y, colour, shared, **style)


def _extent(values: Sequence[np.ndarray], is_log: bool) -> tuple[float, float]:
    flat = np.concatenate([np.ravel(value) for value in values])
    flat = flat[np.isfinite(flat) & (flat > 0 if is_log else True)]
    return float(flat.min()), float(flat.max())


def _axis(extent: tuple[float, float], is_log: bool) -> dict:
    if is_log:
        return log_axis(*extent, log_text)
    low, high = extent
    pad = 0.03 * (high - low) or 0.5
    ticks = round_values(low - pad, high + pad)
    return {"range": [low - pad, high + pad], "tickvals": ticks, "zeroline": False}


def _end(x: np.ndarray, y: np.ndarray, axes: dict) -> tuple[float, float]:
    """Where a line ends, as fractions of its panel's width and height."""
    middle = np.median(y, axis=0)
    last = np.flatnonzero(np.isfinite(middle))[-1]
    return _fraction(float(x[last]), axes["x"]), _fraction(float(middle[last]), axes["y"])


def _fraction(value: float, axis: dict) -> float:
    low, high = axis["range"]
    place = math.log10(max(value, 1e-300)) if axis.get("type") == "log" else value
    return float(np.clip((place - low) / (high - low), 0, 1))


def _spread(ends: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """The places of labels: those that end at about the same x pushed apart in height, order kept."""
    places: dict[str, tuple[float, float]] = {}
    for name, (x, _) in ends.items():
        column = sorted((y, other) for other, (right, y) in ends.items() if abs(right - x) < 0.2)
        heights = _apart([y for y, _ in column])
        places[name] = (x, heights[[other for _, other in column].index(name)])
    return places


def _apart(heights: list[float]) -> list[float]:
    """Ascending heights moved as little as a sweep up and a sweep down need to set them a gap apart."""
    moved = list(heights)
    for place in range(1, len(moved)):
        moved[place] = max(moved[place], moved[place - 1] + LABEL_GAP)
    excess = max(moved[-1] - 1, 0)
    moved[-1] -= excess
    for place in range(len(moved) - 2, -1, -1):
        moved[place] = min(moved[place], moved[place + 1] - LABEL_GAP)
    return moved
