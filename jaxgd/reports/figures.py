"""The figures of a comparison, each a `plotly.graph_objects.Figure` for a page or a notebook."""

from jaxgd.reports.costs import cost_curves
from jaxgd.reports.curves import learning_curves
from jaxgd.reports.maps import rate_map

__all__ = ["cost_curves", "learning_curves", "rate_map"]
