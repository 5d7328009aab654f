"""Maps of an optimizer's final score over learning rate and batch size, with the ridge of best rates."""

from html import escape

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from jaxgd.reports.scales import ScoreScale, rounded, score_scale
from jaxgd.reports.style import GREY, base_layout, short_size, value_axis
from jaxgd.specs.wording import batch_text, count_text
from jaxgd.studies.comparison.cells import final_scores
from jaxgd.studies.comparison.comparing import Comparison

COLOUR_SCALE = "Viridis"


def rate_map(comparison: Comparison, optimizer: str | None = None) -> go.Figure:
    """The final validation score of an optimizer over learning rate x batch size, its mean over seeds.

    The ridge joins the best rate of each batch size. Where a seed diverged, hatching replaces the colour.
    """
    optimizer = comparison.cells[0].optimizer if optimizer is None else optimizer
    scale = map_scale(comparison)
    scores = _scores_over_rates(comparison, optimizer)
    low, high = map_range(comparison)
    x, y = np.log10(scores.learning_rate.values), np.log10(scores.batch_size.values)
    figure = go.Figure()
    figure.add_heatmap(
        x=edges(x),
        y=edges(y),
        z=rounded(scale.better * scale.position(scores.mean("seed", skipna=False).values)),
        text=_map_texts(comparison, optimizer, scores, scale),
        hovertemplate="%{text}<extra></extra>",
        colorscale=COLOUR_SCALE,
        zmin=low,
        zmax=high,
        xgap=1,
        ygap=1,
        colorbar=colour_bar(scale, low, high),
    )
    figure.add_traces([hatching(scores, x, y), *_ridge(comparison, optimizer)])
    figure.update_layout(
        base_layout(f"{optimizer}: final validation {comparison.score}"), hovermode="closest"
    )
    figure.update_xaxes(value_axis("learning rate", x, rate_labels(scores.learning_rate.values)))
    figure.update_xaxes(range=edges(x)[:: len(x)], tickangle=0)
    sizes = [short_size(comparison, int(size)) for size in scores.batch_size.values]
    figure.update_yaxes(value_axis("batch size", y, sizes), range=edges(y)[:: len(y)])
    return figure


def map_scale(comparison: Comparison) -> ScoreScale:
    """The colour scale of the maps, the same for every optimizer."""
    values = final_scores(comparison.grid, comparison.score).mean("seed", skipna=False)
    return score_scale(values, comparison.score, comparison.about["num_valid"])


def map_range(comparison: Comparison) -> tuple[float, float]:
    """The positions of the first and the last colour; the worst twentieth of all cells shares the first."""
    scale = map_scale(comparison)
    means = final_scores(comparison.grid, comparison.score).mean("seed", skipna=False).values
    positions = scale.better * scale.position(means[np.isfinite(means)])
    if not positions.size:
        return 0.0, 1.0
    low, high = np.quantile(positions, 0.05), positions.max()
    return float(low), float(max(high, low + 1e-6))


def rate_labels(rates: np.ndarray, most: int = 4) -> list[str]:
    """Texts beside the rates: at most so many, the others empty, which leaves their tick marks."""
    every = -(-len(rates) // most)
    return [f"{rate:g}" if index % every == 0 else "" for index, rate in enumerate(rates)]


def _scores_over_rates(comparison: Comparison, optimizer: str) -> xr.DataArray:
    """Final scores (batch_size, rate, seed) of an optimizer, sizes and rates ascending."""
    scores = final_scores(comparison.grid, comparison.score).sel(optimizer=optimizer)
    scores = scores.sortby("batch_size").sortby("learning_rate")
    return scores.transpose("batch_size", "rate", "seed")


def _map_texts(
    comparison: Comparison, optimizer: str, scores: xr.DataArray, scale: ScoreScale
) -> list[list[str]]:
    num_train = comparison.about["num_train"]
    rows = []
    for row, size in zip(scores.values, scores.batch_size.values, strict=True):
        cells = zip(row, scores.learning_rate.values, strict=True)
        start = f"<b>{escape(optimizer)}</b>, {batch_text(int(size), num_train)}"
        rows.append([f"{start}, rate {rate:g}<br>{_seeds_text(seeds, scale)}" for seeds, rate in cells])
    return rows


def _seeds_text(seeds: np.ndarray, scale: ScoreScale) -> str:
    diverged = int(np.isnan(seeds).sum())
    if diverged:
        return f"{diverged} of {count_text(seeds.size, 'seed')} diverged"
    each = ", ".join(scale.text(seed) for seed in seeds)
    return f"{scale.text(seeds.mean())} validation, mean of {count_text(seeds.size, 'seed')}<br>({each})"


def edges(centres: np.ndarray) -> list:
    """Bounds of cells around ascending centres: halfway between neighbours."""
    if centres.size == 1:
        return [float(centres[0]) - 0.25, float(centres[0]) + 0.25]
    middle = (centres[1:] + centres[:-1]) / 2
    first, last = 2 * centres[0] - middle[0], 2 * centres[-1] - middle[-1]
    return rounded([first, *middle, last], 6)


def hatching(scores: xr.DataArray, x: np.ndarray, y: np.ndarray) -> go.Scatter:
    """Hatched boxes over the cells in which a seed diverged."""
    left, right = edges(x)[:-1], edges(x)[1:]
    low, high = edges(y)[:-1], edges(y)[1:]
    xs, ys = [], []
    for row, column in np.argwhere(np.isnan(scores.values).any(axis=-1)):
        xs += [left[column], right[column], right[column], left[column], left[column], None]
        ys += [low[row], low[row], high[row], high[row], low[row], None]
    return go.Scatter(
        name="a seed diverged",
        x=xs,
        y=ys,
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor="rgba(0,0,0,0)",
        fillpattern={"shape": "/", "size": 6, "solidity": 0.25, "fgcolor": GREY, "fillmode": "replace"},
        hoverinfo="skip",
    )


def _ridge(comparison: Comparison, optimizer: str) -> list[go.Scatter]:
    """The best rate of each batch size, as a dark line on a white one: seen on every colour."""
    best = comparison.fresh.learning_rate.sel(optimizer=optimizer).sortby("batch_size")
    diverged = np.isnan(_scores_over_rates(comparison, optimizer).values).any(axis=-1)
    best = best[~diverged.all(axis=-1)]
    x, y = rounded(np.log10(best.values), 6), rounded(np.log10(best.batch_size.values), 6)
    common = {"x": x, "y": y, "hoverinfo": "skip"}
    return [
        go.Scatter(mode="lines", line={"color": "white", "width": 5}, showlegend=False, **common),
        go.Scatter(
            name="best rate of each batch size",
            mode="lines+markers",
            line={"color": "black", "width": 1.5},
            marker={"color": "white", "size": 9, "line": {"color": "black", "width": 1.5}},
            **common,
        ),
    ]


def colour_bar(scale: ScoreScale, low: float, high: float) -> dict:
    """A colour bar with round values of the score beside it."""
    places, texts = scale.ticks(*sorted((scale.better * low, scale.better * high)))
    return {"tickvals": rounded([scale.better * place for place in places]), "ticktext": texts}
