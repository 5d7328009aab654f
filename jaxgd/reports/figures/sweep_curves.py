"""Learning curves of a sweep: the best point at each value of an axis, its seeds as faint lines."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from jaxgd.arguments import one_of
from jaxgd.reports.figures.scores import (
    Scores,
    check_axis,
    labels,
    point_texts,
    score_axis,
    scores_of,
    sweep_layout,
)
from jaxgd.reports.scales import rounded, short_count, thin
from jaxgd.reports.style import COLOURS, SYMBOLS, log_axis
from jaxgd.sweeps import SweepResult

CLOCKS = ("epochs", "updates")
_MOST_POINTS = 60  # of one curve; more do not show


def learning_curves(
    result: SweepResult,
    metric: str | None = None,
    by: str | None = None,
    clock: str = "epochs",
    over: str | Sequence[str] | None = None,
    mode: str | None = None,
    **where: Any,
) -> go.Figure:
    """A metric over the epochs: for each value of an axis its best point, the mean over seeds.

    Each seed is a faint line, which ends where the run stops. The best point of a value is the one with the
    best mean as its runs ended; a value at which every point has a run that diverged has no curve.

    Args:
        result: a sweep's result.
        metric: a variable of the dataset; the validation accuracy or loss if None.
        by: the axis; the batch size, the optimizer or the first axis if None. At most eight of its values
            are shown, the best ones.
        clock: "epochs" or "updates".
        over: the axes that are averaged over; `seed` if None and there is one.
        mode: "min" or "max", for metrics of which the name does not say it.
        **where: the part of the sweep that is shown, such as `optimizer="adam"`.

    Raises:
        ValueError: an unknown axis, metric, clock or coordinate.
    """
    scores = scores_of(result, metric, over, mode, where)
    one_of("clock", clock, CLOCKS)
    if by is None:
        varied = [name for name in scores.axes if scores.last.sizes[name] > 1] or scores.axes
        by = next((name for name in ("batch_size", "optimizer", *varied) if name in varied), None)
    else:
        check_axis("by", by, scores.axes)
    points = _shown_points(scores, by)
    texts = np.array(point_texts(result, scores), object).reshape(scores.last.shape)
    figure = go.Figure(
        layout=sweep_layout(f"{scores.metric}, best point of each {by}" if by else scores.metric)
    )
    for index, place in enumerate(points):
        at = scores.last.isel(place)
        name = labels(result, by, np.atleast_1d(at[by].values))[0] if by else scores.metric
        text = texts[tuple(place[axis] for axis in scores.axes)]
        figure.add_traces(_curve(scores, place, f"{by} {name}" if by else name, text, clock, index))
    figure.update_xaxes(_clock_axis(scores, points, clock))
    figure.update_yaxes(score_axis(scores, scores.scale.position(_extent(scores, points))))
    return figure


def _extent(scores: Scores, points: list[dict[str, int]]) -> np.ndarray:
    """What the vertical axis must hold: the means, and the best of the seeds (a wild one may leave it)."""
    runs = [scores.runs.isel(place).values for place in points]
    best = [run[np.isfinite(run)] for run in runs]
    best = [scores.sign * (scores.sign * run).min() for run in best if run.size]
    return np.concatenate([*(run.mean(axis=0) for run in runs), best]) if runs else np.array([])


def _shown_points(scores: Scores, by: str | None) -> list[dict[str, int]]:
    """The best point at each value of the axis; of many values the best, in the order of the axis."""
    if by is None:
        return [{}]
    points = scores.best_along(by)
    points.sort(key=lambda place: scores.sign * float(scores.last.isel(place)))
    return sorted(points[: len(COLOURS)], key=lambda place: place[by])


def _curve(
    scores: Scores, place: dict[str, int], name: str, text: str, clock: str, index: int
) -> list[go.Scatter]:
    """The traces of one point: a faint line for each run, then the mean."""
    runs, ends = scores.runs.isel(place).values, scores.ends.isel(place).values
    updates = scores.clock.isel(place).values
    scale, colour = scores.scale, COLOURS[index % len(COLOURS)]
    traces = []
    for run, end, made in zip(runs, ends, updates, strict=True) if len(runs) > 1 else ():
        x = (made if clock == "updates" else scores.runs.epoch.values)[: int(end) + 1]
        points = thin(len(x), _MOST_POINTS)
        faint = {"color": colour, "width": 1}
        line = go.Scatter(
            x=x[points].tolist(), y=rounded(scale.position(run[points])), mode="lines", line=faint
        )
        traces.append(line.update(opacity=0.4, hoverinfo="skip", showlegend=False, legendgroup=name))
    last = int(ends.max())
    x = (updates.max(axis=0) if clock == "updates" else scores.runs.epoch.values)[: last + 1]
    points = thin(len(x), _MOST_POINTS)
    means = runs.mean(axis=0)[points]
    mean = go.Scatter(
        name=escape(name),
        legendgroup=name,
        x=x[points].tolist(),
        y=rounded(scale.position(means)),
        text=[scale.text(value) for value in means],
        meta=escape(text),
        hovertemplate=f"%{{text}} at %{{x}} {clock}<br>%{{meta}}<extra></extra>",
        mode="lines+markers",
        line={"color": colour, "width": 2.5},
        marker={"symbol": SYMBOLS[index % len(SYMBOLS)], "size": 7, "maxdisplayed": 24},
    )
    return [*traces, mean]


def _clock_axis(scores: Scores, points: list[dict[str, int]], clock: str) -> dict:
    if clock == "epochs" or not points:
        epochs = scores.runs.epoch.values
        pad = 0.02 * (epochs[-1] - epochs[0]) or 0.5
        return {"title": {"text": "epochs"}, "range": [float(epochs[0] - pad), float(epochs[-1] + pad)]}
    updates = [scores.clock.isel(place).values for place in points]
    low, high = max(1, min(int(x[:, 0].max()) for x in updates)), max(int(x.max()) for x in updates)
    return {"title": {"text": "updates"}, **log_axis(low, high, short_count)}
