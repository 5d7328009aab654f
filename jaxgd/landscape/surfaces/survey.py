"""A surface looked at as a whole: its critical points, every optimizer's paths and basins, and a sentence."""

import dataclasses
import time
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
import xarray as xr

from jaxgd.arguments import whole_number
from jaxgd.landscape.surfaces.base import Surface, surface
from jaxgd.landscape.surfaces.basins import attraction
from jaxgd.landscape.surfaces.critical_points import CriticalPoints, find_critical_points
from jaxgd.landscape.surfaces.exploration import RATES, at_best_rate, at_their_rates, checked_sizes, explore
from jaxgd.specs.choices import check_optimizers
from jaxgd.specs.wording import count_text
from jaxgd.training.progress import tell

STARTS = 16
SHOWN = 5  # of the starts


@dataclasses.dataclass(frozen=True)
class SurfaceStudy:
    """What `study_surface` found.

    paths: of `explore` at best rates, without noise. basins: of `attraction`, None without a minimum. lowest:
    the lowest value of a minimum, or that any path met. about: settings in words.
    """

    surface: Surface
    critical: CriticalPoints
    paths: xr.Dataset
    basins: xr.Dataset | None
    lowest: float
    sentence: str
    about: dict[str, str]
    command: str


def study_surface(
    name: str,
    optimizers: str | Iterable[str] = "all",
    updates: int = 200,
    *,
    batch_sizes: Any = ("full", 16, 1),
    noise: float | None = None,
    command: str = "",
    progress: bool = False,
) -> SurfaceStudy:
    """A surface of two coordinates with the paths and basins of the named optimizers, each at its best rate.

    Args:
        name: of a surface.
        optimizers: names, or "all".
        updates: of a path.
        batch_sizes: of the basins.
        noise: standard deviation of the gradient of one example. None: the median length of the gradient over
            the domain.
        command: what was typed, for the report.
        progress: say what comes next, on stderr.
    """
    begun = time.perf_counter()
    shown, names, updates = surface(name), check_optimizers(optimizers), whole_number("updates", updates)
    noise = _usual_slope(shown) if noise is None else noise
    if set(batch_sizes) == {"full"}:
        noise = 0.0
    checked_sizes(batch_sizes, noise)
    tell(progress, f"{shown.name}: its critical points")
    critical = find_critical_points(shown)
    tell(progress, f"{count_text(len(names), 'optimizer')} at {len(RATES)} rates from {STARTS} starts")
    paths = at_best_rate(explore(shown, names, _starts(shown), updates)).isel(batch_size=0)
    basins = None
    if "minimum" in critical.kinds:
        tell(progress, "where starts of a grid end")
        options = {"cells": 61, "batch_sizes": batch_sizes, "noise": noise}
        basins = attraction(shown, at_their_rates(paths), updates, **options)
    lowest = float(min(critical.values.min(initial=np.inf), paths.loss.min()))
    about = _about(shown, paths, noise, batch_sizes, time.perf_counter() - begun)
    return SurfaceStudy(
        shown, critical, paths, basins, lowest, _sentence(shown, paths, critical), about, command
    )


def _starts(shown: Surface) -> np.ndarray:
    """Starts drawn once and for all, evenly over the inner nine tenths of the domain."""
    from scipy.stats import qmc

    low, high = shown.domain.T
    places = qmc.Sobol(2, rng=np.random.default_rng(1)).random(STARTS)
    return low + (high - low) * (0.05 + 0.9 * places)


def _usual_slope(shown: Surface) -> float:
    slopes = np.linalg.norm(jax.jit(jax.vmap(jax.grad(shown)))(_starts(shown)), axis=1)
    return float(f"{np.median(slopes):.2g}")


def _sentence(shown: Surface, paths: xr.Dataset, critical: CriticalPoints) -> str:
    """What the paths say, in a sentence."""
    start = f"On {shown.name}, {count_text(paths.sizes['updates'] - 1, 'update')} from {STARTS} starts"
    minima = critical.of_kind("minimum")
    if not len(minima):
        return f"{start}, each optimizer at its own best learning rate: a surface without a minimum."
    ends = paths.points.isel(updates=-1, seed=0).values
    width = np.ptp(shown.domain, axis=1).max()
    near = (np.linalg.norm(ends[..., None, :] - minima, axis=-1) < 1e-3 * width).any(axis=-1).mean(axis=-1)
    reached = int((near == 1).sum())
    every = "from every start, each at its own best learning rate"
    if reached == len(near):
        who = "every optimizer reaches" if reached > 1 else f"{paths.optimizer.values[0]} reaches"
        return f"{start}: {who} a minimum {every}."
    if reached:
        return f"{start}: {reached} of {len(near)} optimizers reach a minimum {every}."
    final = paths.loss.isel(updates=-1).median(["start", "seed"])
    best = paths.optimizer.values[int(final.argmin("optimizer"))]
    return f"{start}: no optimizer reaches a minimum {every}; {best} has the lowest median loss."


def _about(
    shown: Surface, paths: xr.Dataset, noise: float, batch_sizes: Any, seconds: float
) -> dict[str, str]:
    low, high = shown.domain.T
    box = " × ".join(f"[{a:g}, {b:g}]" for a, b in zip(low, high, strict=True))
    device = jax.devices()[0]
    return {
        "Surface": f"{shown.name}: {shown.formula}",
        "Source": shown.source,
        "Domain": box,
        "Starts": f"{STARTS}, spread evenly over the domain; rates are chosen on all, {SHOWN} are drawn",
        "Rates": f"{len(RATES)} for each optimizer, {RATES[0]:g} to {RATES[-1]:g}: the lowest final loss, a "
        "mean over the starts; then the fastest",
        "Updates": f"{paths.sizes['updates'] - 1}",
        "Noise": f"standard deviation {noise:g} of one example’s gradient in each coordinate, divided by √B "
        f"for a batch of B; batch sizes {', '.join(map(str, batch_sizes))}; one sequence for each start",
        "Time": f"{seconds:.1f} s, compilation included",
        "Device": f"{len(jax.devices())} × {device.device_kind}, {paths.loss.dtype}",
    }
