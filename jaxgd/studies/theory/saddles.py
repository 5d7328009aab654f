"""How many updates a saddle holds gradient descent, at any batch size."""

import math

import numpy as np

from jaxgd.optim.hyperparameters import as_number, check_number

# Where a step's noise is so small a part of the radius, the closed form is off by less than a third of an
# update; above it, the integral equation is solved on 5 / part nodes.
_SMALL = 1 / 100


def saddle_escape_time(
    learning_rate: float, noise: float, batch_size: float, *, curvature: float = 1.0, radius: float = 1.0
) -> float:
    """The mean number of updates until `|y| > radius`, of SGD on -curvature y² / 2 from y = 0.

    With `a = 1 + rate curvature` and noise `s = rate noise / √batch_size` of an update it is, for small s,
    `[ln(radius √(a² - 1) / s) + (γ + ln 2) / 2] / ln a + ½` with Euler's γ: four times the batch costs
    `ln 2 / ln a` updates more. Where s is more than a hundredth of the radius it is
    `jaxgd.landscape.mean_escape_time`, which solves for it; the two meet to within a third of an update.

    Args:
        learning_rate: above 0.
        noise: standard deviation of the gradient of one example, above 0.
        batch_size: above 0.
        curvature: of the saddle along y, above 0.
        radius: above 0.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> import jaxgd
        >>> round(jaxgd.studies.saddle_escape_time(0.05, 1.0, 4096), 3)
        136.815
    """
    given = {"learning_rate": learning_rate, "noise": noise, "batch_size": batch_size}
    for name, value in (given | {"curvature": curvature, "radius": radius}).items():
        check_number(name, as_number(name, value), lambda x: x > 0, "above 0")
    growth, step = learning_rate * curvature, learning_rate * noise / math.sqrt(batch_size)
    if step > _SMALL * radius:
        from jaxgd.landscape.surfaces.escape import mean_escape_time  # which loads xarray

        return mean_escape_time(learning_rate, noise, batch_size, curvature=curvature, radius=radius)
    spread = math.sqrt(growth * (2 + growth))  # √(a² - 1), without cancellation
    early = (np.euler_gamma + math.log(2)) / 2
    return float((math.log(radius * spread / step) + early) / math.log1p(growth) + 0.5)
