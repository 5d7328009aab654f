"""The figures of this package, each a `plotly.graph_objects.Figure` for a page or a notebook."""

from jaxgd.reports.figures.costs import cost_curves
from jaxgd.reports.figures.curves import learning_curves
from jaxgd.reports.figures.hikers import hiker_panels
from jaxgd.reports.figures.maps import rate_map
from jaxgd.reports.figures.paths import escape_curves, loss_curves
from jaxgd.reports.figures.planes import loss_lines, plane_contours
from jaxgd.reports.figures.spectra import sharpness_curves, spectral_densities
from jaxgd.reports.figures.surfaces import basin_map, path_map

__all__ = [
    "basin_map",
    "cost_curves",
    "escape_curves",
    "hiker_panels",
    "learning_curves",
    "loss_curves",
    "loss_lines",
    "path_map",
    "plane_contours",
    "rate_map",
    "sharpness_curves",
    "spectral_densities",
]
