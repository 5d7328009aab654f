"""`jaxgd.landscape`: test surfaces, paths on them, critical points; a network's loss on lines and planes."""

from jaxgd.studies.critical_points import CriticalPoints, classify, find_critical_points
from jaxgd.studies.directions import (
    Directions,
    eigenvector_directions,
    filter_normalized,
    path_directions,
    random_directions,
)
from jaxgd.studies.paths import trace
from jaxgd.studies.planes import Line, Plane, line, losses_at, path_plane, plane
from jaxgd.studies.surfaces import SURFACES, Surface, surface
from jaxgd.studies.training_paths import training_path

__all__ = [
    "SURFACES",
    "CriticalPoints",
    "Directions",
    "Line",
    "Plane",
    "Surface",
    "classify",
    "eigenvector_directions",
    "filter_normalized",
    "find_critical_points",
    "line",
    "losses_at",
    "path_directions",
    "path_plane",
    "plane",
    "random_directions",
    "surface",
    "trace",
    "training_path",
]
