"""Thousands of paths at once: optimizers, learning rates, batch sizes, starts and seeds as one dataset."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from jaxgd.arguments import whole_numbers
from jaxgd.landscape.surfaces.base import Surface, check_start
from jaxgd.landscape.surfaces.lanes import follow_lanes
from jaxgd.landscape.surfaces.paths import Path, as_transform, check_values
from jaxgd.optim import optimizers as named
from jaxgd.optim.hyperparameters import check_number
from jaxgd.optim.transform import Transform
from jaxgd.pytrees import as_function
from jaxgd.specs.choices import check_learning_rates, check_optimizers

# Four rates a decade: what suits a surface depends on how steep it is and on how wide.
RATES = tuple(float(f"{10 ** (k / 4):.3g}") for k in range(-20, 9))
MOST_BYTES = 2**32


def explore(
    surface: Any,
    optimizers: str | Iterable[str] | Mapping[str, Sequence[Any]],
    starts: Any,
    updates: int,
    *,
    learning_rates: Any = None,
    batch_sizes: Any = ("full",),
    noise: float = 0.0,
    seeds: int = 1,
    every: int = 1,
    own_noise: bool = False,
) -> xr.Dataset:
    """The paths of every optimizer, learning rate, batch size, start and seed, as a labelled dataset.

    Its variables are `points` (optimizer, rate, batch_size, start, seed, updates, coordinate), `loss` without
    the last of these, and `status` without the last two: "completed"; "left" where a kept point is farther
    from a surface's domain than the domain is wide; "diverged" where a path met a number that is not finite,
    and stayed where it was. The rates of an optimizer are the coordinate `learning_rate`.

    Optimizers of one tree structure are lanes of one program, and so are the named ones, in the general form
    of `jaxgd.generalize`; lanes are spread over all devices. A path agrees with that of `trace` to rounding.

    Args:
        surface: a `Surface`, or any function of a point `[dim]`.
        optimizers: names, "all", or a mapping from labels to lists of optimizers, all equally long.
        starts: `[n, dim]`, or one start `[dim]`.
        updates: 1 or more.
        learning_rates: for names: one grid for all, or one for each. None: 29 rates from 1e-5 to 100.
        batch_sizes: numbers from 1, or "full", which stands for no noise and has the coordinate infinity.
        noise: standard deviation of the gradient of one example: a batch of B adds normal noise of variance
            noise**2 / B to every coordinate.
        seeds: how many sequences of noise; each is shared by all optimizers, rates, sizes and starts, and
            seed s has that of `trace(..., key=jax.random.key(s))`.
        every: which points are kept: the start, and one of so many updates.
        own_noise: True: every start has sequences of its own instead.

    Raises:
        ValueError, TypeError: what `trace` raises, batch sizes without noise or the reverse, a result of more
            than 4 GiB.
    """
    cases = _cases(optimizers, learning_rates)
    starts = jnp.atleast_2d(check_start(surface, starts, "starts"))
    updates, every, seeds = whole_numbers(updates=updates, every=every, seeds=seeds)
    if updates % every:
        raise ValueError(f"every is {every}; it must divide updates, which is {updates}")
    sizes = checked_sizes(batch_sizes, noise)
    lanes = sum(map(len, cases.values())) * len(sizes) * len(starts) * seeds
    _check_memory(lanes * (updates // every + 1) * (starts.shape[1] + 1))
    check_values(surface, starts)
    scales = noise / np.sqrt(sizes)
    paths = follow_lanes(cases, as_function(surface), starts, scales, seeds, updates, every, own_noise)
    return _labelled(surface, paths, cases, sizes, every)


def at_best_rate(paths: xr.Dataset) -> xr.Dataset:
    """The paths of `explore` at the best rate of each optimizer and batch size, without dimension `rate`.

    The best rate has the lowest final loss, averaged over starts and seeds, among those rates of which the
    fewest paths left or diverged. Where rates agree in that to a millionth of what was gained, the one with
    the lowest loss averaged over the whole path: the faster one. Attribute `rates_tried`: of how many.
    """
    runs, loss = ["start", "seed"], paths.loss.astype(float)
    lost = (paths.status != "completed").mean(runs)
    final = loss.isel(updates=-1, drop=True).mean(runs).where(lost == lost.min("rate"), np.inf)
    average, first = loss.mean(["updates", *runs]), loss.isel(updates=0, drop=True).mean(runs)
    lowest = final.min("rate")
    near = final <= lowest + 1e-6 * np.abs(first - lowest)
    best = paths.isel(rate=average.where(near, np.inf).argmin("rate"))
    return best.assign_attrs(rates_tried=paths.sizes["rate"])


def at_their_rates(paths: xr.Dataset) -> dict[str, Transform]:
    """The named optimizers of paths of one rate each, at that rate."""
    rates = zip(paths.optimizer.values.tolist(), paths.learning_rate.values, strict=True)
    return {name: getattr(named, name)(float(rate)) for name, rate in rates}


def _cases(optimizers: Any, learning_rates: Any) -> dict[str, list[Transform]]:
    """The optimizers of every label, one for each rate."""
    if not isinstance(optimizers, Mapping):
        names = check_optimizers(optimizers)
        grids = check_learning_rates(RATES if learning_rates is None else learning_rates, names)
        return {name: [getattr(named, name)(rate) for rate in grids[name]] for name in names}
    if learning_rates is not None:
        raise ValueError("learning_rates go with names of optimizers; optimizers is a mapping to optimizers")
    cases = {str(label): [as_transform(one) for one in given] for label, given in optimizers.items()}
    counts = {label: len(given) for label, given in cases.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise ValueError(f"optimizers must have equally long lists of one or more, got lengths {counts}")
    for label, given in cases.items():
        if len({jax.tree.structure(one) for one in given}) > 1:
            raise ValueError(f"optimizers[{label!r}] must hold optimizers that differ only in their numbers")
    return cases


def checked_sizes(batch_sizes: Any, noise: Any) -> np.ndarray:
    """Batch sizes as floats, infinity for "full".

    Raises:
        ValueError: sizes that are none, or sizes without noise, or noise without a size.
    """
    is_one = isinstance(batch_sizes, str) or not hasattr(batch_sizes, "__iter__")
    given = [batch_sizes] if is_one else list(batch_sizes)
    check_number("noise", noise, lambda x: x >= 0, "0 or more")
    for size in given:
        is_number = hasattr(size, "__float__") and not isinstance(size, bool)
        if size != "full" and not (is_number and float(size) >= 1):
            raise ValueError(f'batch_sizes has {size!r}; allowed: "full", or numbers from 1')
    if not given:
        raise ValueError('batch_sizes is empty; at least one size or "full" is needed')
    sizes = np.array([math.inf if size == "full" else float(size) for size in given])
    if (noise > 0) == np.isinf(sizes).all():
        raise ValueError(
            f"noise is {noise:g} and batch_sizes is {given}: a size needs noise=..., and noise a size"
        )
    return sizes


def _check_memory(count: int) -> None:
    size = count * jnp.dtype(jnp.result_type(float)).itemsize
    if size > MOST_BYTES:
        raise ValueError(
            f"the paths would take {size / 2**30:.1f} GiB; keep fewer points with every=..., or run fewer"
        )


def _labelled(surface: Any, paths: Path, cases: dict[str, list[Transform]], sizes: Any, every: int):
    dims = ("optimizer", "rate", "batch_size", "start", "seed")
    rates = [[_rate(optimizer) for optimizer in given] for given in cases.values()]
    status = np.where(_has_left(surface, paths.points), "left", "completed")
    return xr.Dataset(
        {
            "points": ((*dims, "updates", "coordinate"), paths.points),
            "loss": ((*dims, "updates"), paths.losses),
            "status": (dims, np.where(paths.finite, status, "diverged")),
        },
        coords={
            "optimizer": list(cases),
            "learning_rate": (("optimizer", "rate"), rates),
            "batch_size": sizes,
            "updates": every * np.arange(paths.losses.shape[-1]),
        },
    )


def _has_left(surface: Any, points: Any) -> np.ndarray:
    """Whether a path has a point farther from the domain than the domain is wide."""
    if not isinstance(surface, Surface):
        return np.zeros(points.shape[:-2], bool)
    low, high = surface.domain.T
    return ((points < 2 * low - high) | (points > 2 * high - low)).any(axis=(-1, -2))


def _rate(optimizer: Transform) -> float:
    """The optimizer's learning rate, NaN where it has none that is a number."""
    rate = getattr(optimizer, "learning_rate", None)
    return float(rate) if isinstance(rate, int | float | np.number) else math.nan
