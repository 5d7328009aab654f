"""Learning curves of one optimizer: BGD, mini-batches and SGD, against epochs, updates or seconds."""

import numpy as np
import plotly.graph_objects as go

from jaxgd.reports.scales import ScoreScale, rounded, score_scale, seconds_text, short_count, thin
from jaxgd.reports.style import COLOURS, SYMBOLS, base_layout, batch_sizes, faint, log_axis, regime_name
from jaxgd.specs.wording import count_text
from jaxgd.studies.comparison.comparing import Comparison

CLOCKS = {"epochs": "epochs", "updates": "updates", "seconds": "seconds of training"}  # and axis titles
MOST_POINTS = 60  # of one curve; more do not show


def measures(comparison: Comparison) -> list[str]:
    """What curves can show: the deciding score first, then the loss."""
    return list(dict.fromkeys([comparison.score, "loss"]))


def learning_curves(
    comparison: Comparison, optimizer: str | None = None, clock: str = "epochs", measure: str | None = None
) -> go.Figure:
    """Validation curves of an optimizer (the best one if None), each batch size at its best rate.

    The fresh seeds are faint lines, their mean a strong one, which ends where a seed diverges (marked x).
    The clock is "epochs", "updates" or "seconds".
    """
    optimizer = comparison.cells[0].optimizer if optimizer is None else optimizer
    measure = comparison.score if measure is None else measure
    scale = curve_scale(comparison, measure)
    figure = go.Figure()
    for index, batch_size in enumerate(batch_sizes(comparison)):
        figure.add_traces(_curve(comparison, optimizer, batch_size, clock, measure, scale, index))
    figure.update_layout(base_layout(f"{optimizer}: validation {measure}, fresh seeds"))
    figure.update_xaxes(clock_axis(comparison, clock))
    figure.update_yaxes(_score_axis(comparison, measure, scale))
    return figure


def clock_values(comparison: Comparison, optimizer: str, batch_size: int, clock: str) -> list:
    """Where a run's points stand on a clock; seconds are those of the run alone on the device, compiled."""
    place = {"optimizer": optimizer, "batch_size": batch_size}
    points = _points(comparison)
    if clock == "epochs":
        return comparison.fresh.epoch.values[points].tolist()
    # A diverged seed stops counting; the others have the run's counts.
    updates = comparison.fresh.updates.sel(place).max("seed").values[points]
    if clock == "updates":
        return updates.tolist()
    return rounded(updates * float(comparison.clock.seconds_per_update.sel(place)))


def clock_axis(comparison: Comparison, clock: str) -> dict:
    """The horizontal axis of learning curves, the same for every optimizer."""
    values = [
        clock_values(comparison, optimizer, size, clock)
        for optimizer in comparison.fresh.optimizer.values
        for size in batch_sizes(comparison)
    ]
    low, high = np.min(values), np.max(values)
    if clock == "epochs":
        pad = 0.02 * (high - low) or 0.5
        return {"title": {"text": CLOCKS[clock]}, "range": [low - pad, high + pad]}
    write = short_count if clock == "updates" else seconds_text
    return {"title": {"text": CLOCKS[clock]}, **log_axis(low, high, write)}


def curve_scale(comparison: Comparison, measure: str) -> ScoreScale:
    """The vertical scale of learning curves, the same for every optimizer."""
    return score_scale(comparison.fresh[f"valid_{measure}"], measure, comparison.about["num_valid"])


def _points(comparison: Comparison) -> list[int]:
    return thin(comparison.fresh.sizes["epoch"], MOST_POINTS)


def _score_axis(comparison: Comparison, measure: str, scale: ScoreScale) -> dict:
    """The vertical axis of learning curves. Its worse end is that of the means: a wild seed may leave it."""
    runs = comparison.fresh[f"valid_{measure}"]
    means, best = scale.position(runs.mean("seed", skipna=False)), scale.position(runs)
    means, best = means[np.isfinite(means)], best[np.isfinite(best)]
    if not means.size:
        return {"showticklabels": False}
    worse = np.quantile(means, 0.005 if scale.better > 0 else 0.995)
    low, high = sorted((worse, best.max() if scale.better > 0 else best.min()))
    pad = 0.06 * (high - low) or 0.1
    places, texts = scale.ticks(low - pad, high + pad)
    return {"range": rounded([low - pad, high + pad]), "tickvals": rounded(places), "ticktext": texts}


def _curve(
    comparison: Comparison,
    optimizer: str,
    batch_size: int,
    clock: str,
    measure: str,
    scale: ScoreScale,
    index: int,
) -> list[go.Scatter]:
    """The traces of one batch size: a faint line for each seed, then the mean."""
    runs = comparison.fresh.sel(optimizer=optimizer, batch_size=batch_size)
    name = regime_name(batch_size, comparison.about["num_train"])
    x = clock_values(comparison, optimizer, batch_size, clock)
    values = runs[f"valid_{measure}"].transpose("seed", "epoch").values[:, _points(comparison)]
    means = values.mean(axis=0)
    colour = COLOURS[index % len(COLOURS)]
    seeds = [_seed(seed, scale, colour, x=x, legendgroup=name) for seed in values]
    mean = go.Scatter(
        name=name,
        legendgroup=name,
        x=x,
        y=rounded(scale.position(means)),
        text=[scale.text(value) for value in means],
        customdata=_moments(comparison, optimizer, batch_size),
        hovertemplate="<b>%{fullData.name}</b>: %{text}<br>%{customdata}<extra></extra>",
        mode="lines+markers",
        line={"color": colour, "width": 2.5},
        marker={"symbol": SYMBOLS[index % len(SYMBOLS)], "size": 7, "maxdisplayed": 24},
    )
    return [*seeds, mean]


def _seed(values: np.ndarray, scale: ScoreScale, colour: str, **trace) -> go.Scatter:
    """One seed's faint line, with an x where it ends early."""
    y = rounded(scale.position(values))
    thin_line = {"color": faint(colour, 0.35), "width": 1}
    line = go.Scatter(y=y, mode="lines", line=thin_line, hoverinfo="skip", showlegend=False, **trace)
    finite = np.flatnonzero(np.isfinite(values))
    if 0 < finite.size < values.size:
        sizes = [9 if point == finite[-1] else 0 for point in range(values.size)]
        line.update(mode="lines+markers", marker={"symbol": "x-thin", "size": sizes})
        line.update(marker_line={"color": colour, "width": 2})
    return line


def _moments(comparison: Comparison, optimizer: str, batch_size: int) -> list[str]:
    """Each point's place on all three clocks, in words."""
    clocks = (clock_values(comparison, optimizer, batch_size, clock) for clock in CLOCKS)
    return [
        f"epoch {epoch}, {count_text(updates, 'update')}, {seconds_text(seconds)}"
        for epoch, updates, seconds in zip(*clocks, strict=True)
    ]
