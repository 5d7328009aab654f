"""What an update costs: examples per second and memory by batch size."""

from html import escape

import plotly.graph_objects as go
import xarray as xr

from jaxgd.arguments import one_of
from jaxgd.reports.scales import bytes_text, rounded, short_count
from jaxgd.reports.style import COLOURS, GREY, base_layout, log_axis, value_axis
from jaxgd.specs.wording import batch_text

# What each is called, how a value of it is written, and what follows where there is room.
COSTS = {
    "examples_per_second": ("training examples per second", short_count, " examples/s"),
    "bytes": ("memory of one update", bytes_text, ""),
}


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
    title, write, unit = COSTS[cost]
    traces = []
    for name in sorted(names, key=lambda name: name == optimizer):
        is_chosen = name == optimizer
        costs = values.sel(optimizer=name).values
        traces.append(
            {
                "name": escape(name),
                "x": sizes,
                "y": rounded(costs),
                "text": [write(value) + unit for value in costs],
                "customdata": [batch_text(size, full) for size in sizes],
                "hovertemplate": "%{fullData.name}, %{customdata}: %{text}<extra></extra>",
                "mode": "lines+markers",
                "marker": {"size": 7 if is_chosen else 4},
                "line": {"color": COLOURS[0] if is_chosen else GREY, "width": 2.5 if is_chosen else 1},
            }
        )
    texts = ["full" if size == full else f"{size}" for size in sizes]
    x_axis = {**value_axis("batch size", sizes, texts), "type": "log"}
    layout = base_layout(title, x_axis, log_axis(float(values.min()), float(values.max()), write))
    return go.Figure(traces, {**layout, "showlegend": False})
