"""What batch size does: updates and examples to a goal, best rates and noise scales, each by batch size."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from jaxgd.reports.scales import log_text, rounded, short_count
from jaxgd.reports.style import GREY, colour_of, layout_with_legend, log_axis, symbol_of, value_axis
from jaxgd.studies.batch_size.found import MethodStudy, NoiseAt
from jaxgd.studies.scaling.measured import AT_LEAST, AT_MOST, MeasuredSteps

_WHAT = {"updates": "updates to the goal", "examples": "examples to the goal"}


def steps_curves(
    methods: Sequence[MethodStudy], what: str = "updates", marked: float | None = None
) -> go.Figure:
    """Updates, or examples, to the goal by batch size, with intervals and the fit `Smin + Emin / B`.

    Open symbols are ends: a triangle upwards where some seeds miss and the number is a lower end, downwards
    where the first evaluation was at the goal already. A batch size at which the goal is not reached has no
    symbol.

    Args:
        methods: what batch size does to each, of `jaxgd.studies.study_of(...).methods`.
        what: "updates" or "examples".
        marked: a batch size to mark.
    """
    sizes = methods[0].steps.batch_sizes
    traces: list[Any] = []
    for place, one in enumerate(methods):
        traces += _curve(place, one, what)
    heights = [y for trace in traces for y in trace["y"] if y]
    if not heights:
        heights = [1.0, 10.0]
    best = methods[0]
    if what == "updates" and best.steps.is_reached.any():
        traces.insert(0, _perfect(best.steps))
    layout = layout_with_legend(
        f"{_WHAT[what]}, by batch size",
        _size_axis(sizes),
        {**log_axis(min(heights), max(heights), short_count), "title": {"text": _WHAT[what]}},
    )
    return go.Figure(traces, _marked(layout, marked))


def best_rates(methods: Sequence[MethodStudy], marked: float | None = None) -> go.Figure:
    """The best learning rate by batch size, with its fitted power; open where it is the end of its grid."""
    traces: list[Any] = []
    for place, one in enumerate(methods):
        steps, colour, name = one.steps, colour_of(place), escape(one.steps.method) or "best rate"
        kept = np.isfinite(steps.learning_rates)
        edges = [edge for edge, there in zip(steps.edges, kept, strict=True) if there]
        symbols = [symbol_of(place) + ("-open" if edge else "") for edge in edges]
        traces.append(
            {
                "name": name,
                "x": rounded(steps.batch_sizes[kept]),
                "y": rounded(steps.learning_rates[kept]),
                "mode": "markers",
                "marker": {"color": colour, "symbol": symbols, "size": 9},
                "hovertemplate": f"{name}, batch size %{{x}}: rate %{{y}}<extra></extra>",
            }
        )
        if math.isfinite(one.rates.exponent):
            ends = one.rates.batch_sizes[[0, -1]]
            traces.append(
                {
                    "name": f"{name}, power {one.rates.exponent:.2f}",
                    "x": rounded(ends),
                    "y": rounded(one.rates.factor * ends**one.rates.exponent),
                    "mode": "lines",
                    "line": {"color": colour, "width": 1.5, "dash": "dash"},
                    "hoverinfo": "skip",
                    "showlegend": False,
                }
            )
    heights = [y for trace in traces for y in trace["y"] if y] or [1e-3, 1.0]
    layout = layout_with_legend(
        "best learning rate, by batch size",
        _size_axis(methods[0].steps.batch_sizes),
        {**log_axis(min(heights), max(heights), log_text), "title": {"text": "learning rate"}},
    )
    return go.Figure(traces, _marked(layout, marked))


def noise_curve(noise: NoiseAt, critical: float = math.nan) -> go.Figure:
    """The gradient noise scale along training, with intervals, beside the critical batch size measured."""
    known = [k for k, one in enumerate(noise.scales) if math.isfinite(one.value)]
    x, scales = noise.epochs[known], [noise.scales[k] for k in known]
    values = np.array([one.value for one in scales])
    high = np.array([one.high if math.isfinite(one.high) else one.value for one in scales])
    low = np.array([one.low if one.low > 0 else one.value for one in scales])
    traces: list[Any] = [
        {
            "name": "noise scale",
            "x": rounded(x),
            "y": rounded(values),
            "error_y": _errors(values, low, high, colour_of(0)),
            "mode": "lines+markers",
            "marker": {"color": colour_of(0), "size": 7},
            "hovertemplate": "epoch %{x}: %{y} examples<extra></extra>",
        }
    ]
    heights = [*values, *low, *high]
    if math.isfinite(critical):
        traces.append(
            {
                "name": "critical batch size measured, by the fit",
                "x": rounded([0, x.max() if x.size else 1]),
                "y": rounded([critical, critical]),
                "mode": "lines",
                "line": {"color": GREY, "dash": "dot"},
                "hoverinfo": "skip",
            }
        )
        heights.append(critical)
    heights = [height for height in heights if height > 0] or [1.0, 10.0]
    layout = layout_with_legend(
        "gradient noise scale, along training",
        {"title": {"text": "epoch"}, "rangemode": "tozero"},
        {**log_axis(min(heights), max(heights), short_count), "title": {"text": "examples"}},
    )
    return go.Figure(traces, layout)


def _curve(place: int, one: MethodStudy, what: str) -> list[dict]:
    """The points of a method with their intervals, and its fit."""
    steps, colour = one.steps, colour_of(place)
    name = escape(steps.method) or what
    factor = steps.batch_sizes if what == "examples" else np.ones(len(steps.batch_sizes))
    kept = np.isfinite(steps.steps)
    words = [word for word, there in zip(steps.found, kept, strict=True) if there]
    sizes, scale = steps.batch_sizes[kept], factor[kept]
    values = steps.steps[kept] * scale
    low = np.where(np.isfinite(steps.low) & (steps.low > 0), steps.low * factor, np.nan)[kept]
    high = np.where(np.isfinite(steps.high), steps.high * factor, np.nan)[kept]
    signs = {AT_LEAST: "triangle-up-open", AT_MOST: "triangle-down-open"}
    traces = [
        {
            "name": name,
            "x": rounded(sizes),
            "y": rounded(values),
            "error_y": _errors(values, low, high, colour),
            "mode": "lines+markers",
            "line": {"color": colour, "width": 1.5},
            "marker": {
                "color": colour,
                "size": 8,
                "symbol": [signs.get(word, symbol_of(place)) for word in words],
            },
            "text": words,
            "hovertemplate": f"{name}, batch size %{{x}}: %{{y}} {what} (%{{text}})<extra></extra>",
        }
    ]
    fit = one.critical.fit
    if math.isfinite(fit.value):
        fine = np.geomspace(steps.batch_sizes[0], steps.batch_sizes[-1], 40)
        line = fit.fewest_updates + fit.fewest_examples / fine
        traces.append(
            {
                "name": f"{name}: Smin + Emin / B",
                "x": rounded(fine),
                "y": rounded(line * (fine if what == "examples" else 1)),
                "mode": "lines",
                "line": {"color": colour, "width": 1.5, "dash": "dash"},
                "hoverinfo": "skip",
                "showlegend": place == 0,
            }
        )
    return traces


def _perfect(steps: MeasuredSteps) -> dict:
    """The line of perfect scaling, through the batch size of fewest examples."""
    kept = steps.is_reached
    least = float(steps.examples[kept].min())
    ends = steps.batch_sizes[kept][[0, -1]]
    return {
        "name": "perfect scaling, 1 / B",
        "x": rounded(ends),
        "y": rounded(least / ends),
        "mode": "lines",
        "line": {"color": GREY, "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }


def _errors(values: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> dict:
    up, down = np.nan_to_num(high - values), np.nan_to_num(values - low)
    return {
        "type": "data",
        "symmetric": False,
        "array": rounded(up),
        "arrayminus": rounded(down),
        "color": colour,
        "thickness": 1.2,
        "width": 3,
    }


def _size_axis(sizes: np.ndarray) -> dict:
    return {**value_axis("batch size", sizes, [f"{size:g}" for size in sizes]), "type": "log"}


def _marked(layout: dict, size: float | None) -> dict:
    """The layout with a band at a batch size."""
    if size is None:
        return layout
    line = {
        "type": "line",
        "x0": size,
        "x1": size,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": GREY, "width": 10},
        "opacity": 0.25,
        "layer": "below",
    }
    return {**layout, "shapes": [line]}
