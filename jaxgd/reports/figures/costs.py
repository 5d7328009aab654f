"""What an update costs: examples per second and memory by batch size."""

from html import escape

import plotly.graph_objects as go
import xarray as xr

from jaxgd.arguments import one_of
from jaxgd.reports.scales import bytes_text, rounded, short_count
from jaxgd.reports.style import COLOURS, GREY, base_layout, log_axis, value_axis
from jaxgd.specs.wording import batch_text

COSTS = {"examples_per_second": "training examples per second", "bytes": "memory of one update"}


def cost_curves(
    clock: xr.Dataset, cost: str = "examples_per_second", optimizer: str | None = None
) -> go.Figure:
    """A cost of every optimizer by batch size, log-log, one of them (the first if None) highlighted.

    Args:
        clock: of `jaxgd.throughput`, or `comparison.clock`.
        cost: "examples_per_second" or "bytes".
        optimizer: a name among several.
    """
    values = clock[one_of("cost", cost, COSTS)].sortby("batch_size")
    values = values if "optimizer" in values.dims else values.expand_dims(optimizer=[""])
    names, sizes = values.optimizer.values.tolist(), values.batch_size.values.tolist()
    optimizer = names[0] if optimizer is None else one_of("optimizer", optimizer, names)
    full = clock.attrs.get("num_train", 0)
    figure = go.Figure(layout=base_layout(COSTS[cost]))
    for name in sorted(names, key=lambda name: name == optimizer):
        is_chosen = name == optimizer
        costs = values.sel(optimizer=name).values
        figure.add_scatter(
            name=escape(name),
            x=sizes,
            y=rounded(costs),
            text=[_cost_text(cost, value) for value in costs],
            customdata=[batch_text(size, full) for size in sizes],
            hovertemplate="%{fullData.name}, %{customdata}: %{text}<extra></extra>",
            mode="lines+markers",
            marker={"size": 7 if is_chosen else 4},
            line={"color": COLOURS[0] if is_chosen else GREY, "width": 2.5 if is_chosen else 1},
        )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(
        value_axis("batch size", sizes, ["full" if size == full else f"{size}" for size in sizes])
    )
    figure.update_xaxes(type="log")
    write = short_count if cost == "examples_per_second" else bytes_text
    figure.update_yaxes(log_axis(float(values.min()), float(values.max()), write))
    return figure


def _cost_text(cost: str, value: float) -> str:
    return f"{short_count(value)} examples/s" if cost == "examples_per_second" else bytes_text(value)
