"""`jaxgd.landscape`: test surfaces, where optimizers go on them, and why they get stuck.

`surface` makes a test surface, and `find_critical_points` finds its minima, maxima and saddles. `trace` gives
the path of one optimizer, `explore` thousands, `at_best_rate` those at each optimizer's own best rate, and
`attraction` which minimum each start leads to. `escape_times` measures how long a saddle or a plateau holds.
"""

from jaxgd.studies.basins import attraction
from jaxgd.studies.critical_points import CriticalPoints, classify, find_critical_points
from jaxgd.studies.escape import escape_times, mean_escape_time, saddle_variance
from jaxgd.studies.exploration import at_best_rate, explore
from jaxgd.studies.paths import trace
from jaxgd.studies.surfaces import SURFACES, Surface, surface

__all__ = [
    "SURFACES",
    "CriticalPoints",
    "Surface",
    "at_best_rate",
    "attraction",
    "classify",
    "escape_times",
    "explore",
    "find_critical_points",
    "mean_escape_time",
    "saddle_variance",
    "surface",
    "trace",
]
