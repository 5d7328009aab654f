"""Learning curves: the best point at each value of an axis, its seeds as faint lines, on several clocks."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from jaxgd.arguments import one_of
from jaxgd.reports.figures.scores import RUN, Scores, on_the_clock, score_axis, scores_of, sweep_layout
from jaxgd.reports.scales import rounded, seconds_text, short_count, thin
from jaxgd.reports.style import COLOURS, colour_of, faint, log_axis, regime_name, symbol_of
from jaxgd.specs.wording import count_text
from jaxgd.sweeps import SweepResult
from jaxgd.training.states import NOT_RUN

MOST_POINTS = 60  # of one curve; more do not show
_TITLES = {"examples": "training examples", "seconds": "seconds of training"}  # of axes, others by name


def learning_curves(
    result: SweepResult | xr.Dataset,
    metric: str | None = None,
    by: str | None = None,
    clock: str = "epochs",
    over: str | Sequence[str] | None = None,
    mode: str | None = None,
    **where: Any,
) -> go.Figure:
    """A metric over training: for each value of an axis its best point, the mean over seeds.

    Each seed is a faint line, which ends where the run stops, with an x where it diverged; so does the mean.
    The best point of a value is the one with the best mean as its runs ended; a value at which every one of
    several points has a run that diverged or was not run has no curve. The axes are those of the whole sweep,
    so that its parts can be compared; `layout.meta["clocks"]` says where the points of every trace stand on
    each clock.

    Args:
        result: a sweep's result, or a dataset like it: `comparison.fresh`, say.
        metric: a variable of the dataset; the validation accuracy or loss if None.
        by: the axis; the batch size, the optimizer or the first axis if None. At most eight of its values
            are shown, the best ones.
        clock: "epochs", "updates", "examples" or "seconds", as far as the dataset has them. Seconds of a
            result that has none are measured first, as `result.clocked()` does.
        over: the axes that are averaged over; `seed` if None and there is one.
        mode: "min" or "max", for metrics of which the name does not say it.
        **where: the part of the sweep that is shown, such as `optimizer="adam"`.

    Raises:
        ValueError: an unknown axis, metric, clock or coordinate.
    """
    if clock == "seconds" and isinstance(result, SweepResult):
        result = on_the_clock(result)
    return curves_of(scores_of(result, metric, over, mode, where), by, clock, where)


def curves_of(scores: Scores, by: str | None, clock: str, where: Mapping[str, Any]) -> go.Figure:
    """`learning_curves` of scores."""
    one_of("clock", clock, scores.clocks)
    by = _default_axis(scores, where) if by is None else by
    if by is not None:
        one_of("by", by, scores.axes)
    whole = _shown(scores, by, where)
    chosen = whole.part(where).at_best(*([by] if by else []))
    curves = [chosen.isel({by: place}) for place in range(chosen.last.sizes[by])] if by else [chosen]
    made: list[tuple[dict, dict[str, list]]] = []
    is_single = all(scores.last.sizes[name] == 1 for name in scores.axes if name not in (by, *where))
    for index, curve in enumerate(curves):
        if is_single or np.isfinite(curve.badness):
            made += _traces(curve, by, index)
    clocks = {name: _clock(whole, name, [x[name] for _, x in made]) for name in whole.clocks}
    traces = [{"x": x[clock], **trace} for trace, x in made]
    title = f"{scores.metric}, best point of each {by}" if by else scores.metric
    meta = {"clocks": clocks, "clock": clock, "better": scores.scale.better, "note": scores.scale.note}
    layout = sweep_layout(title, clocks[clock]["xaxis"], score_axis(scores, _extent(whole)))
    return go.Figure(traces, {**layout, "meta": meta})


def _default_axis(scores: Scores, where: Mapping[str, Any]) -> str | None:
    axes = [name for name in scores.axes if name not in where] or scores.axes
    varied = [name for name in axes if name in scores.varied] or axes
    return next((name for name in ("batch_size", "optimizer", *varied) if name in varied), None)


def _shown(scores: Scores, by: str | None, where: Mapping[str, Any]) -> Scores:
    """The best points along the axes; of many values of `by` the best, in the order of the axis."""
    best = scores.at_best(*dict.fromkeys(name for name in (by, *where) if name in scores.axes))
    if by is None:
        return best
    least = best.badness.min([name for name in best.axes if name != by]).values
    return best.isel({by: np.sort(np.argsort(least, kind="stable")[: len(COLOURS)])})


def _extent(scores: Scores) -> np.ndarray:
    """What the vertical axis must hold: the means, and the best of the seeds (a wild one may leave it)."""
    means = scores.scale.position(scores.runs.mean(RUN, skipna=False))
    best = scores.scale.position(scores.runs)
    means, best = means[np.isfinite(means)], best[np.isfinite(best)]
    if not means.size:
        return best
    is_up = scores.scale.better > 0
    return np.array([np.quantile(means, 0.005 if is_up else 0.995), best.max() if is_up else best.min()])


def _traces(curve: Scores, by: str | None, index: int) -> list[tuple[dict, dict[str, list]]]:
    """The traces of one point, each with its place on every clock: a faint line for each run, the mean."""
    colour, name = colour_of(index), escape(_name(curve, by) + _missing(curve))
    runs, ends = curve.runs.values, curve.ends.values
    clocks = {clock: values.values for clock, values in curve.clocks.items()}
    made = []
    absent = curve.not_run.values
    for run, end in enumerate(ends) if len(runs) > 1 else ():
        if absent[run]:
            continue
        points = thin(int(end) + 1, MOST_POINTS)
        x = {clock: _numbers(values[run][points]) for clock, values in clocks.items()}
        made.append(({**_seed(curve.scale.position(runs[run][points]), colour), "legendgroup": name}, x))
    points = thin(int(ends.max()) + 1, MOST_POINTS)
    # A run that diverged or stopped no longer counts; the others have the counts of the point.
    x = {clock: _numbers(values.max(axis=0)[points]) for clock, values in clocks.items()}
    means = runs.mean(axis=0)[points]
    mean = {
        "name": name,
        "legendgroup": name,
        "y": rounded(curve.scale.position(means)),
        "text": [NOT_RUN if absent.any() else curve.scale.text(value) for value in means],
        "customdata": [_moment(dict(zip(x, at, strict=True))) for at in zip(*x.values(), strict=True)],
        "meta": escape(str(curve.texts)),
        "hovertemplate": "%{text} after %{customdata}<br>%{meta}<extra></extra>",
        "mode": "lines+markers",
        "line": {"color": colour, "width": 2.5},
        "marker": {"symbol": symbol_of(index), "size": 7, "maxdisplayed": 24},
    }
    return [*made, (mean, x)]


def _numbers(values: np.ndarray) -> list:
    return values.tolist() if values.dtype.kind in "iu" else rounded(values, 6)


def _name(curve: Scores, by: str | None) -> str:
    """What the legend calls a curve; batch sizes by their regime where the full batch is known."""
    if by is None:
        return curve.metric
    value = curve.last[by].values
    if by == "batch_size" and curve.full is not None:
        return regime_name(int(value), curve.full)
    return f"{by} {curve.labels(by, [value.item()])[0]}"


def _missing(curve: Scores) -> str:
    """What the legend says of runs that were not run: they have no line, and so there is no mean."""
    absent = curve.not_run.values
    return f" ({int(absent.sum())} of {count_text(absent.size, 'run')} not run)" if absent.any() else ""


def _seed(positions: np.ndarray, colour: str) -> dict[str, Any]:
    """One run's faint line, with an x where it ends early."""
    line = {"y": rounded(positions), "line": {"color": faint(colour, 0.35), "width": 1}}
    line |= {"mode": "lines", "hoverinfo": "skip", "showlegend": False}
    finite = np.flatnonzero(np.isfinite(positions))
    if 0 < finite.size < positions.size:
        sizes = [9 if point == finite[-1] else 0 for point in range(positions.size)]
        cross = {"symbol": "x-thin", "size": sizes, "line": {"color": colour, "width": 2}}
        return {**line, "mode": "lines+markers", "marker": cross}
    return line


