"""The loss of paths against updates, and the time to leave a saddle or a plateau against batch size."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from jaxgd.reports.figures.surfaces import rate_note, size_text
from jaxgd.reports.scales import log_text, rounded, short_count, thin
from jaxgd.reports.style import GREY, band, base_layout, colour_of, log_axis, symbol_of

MOST_POINTS = 200  # of one curve; more do not show
LEAST = 1e-12  # what a logarithmic axis shows of a loss that has reached its lowest


def loss_curves(paths: xr.Dataset, lowest: float | None = None) -> go.Figure:
    """The loss above the lowest one against updates, logarithmic: the median over starts and seeds.

    Args:
        paths: from `explore`, with one rate and one batch size.
        lowest: the surface's lowest value; None: the lowest that any path met.
    """
    lowest = float(paths.loss.min()) if lowest is None else lowest
    rounding = np.finfo(paths.loss.dtype).eps * abs(lowest)  # a smaller difference says nothing
    above = np.maximum(paths.loss - lowest, max(LEAST, rounding))
    runs = [dim for dim in ("start", "seed", "batch_size") if dim in above.dims]
    middle = above.median(runs)
    figure = go.Figure()
    shown = thin(middle.sizes["updates"], MOST_POINTS)
    for place, name in enumerate(middle.optimizer.values):
        rate = float(paths.learning_rate.sel(optimizer=name).squeeze())
        figure.add_scatter(
            name=f"{escape(str(name))}, rate {rate:g}",
            meta=str(name),
            x=middle.updates.values[shown].tolist(),
            y=rounded(middle.sel(optimizer=name).values[shown]),
            hovertemplate=f"<b>{escape(str(name))}</b>, update %{{x}}: %{{y:.3g}}<extra></extra>",
            mode="lines+markers",
            line={"color": colour_of(place), "width": 2},
            marker={"symbol": symbol_of(place), "size": 7, "maxdisplayed": 8},
        )
    across = {"title": {"text": "updates"}}
    upwards = log_axis(float(middle.min()), float(middle.max()), log_text)
    upwards |= {"title": {"text": "loss − lowest loss"}}
    return figure.update_layout(base_layout(f"loss above the lowest: {rate_note(paths)}", across, upwards))


def escape_curves(times: xr.Dataset, expected: Mapping[float, float] | None = None) -> go.Figure:
    """The median of updates until a run left, by batch size, in a band of the middle half of the seeds.

    The full batch stands at the right, beside the sizes. An open triangle at the top: most never left.

    Args:
        times: from `escape_times`.
        expected: mean times by batch size, to be drawn as a dashed line: see `mean_escape_time`.
    """
    sizes = np.sort(times.batch_size.values)
    places, texts = _places(sizes)
    most = float(times.attrs["most"])
    figure = go.Figure()
    for index, name in enumerate(times.optimizer.values):
        runs = times.updates.sel(optimizer=name, batch_size=sizes).transpose("batch_size", "seed").values
        low, middle, high = np.quantile(np.minimum(runs, most), (0.25, 0.5, 0.75), axis=1)
        never = ~np.isfinite(np.median(runs, axis=1))
        colour, most_left = colour_of(index), np.flatnonzero(~never)
        figure.add_traces(band(np.take(places, most_left), low[most_left], high[most_left], colour))
        words = [_words(row, size, most) for row, size in zip(runs, sizes, strict=True)]
        for these, symbol in ((~never, symbol_of(index)), (never, "triangle-up-open")):
            figure.add_scatter(
                name=escape(str(name)),
                legendgroup=str(name),
                showlegend=these is not never,
                x=places,
                y=rounded(np.where(these, middle, np.nan)),
                customdata=words,
                hovertemplate=f"<b>{escape(str(name))}</b>, %{{customdata}}<extra></extra>",
                mode="lines+markers" if these is not never else "markers",
                line={"color": colour, "width": 2},
                marker={"symbol": symbol, "size": 9, "color": colour},
            )
    if expected:
        at = [places[sizes.tolist().index(size)] for size in expected]
        dash: dict[str, Any] = {"color": GREY, "width": 2, "dash": "dash"}
        figure.add_scatter(
            name="mean, computed", x=at, y=rounded(list(expected.values())), mode="lines", line=dash
        )
    across = {"tickvals": rounded(places), "ticktext": texts, "title": {"text": "batch size"}}
    finite = times.updates.values[np.isfinite(times.updates.values)]
    upwards = log_axis(float(finite.min()) if finite.size else 1.0, most, short_count)
    upwards |= {"title": {"text": "updates"}}
    return figure.update_layout(base_layout("updates until a run has left", across, upwards))


def _places(sizes: np.ndarray) -> tuple[list[float], list[str]]:
    """Where batch sizes stand on the axis and what they are called; the full batch one step to the right."""
    finite = np.log2(sizes[np.isfinite(sizes)])
    step = float(np.diff(finite).mean()) if len(finite) > 1 else 1.0
    end = float(finite.max()) + step if len(finite) else 0.0
    places = [float(np.log2(size)) if np.isfinite(size) else end for size in sizes]
    return places, ["full" if np.isinf(size) else f"{size:g}" for size in sizes]


def _words(row: np.ndarray, size: float, most: float) -> str:
    left = float(np.isfinite(row).mean())
    middle = np.median(row)
    time = f"median {middle:g} updates" if np.isfinite(middle) else f"most not within {most:g} updates"
    return f"{size_text(size)}: {time}, {100 * left:.0f} % left"
