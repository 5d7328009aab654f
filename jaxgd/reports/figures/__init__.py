"""Figures of this package's results, each a `plotly.graph_objects.Figure` for a page or a notebook.

Of a sweep: `slice` shows a metric along one axis, `rate_map` over two, `learning_curves` over training.
Values are means over seeds; a coordinate given by name, such as `optimizer="adam"`, chooses a part of it.

`jaxgd.views` is another name of this module.
"""

from importlib.util import find_spec

if find_spec("plotly") is None:
    raise ImportError('jaxgd.figures needs the package plotly: pip install "jaxgd[report]"', name="plotly")

from jaxgd.reports.figures.costs import cost_curves
from jaxgd.reports.figures.curves import learning_curves
from jaxgd.reports.figures.hikers import hiker_panels
from jaxgd.reports.figures.maps import rate_map
from jaxgd.reports.figures.panels import Panel, side_by_side
from jaxgd.reports.figures.paths import escape_curves, loss_curves
from jaxgd.reports.figures.planes import loss_lines, plane_contours
from jaxgd.reports.figures.slices import slice
from jaxgd.reports.figures.spectra import sharpness_curves, spectral_densities
from jaxgd.reports.figures.surfaces import basin_map, path_map

__all__ = [
    "Panel",
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
    "side_by_side",
    "slice",
    "spectral_densities",
]
