"""Views of a sweep's result, each a `plotly.graph_objects.Figure` for a page or a notebook.

`slice` shows a metric along one axis, `rate_map` over two, `learning_curves` over the epochs. Values are
means over seeds; a coordinate given by name, such as `optimizer="adam"`, chooses a part of the sweep.
"""

from importlib.util import find_spec

if find_spec("plotly") is None:
    raise ImportError('jaxgd.views needs the package plotly: pip install "jaxgd[report]"', name="plotly")

from jaxgd.reports.figures.slices import slice
from jaxgd.reports.figures.sweep_curves import learning_curves
from jaxgd.reports.figures.sweep_maps import rate_map

__all__ = ["learning_curves", "rate_map", "slice"]
