"""How many updates it takes to leave a saddle or a plateau, measured and, for a saddle, computed."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxgd.arguments import whole_numbers
from jaxgd.landscape.surfaces.base import check_start
from jaxgd.landscape.surfaces.exploration import checked_sizes
from jaxgd.landscape.surfaces.lanes import standard_normals
from jaxgd.landscape.surfaces.paths import advance, as_transform, begin, check_values
from jaxgd.machine.devices import map_lanes
from jaxgd.optim.hyperparameters import as_number, check_number
from jaxgd.pytrees import as_function


def escape_times(
    surface: Any,
    optimizers: Mapping[str, Any],
    start: Any,
    until: Callable[[jax.Array], jax.Array],
    updates: int,
    *,
    batch_sizes: Any = ("full",),
    noise: float = 0.0,
    seeds: int = 200,
) -> xr.Dataset:
    """How many updates each run needs until `until(point)` first holds, infinity if it never does.

    Its variable is `updates` (optimizer, batch_size, seed). Means over seeds are infinite where one never
    left; a median is not, as long as most did.

    Args:
        surface: a `Surface`, or any function of a point `[dim]`.
        optimizers: a mapping from labels to optimizers.
        start: `[dim]`.
        until: `until(point [dim]) -> bool`: what counts as having left.
        updates: at most.
        batch_sizes: as in `explore`.
        noise: as in `explore`: the standard deviation of the gradient of one example.
        seeds: how many sequences of noise, shared by optimizers and batch sizes.

    Raises:
        ValueError, TypeError: as `trace` and `explore`; `until` that holds at the start.

    Example:
        >>> import jaxgd
        >>> saddle = jaxgd.landscape.surface("saddle")
        >>> ridge = [1.0, 0.0]
        >>> times = jaxgd.landscape.escape_times(
        ...     saddle, {"BGD": jaxgd.sgd(0.1)}, ridge, lambda p: abs(p[1]) > 1, updates=1000, seeds=1
        ... )
        >>> float(times.updates[0, 0, 0])
        inf
    """
    if not isinstance(optimizers, Mapping) or not optimizers:
        raise TypeError(f"optimizers must be a mapping from labels to optimizers, got {optimizers!r}")
    start = check_start(surface, start)
    sizes = checked_sizes(batch_sizes, noise)
    updates, seeds = whole_numbers(updates=updates, seeds=seeds)
    if start.ndim != 1:
        raise ValueError(f"start must be one point [dim], got shape {start.shape}")
    check_values(surface, start)
    if until(start):
        raise ValueError(f"until already holds at the start, {np.asarray(start).tolist()}")
    draws = standard_normals(seeds, updates, len(start))
    scales = jnp.asarray(noise / np.sqrt(sizes))
    function, condition = as_function(surface), as_function(until)
    times = [
        np.asarray(_times(as_transform(optimizer), function, condition, start, scales, draws)).T
        for optimizer in optimizers.values()
    ]
    return xr.Dataset(
        {"updates": (("optimizer", "batch_size", "seed"), np.stack(times))},
        coords={"optimizer": list(optimizers), "batch_size": sizes},
        attrs={"most": updates, "noise": noise},
    )


@jax.jit
def _times(optimizer, function, until, start, scales, draws):
    """The first update [seeds, scales] after which `until` holds."""

    def run(draws, scales, *whole):
        time = functools.partial(_time, *whole)
        return jax.vmap(lambda draw: jax.vmap(lambda scale: time(scale, draw))(scales))(draws)

    return map_lanes(run, jax.devices(), draws, scales, optimizer, function, until, start)


def _time(optimizer, function, until, start, scale, draws):
    def step(carry, now):
        (walk, time), (update, draw) = carry, now
        walk = advance(optimizer, function, walk, scale, draw)
        return (walk, jnp.minimum(time, jnp.where(until(walk.here.point), update, jnp.inf))), None

    carry = (begin(optimizer, function, start), jnp.asarray(jnp.inf))
    return jax.lax.scan(step, carry, (jnp.arange(1.0, len(draws) + 1), draws))[0][1]


def saddle_variance(
    learning_rate: float, noise: float, batch_size: float, updates: Any, curvature: float = 1.0
) -> Any:
    """The variance of y after so many updates of gradient descent on -curvature y**2 / 2, from y = 0.

    `(r s)**2 / B (a**2t - 1) / (a**2 - 1)` with `a = 1 + r curvature`, rate r, noise s of one example's
    gradient, batch size B and t updates.
    """
    a = 1 + learning_rate * curvature
    return (learning_rate * noise) ** 2 / batch_size * (a ** (2 * np.asarray(updates)) - 1) / (a**2 - 1)


def mean_escape_time(
    learning_rate: float,
    noise: float,
    batch_size: float,
    *,
    curvature: float = 1.0,
    radius: float = 1.0,
    start: float = 0.0,
) -> float:
    """The mean number of updates until `|y| > radius`, of gradient descent on -curvature y**2 / 2.

    An update is `y <- a y + s e` with `a = 1 + rate curvature`, `s = rate noise / sqrt(batch_size)` and e
    standard normal. The mean time solves `T(y) = 1 + integral of p(z | y) T(z) over |z| <= radius`, here on
    Gauss-Legendre nodes. Once the noise is small, a batch f times as large costs `ln f / (2 ln a)` more.

    Args:
        learning_rate: above 0.
        noise: standard deviation of the gradient of one example, above 0.
        batch_size: above 0.
        curvature: of the saddle along y, above 0.
        radius: above 0.
        start: y at the start, between -radius and radius.

    Raises:
        ValueError: an argument out of its range, or noise so small that 2,000 nodes do not resolve it.
    """
    given = {"learning_rate": learning_rate, "noise": noise, "batch_size": batch_size}
    for name, value in (given | {"curvature": curvature, "radius": radius}).items():
        check_number(name, as_number(name, value), lambda x: x > 0, "above 0")
    if not abs(start) <= radius:
        raise ValueError(f"start must be between -{radius:g} and {radius:g}, got {start}")
    a, s = 1 + learning_rate * curvature, learning_rate * noise / math.sqrt(batch_size)
    num = max(40, math.ceil(5 * radius / s))
    if num > 2000:
        raise ValueError(f"batch_size {batch_size:g} leaves too little noise to compute with: {s:.2g} a step")
    nodes, weights = np.polynomial.legendre.leggauss(num)
    nodes, weights = radius * nodes, radius * weights

    def stays(y: np.ndarray) -> np.ndarray:
        """The chance to be near each node after an update from y."""
        return weights * np.exp(-(((nodes - a * y[:, None]) / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi))

    times = np.linalg.solve(np.eye(num) - stays(nodes), np.ones(num))
    return float(1 + (stays(np.array([start])) @ times)[0])