def _moment(at: dict[str, float]) -> str:
    """A place on all clocks, in words: "epoch 3, 102 updates, 3.2 ms"."""
    words = [f"epoch {at['epochs']:g}"]
    words += [count_text(int(at[name]), name[:-1]) for name in ("updates", "examples") if name in at]
    return ", ".join([*words, *([seconds_text(at["seconds"])] if "seconds" in at else [])])


def _clock(scores: Scores, clock: str, traces: list[list]) -> dict[str, Any]:
    """Where points stand on a clock, `x[of[trace]]` those of a trace, and its axis."""
    different = list(dict.fromkeys(map(tuple, traces)))
    places = {x: place for place, x in enumerate(different)}
    return {"x": different, "of": [places[tuple(x)] for x in traces], "xaxis": _clock_axis(scores, clock)}


def _clock_axis(scores: Scores, clock: str) -> dict[str, Any]:
    """The horizontal axis on a clock, the same for every part."""
    values, title = scores.clocks[clock].max(RUN).values, {"title": {"text": _TITLES.get(clock, clock)}}
    first = values[..., 0][~scores.not_run.all(RUN).values]  # what was not run is at 0 of every clock
    low, high = float(first.min()) if first.size else 1.0, float(values.max()) or 1.0
    if clock == "epochs":
        pad = 0.02 * (high - low) or 0.5
        few = {"dtick": 1} if high - low <= 10 else {}  # or there were ticks between two epochs
        return {**title, "range": [low - pad, high + pad], **few}
    low = low if low > 0 else min(1.0, high)
    return {**title, **log_axis(low, high, seconds_text if clock == "seconds" else short_count)}
