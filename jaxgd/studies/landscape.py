"""`jaxgd.landscape`: test surfaces, the paths of optimizers on them, and their critical points."""

from jaxgd.studies.critical_points import CriticalPoints, classify, find_critical_points
from jaxgd.studies.paths import trace
from jaxgd.studies.surfaces import SURFACES, Surface, surface

__all__ = [
    "SURFACES",
    "CriticalPoints",
    "Surface",
    "classify",
    "find_critical_points",
    "surface",
    "trace",
]
