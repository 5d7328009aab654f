"""The figures of this package, each a `plotly.graph_objects.Figure` for a page or a notebook."""

from jaxgd.reports.costs import cost_curves
from jaxgd.reports.curves import learning_curves
from jaxgd.reports.maps import rate_map
from jaxgd.reports.planes import loss_lines, plane_contours
from jaxgd.reports.spectra import sharpness_curves, spectral_densities

__all__ = [
    "cost_curves",
    "learning_curves",
    "loss_lines",
    "plane_contours",
    "rate_map",
    "sharpness_curves",
    "spectral_densities",
]
