"""Paths as lanes: optimizers, rates, noises and starts side by side in few programs, over all devices."""

import functools
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.landscape.surfaces.paths import Path, follow
from jaxgd.machine.compiling import with_settings_of_caller
from jaxgd.machine.devices import map_lanes
from jaxgd.machine.host import num_cores
from jaxgd.optim.generalized import can_generalize, generalize
from jaxgd.optim.transform import Transform
from jaxgd.pytrees import stack_leaves

Cases = Mapping[str, Sequence[Transform]]


def follow_lanes(
    cases: Cases,
    function: Any,
    starts: jax.Array,
    scales: np.ndarray,
    seeds: int,
    updates: int,
    every: int,
    own_noise: bool = False,
) -> Path:
    """The paths [label, rate, scale, start, seed, ...] in NumPy.

    Args:
        cases: the optimizers of each label, equally many, one for each rate.
        function: a pytree that is called with a point.
        starts: `[n, dim]`.
        scales: standard deviations of the noise on the gradient; all 0 for none.
        seeds: sequences of noise.
        updates: of a path.
        every: which points are kept.
        own_noise: whether every start has its own sequences.
    """
    shape = (len(starts), seeds) if own_noise else (seeds,)
    draws = None
    if scales.any():
        draws = standard_normals(math.prod(shape), updates, starts.shape[1]).reshape(*shape, updates, -1)
    groups = _groups(cases)
    run = functools.partial(_run_group, function, starts, scales, draws, updates, every)
    with ThreadPoolExecutor(max(1, min(len(groups), num_cores()))) as pool:
        results = list(pool.map(with_settings_of_caller(run), groups))
    found = {label: path for result in results for label, path in result.items()}
    whole = Path(*(np.stack(parts) for parts in zip(*(found[label] for label in cases), strict=True)))
    # Without noise the paths of all seeds are the same.
    return Path(*(np.repeat(part, seeds, axis=4) for part in whole)) if draws is None and seeds > 1 else whole


def _groups(cases: Cases) -> list[dict[str, list[Transform]]]:
    """The labels by tree structure. Optimizers of the family all have one, in their general form."""
    groups: dict[Any, dict[str, list[Transform]]] = {}
    for label, optimizers in _in_general_form(cases).items():
        groups.setdefault(jax.tree.structure(optimizers[0]), {})[label] = optimizers
    return list(groups.values())


def _in_general_form(cases: Cases) -> dict[str, list[Transform]]:
    """Each label's optimizers; where several are of the family, in the form in which they share a program."""
    general = {
        label: [generalize(optimizer) for optimizer in optimizers]
        for label, optimizers in cases.items()
        if all(map(can_generalize, optimizers))
    }
    shared = general if len(general) > 1 else {}
    return {label: shared.get(label, list(optimizers)) for label, optimizers in cases.items()}


def _run_group(function, starts, scales, draws, updates, every, group) -> dict[str, Path]:
    """The paths [rate, scale, start, seed, ...] of every label of a group."""
    optimizers = [optimizer for given in group.values() for optimizer in given]
    which, scale, start = (i.ravel() for i in np.indices((len(optimizers), len(scales), len(starts))))
    columns = zip(*(jax.tree.leaves(optimizer) for optimizer in optimizers), strict=True)
    leaves = [jnp.asarray(stack_leaves(column)[which]) for column in columns]
    lanes = jax.tree.unflatten(jax.tree.structure(optimizers[0]), leaves)
    own, shared = (draws[start], None) if draws is not None and draws.ndim == 4 else (None, draws)
    paths = _follow_all(lanes, starts[start], scales[scale], own, function, shared, updates, every)
    shape = (len(group), -1, len(scales), len(starts))
    whole = [np.asarray(part).reshape(*shape, *part.shape[1:]) for part in paths]
    return {label: Path(*(part[place] for part in whole)) for place, label in enumerate(group)}


@functools.partial(jax.jit, static_argnames=("updates", "every"))
def _follow_all(optimizers, starts, scales, own, function, shared, updates, every) -> Path:
    """Paths [lanes, seeds, ...]; without noise there is one seed.

    own, shared: noise [seeds, updates, dim] for every lane, or for all; None where it is the other or none.
    """

    def one(lane, function, shared):
        optimizer, start, scale, own = lane
        draws = shared if own is None else own
        if draws is None:
            path = follow(optimizer, function, start, None, None, updates, every)
            return jax.tree.map(lambda x: x[None], path)
        return jax.vmap(lambda d: follow(optimizer, function, start, scale, d, updates, every))(draws)

    def run(lanes, function, shared):
        return jax.vmap(lambda lane: one(lane, function, shared))(lanes)

    return map_lanes(run, jax.devices(), (optimizers, starts, scales, own), function, shared)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def standard_normals(seeds: int, updates: int, dim: int) -> jax.Array:
    """Standard normal numbers [seeds, updates, dim], for each seed those that `trace` has."""
    keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
    return jax.vmap(lambda key: jax.random.normal(key, (updates, dim), jnp.result_type(float)))(keys)
