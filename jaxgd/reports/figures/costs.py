"""What an update costs: examples per second and memory by batch size."""

from html import escape

import plotly.graph_objects as go

from jaxgd.reports.scales import bytes_text, rounded, short_count
from jaxgd.reports.style import COLOURS, GREY, base_layout, log_axis, short_size, value_axis
from jaxgd.specs.wording import batch_text
from jaxgd.studies.comparison.comparing import Comparison

COSTS = {"examples_per_second": "training examples per second", "bytes": "memory of one update"}


def cost_curves(
    comparison: Comparison, cost: str = "examples_per_second", optimizer: str | None = None
) -> go.Figure:
    """A cost of every optimizer by batch size, log-log, one of them (the best if None) highlighted."""
    optimizer = comparison.cells[0].optimizer if optimizer is None else optimizer
    values = comparison.clock[cost].sortby("batch_size")
    sizes = values.batch_size.values.tolist()
    figure = go.Figure()
    for name in sorted(values.optimizer.values.tolist(), key=lambda name: name == optimizer):
        figure.add_scatter(
            name=escape(name),
            meta=name,
            x=sizes,
            y=rounded(values.sel(optimizer=name).values),
            text=[_cost_text(cost, value) for value in values.sel(optimizer=name).values],
            customdata=[batch_text(size, comparison.about["num_train"]) for size in sizes],
            hovertemplate="%{fullData.name}, %{customdata}: %{text}<extra></extra>",
            mode="lines+markers",
            marker={"size": 6},
            line={
                "color": COLOURS[0] if name == optimizer else GREY,
                "width": 2.5 if name == optimizer else 1,
            },
        )
    figure.update_layout(base_layout(COSTS[cost]), showlegend=False, hovermode="closest")
    names = [short_size(comparison, size) for size in sizes]
    figure.update_xaxes(value_axis("batch size", sizes, names), type="log")
    write = short_count if cost == "examples_per_second" else bytes_text
    figure.update_yaxes(log_axis(float(values.min()), float(values.max()), write))
    return figure


def _cost_text(cost: str, value: float) -> str:
    return f"{short_count(value)} examples/s" if cost == "examples_per_second" else bytes_text(value)
