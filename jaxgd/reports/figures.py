"""The figures of this package, each a `plotly.graph_objects.Figure` for a page or a notebook."""

from jaxgd.reports.costs import cost_curves
from jaxgd.reports.curves import learning_curves
from jaxgd.reports.hikers import hiker_panels
from jaxgd.reports.maps import rate_map
from jaxgd.reports.path_losses import escape_curves, loss_curves
from jaxgd.reports.planes import loss_lines, plane_contours
from jaxgd.reports.spectra import sharpness_curves, spectral_densities
from jaxgd.reports.surface_maps import basin_map, path_map

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
