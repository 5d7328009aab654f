"""`jaxgd.landscape`: test surfaces, where optimizers go on them, and why they get stuck.

`surface` makes a test surface, and `find_critical_points` finds its minima, maxima and saddles. `trace` gives
the path of one optimizer, `explore` thousands, `at_best_rate` those at each optimizer's own best rate, and
`attraction` which minimum each start leads to. `escape_times` measures how long a saddle or a plateau holds.

For networks, `training_path` records the way of a run, `plane` and `path_plane` give the loss on a plane
through a model, `line` the loss between two, for one model or for all runs of a sweep at once.
"""

from jaxgd.landscape.networks.directions import (
    Directions,
    eigenvector_directions,
    filter_normalized,
    path_directions,
    random_directions,
)
from jaxgd.landscape.networks.planes import Line, Plane, line, losses_at, path_plane, plane
from jaxgd.landscape.networks.training_paths import training_path
from jaxgd.landscape.surfaces.base import Surface, surface
from jaxgd.landscape.surfaces.basins import attraction
from jaxgd.landscape.surfaces.critical_points import CriticalPoints, classify, find_critical_points
from jaxgd.landscape.surfaces.escape import escape_times, mean_escape_time, saddle_variance
from jaxgd.landscape.surfaces.exploration import at_best_rate, explore
from jaxgd.landscape.surfaces.paths import trace
from jaxgd.landscape.surfaces.three_hikers import Hikers, hikers
from jaxgd.specs.presets import SURFACES

__all__ = [
    "SURFACES",
    "CriticalPoints",
    "Directions",
    "Hikers",
    "Line",
    "Plane",
    "Surface",
    "at_best_rate",
    "attraction",
    "classify",
    "eigenvector_directions",
    "escape_times",
    "explore",
    "filter_normalized",
    "find_critical_points",
    "hikers",
    "line",
    "losses_at",
    "mean_escape_time",
    "path_directions",
    "path_plane",
    "plane",
    "random_directions",
    "saddle_variance",
    "surface",
    "trace",
    "training_path",
]
