"""Basins of attraction: which minimum a start leads to, by optimizer and batch size."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from jaxgd.arguments import whole_number
from jaxgd.landscape.surfaces.base import Surface
from jaxgd.landscape.surfaces.critical_points import CriticalPoints, find_critical_points
from jaxgd.landscape.surfaces.exploration import at_best_rate, at_their_rates, explore
from jaxgd.optim.transform import Transform

NOWHERE = -1


def attraction(
    surface: Surface,
    optimizers: str | Iterable[str] | Mapping[str, Transform],
    updates: int = 300,
    *,
    cells: int = 81,
    batch_sizes: Any = ("full",),
    noise: float = 0.0,
) -> xr.Dataset:
    """Which minimum each start of a grid over the domain leads to, for every optimizer and batch size.

    Its variable `reached` int (optimizer, batch_size, y, x) is a place in `minima` (minimum, coordinate), or
    -1: no path's end is counted for a minimum that is farther away than half the way from that minimum to the
    nearest other critical point. `share` (optimizer, batch_size, minimum) is the part of all starts.

    Args:
        surface: one with two coordinates.
        optimizers: a mapping from labels to optimizers; or names, or "all": each then has the rate that is
            best without noise on 5 x 5 starts, the same for every batch size, in `learning_rate`.
        updates: of a path.
        cells: of the grid along each axis.
        batch_sizes: as in `explore`. Every start has noise of its own.
        noise: as in `explore`.

    Raises:
        ValueError: a surface of other than two coordinates, or one without a minimum in its domain.
    """
    if not isinstance(surface, Surface) or surface.dim != 2:
        raise ValueError(f"surface must be a surface of two coordinates, got {surface!r}")
    critical = find_critical_points(surface)
    if "minimum" not in critical.kinds:
        raise ValueError(f"surface must have a minimum in its domain, but {surface!r} has none")
    x, y = (np.linspace(low, high, whole_number("cells", cells, 2)) for low, high in surface.domain)
    starts = grid_points(x, y)
    cases = {label: [one] for label, one in _at_one_rate(surface, optimizers, updates).items()}
    options = {"batch_sizes": batch_sizes, "noise": noise, "every": updates, "own_noise": True}
    paths = explore(surface, cases, starts, updates, **options).isel(rate=0, seed=0)
    ends = paths.points.isel(updates=-1).where(paths.status != "diverged").values
    reached = _nearest_minimum(critical, ends).reshape(*ends.shape[:2], len(y), len(x))
    minima = critical.of_kind("minimum")
    share = np.stack([(reached == place).mean(axis=(-1, -2)) for place in range(len(minima))], axis=-1)
    return xr.Dataset(
        {
            "reached": (("optimizer", "batch_size", "y", "x"), reached),
            "share": (("optimizer", "batch_size", "minimum"), share),
            "minima": (("minimum", "coordinate"), minima),
        },
        coords={
            "x": x,
            "y": y,
            "optimizer": paths.optimizer.values,
            "batch_size": paths.batch_size.values,
            "learning_rate": ("optimizer", paths.learning_rate.values),
        },
        attrs={"updates": updates, "surface": surface.name, "noise": noise},
    )


def grid_points(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The points [len(y) * len(x), 2] of a grid, row by row."""
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _at_one_rate(surface: Surface, optimizers: Any, updates: int) -> Mapping[str, Transform]:
    if isinstance(optimizers, Mapping):
        return optimizers
    inner = [np.linspace(low, high, 7)[1:-1] for low, high in surface.domain]
    paths = explore(surface, optimizers, grid_points(*inner), updates)
    return at_their_rates(at_best_rate(paths).isel(batch_size=0))


def _nearest_minimum(critical: CriticalPoints, ends: np.ndarray) -> np.ndarray:
    """The place among the minima that each end [..., dim] is near, or -1."""
    minima = critical.of_kind("minimum")
    apart = np.linalg.norm(minima[:, None] - critical.points, axis=-1)
    reach = np.where(apart > 0, apart, np.inf).min(axis=1) / 2
    distances = np.linalg.norm(ends[..., None, :] - minima, axis=-1)
    nearest = np.where(np.isnan(distances), np.inf, distances).argmin(axis=-1)
    near = np.take_along_axis(distances, nearest[..., None], axis=-1)[..., 0] <= reach[nearest]
    return np.where(near, nearest, NOWHERE)
