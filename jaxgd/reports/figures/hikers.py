"""The hikers' picture: the landscape that each sees, and the step that it takes there."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from jaxgd.landscape.surfaces.three_hikers import FEATURES, Hike, Hikers
from jaxgd.reports.scales import rounded
from jaxgd.reports.style import COLOURS, GREY, base_layout, xy

SEES = ("the map: all examples", "a flashlight: one mini-batch", "its feet: one example")
CELLS = 31  # of the contours, along each axis
RANGES = ((-0.8, 1.0), (-0.6, 1.0))


def hiker_panels(hikers: Hikers, seen: int | None = None, frames: int = 0) -> go.Figure:
    """Three panels, one for each hiker: its way so far, and its step over the contours of the batch it saw.

    Grey contours are the loss over all examples, coloured ones the loss over the very batch of the step.

    Args:
        hikers: from `jaxgd.landscape.hikers`.
        seen: the examples seen, the clock that all share; None: the first epoch.
        frames: how many times of the clock a slider offers; 0 for a picture of one.
    """
    seen = len(hikers.targets) if seen is None else seen
    figure = go.Figure(layout=base_layout(""))
    for place, walk in enumerate(hikers.walks):
        figure.add_traces([_contours(hikers, None, GREY, 0.9, place), *_moment(hikers, walk, place, seen)])
    times = sorted({*_times(hikers, frames), seen}) if frames else []
    figure.frames = [_frame(hikers, time) for time in times]
    if times:
        figure.update_layout(sliders=[_slider(times, seen)])
    figure.update_layout(showlegend=False, height=460 if times else 360, width=1040, margin={"t": 64})
    for place, walk in enumerate(hikers.walks):
        _add_axes(figure, place, walk, hikers.rates_tried)
    return figure


def _times(hikers: Hikers, frames: int) -> list[int]:
    """Examples seen, every one at first and ever farther apart."""
    last = int(hikers.walks[-1].seen[-1])
    return sorted({round(x) for x in np.geomspace(1, last, frames)} | {len(hikers.targets), last})


def _frame(hikers: Hikers, seen: int) -> go.Frame:
    data = [trace for place, walk in enumerate(hikers.walks) for trace in _moment(hikers, walk, place, seen)]
    traces = [4 * place + k for place in range(len(hikers.walks)) for k in (1, 2, 3)]
    return go.Frame(name=str(seen), data=data, traces=traces)


def _slider(times: list[int], seen: int) -> dict:
    quick = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    steps = [{"label": f"{time:,}", "method": "animate", "args": [[str(time)], quick]} for time in times]
    return {
        "steps": steps,
        "active": times.index(seen) if seen in times else 0,
        "currentvalue": {"prefix": "examples seen: "},
        "pad": {"t": 64},
        "len": 1.0,
    }


def _axis(place: int) -> dict[str, Any]:
    suffix = str(place + 1) if place else ""
    return {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}


def _contours(hikers: Hikers, rows: np.ndarray | None, colour: str, width: float, place: int) -> go.Contour:
    """The loss over some of the examples, or all."""
    x, y = (np.linspace(*ends, CELLS) for ends in RANGES)
    losses = hikers.loss(np.stack(np.meshgrid(x, y), axis=-1), rows)
    low = float(losses.min())
    # Evenly spaced in the square root of the height: the contours of a bowl are then evenly apart.
    heights = np.sqrt(np.maximum(losses - low, 0))
    return go.Contour(
        x=rounded(x),
        y=rounded(y),
        z=rounded(heights),
        contours={"coloring": "none"},
        ncontours=12,
        line={"color": colour, "width": width},
        showscale=False,
        hoverinfo="skip",
        **_axis(place),
    )


def _moment(hikers: Hikers, walk: Hike, place: int, seen: int) -> list[Any]:
    """What changes with time: contours of the batch of the last step, the way, and the step."""
    made = int(np.searchsorted(walk.seen, seen, side="right")) - 1
    step = max(made, 1)  # before the first step: the one that it is reading for
    way = walk.weights[: max(made, 0) + 1]
    ends = walk.weights[step - 1 : step + 1] if made else walk.weights[:1]
    colour = COLOURS[place]
    return [
        _contours(hikers, walk.batches[step - 1], colour, 1.4, place),
        go.Scatter(
            **xy(way),
            mode="lines",
            line={"color": colour, "width": 1.2},
            opacity=0.7,
            hoverinfo="skip",
            **_axis(place),
        ),
        go.Scatter(
            **xy(ends),
            mode="lines+markers",
            line={"color": colour, "width": 4},
            marker={"size": [9] if len(ends) == 1 else [4, 13], "symbol": "circle", "color": colour},
            hovertemplate=f"{walk.name}, {made} updates<extra></extra>",
            **_axis(place),
        ),
    ]


def _add_axes(figure: go.Figure, place: int, walk: Hike, tried: int) -> None:
    x, y = _axis(place).values()
    names = [f"weight of {name}" for name in FEATURES]
    titles = {x: names[0], y: names[1] if place == 0 else ""}
    for own, other, ends in ((x, y, RANGES[0]), (y, x, RANGES[1])):
        axis = {"anchor": other, "range": list(ends), "title": {"text": titles[own]}}
        axis |= {"showgrid": False, "zeroline": False}
        figure.update_layout({f"{own[0]}axis{own[1:]}": axis})
    slot = 1 / 3
    figure.update_layout({f"xaxis{x[1:]}": {"domain": [place * slot + 0.02, (place + 1) * slot - 0.02]}})
    title = f"<b>{walk.name}</b> sees {SEES[place]}"
    text = f"{title}<br>rate {walk.learning_rate:g}, the best of {tried}"
    refs = {"xref": f"{x} domain", "yref": f"{y} domain", "showarrow": False, "align": "left"}
    figure.add_annotation(text=text, x=0, y=1.0, xanchor="left", yanchor="bottom", yshift=6, **refs)
