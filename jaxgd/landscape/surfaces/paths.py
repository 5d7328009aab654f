"""Where an optimizer goes on a surface: every point of its path, for one start or for thousands of lanes."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from jaxgd.arguments import whole_number
from jaxgd.landscape.surfaces.base import check_start
from jaxgd.optim.combining import chain
from jaxgd.optim.hyperparameters import check_number
from jaxgd.optim.transform import Transform
from jaxgd.pytrees import as_function


class Path(NamedTuple):
    """A path: points [saved, dim], losses [saved] there, and whether all that it met was finite."""

    points: Any
    losses: Any
    finite: Any


def trace(
    optimizer: Any, surface: Any, start: Any, updates: int, noise: Any = None, key: Any = None
) -> jax.Array:
    """The points `[updates + 1, dim]` that an optimizer visits on a surface, the start first.

    It may be jitted, and vmapped over optimizers (see `jaxgd.stack`), starts, noises and keys. A path that
    diverges stays at its last finite point.

    Args:
        optimizer: a jaxgd or Optax transform.
        surface: a `Surface`, or any function of a point `[dim]`.
        start: `[dim]`, inside the domain if the surface has one.
        updates: 1 or more.
        noise: standard deviation of what is added to each coordinate of every gradient, drawn from a normal
            distribution: for batches of B out of examples with a standard deviation s, `s / sqrt(B)`. None
            for exact gradients.
        key: a typed PRNG key; needed with noise.

    Raises:
        ValueError, TypeError: a start of another dimension, outside the domain or not finite, a surface that
            is not finite there, noise without a key or below 0.

    Example:
        >>> import jaxgd
        >>> himmelblau = jaxgd.landscape.surface("himmelblau")
        >>> points = jaxgd.landscape.trace(jaxgd.sgd(0.01), himmelblau, [0.0, 0.0], 50)
        >>> [round(float(x), 3) for x in points[-1]]
        [3.0, 2.0]
    """
    optimizer, start = as_transform(optimizer), check_start(surface, start)
    if start.ndim != 1:
        raise ValueError(f"start must be one point [dim], got shape {start.shape}; jax.vmap over several")
    updates = whole_number("updates", updates)
    draws, scale = _draws(noise, key, (updates, len(start))), noise
    check_values(surface, start)
    return _points(optimizer, as_function(surface), start, scale, draws, updates)


def as_transform(optimizer: Any) -> Transform:
    """The optimizer as a transform of jaxgd's, whose numbers are leaves."""
    if isinstance(optimizer, Transform):
        return optimizer
    if not isinstance(optimizer, optax.GradientTransformation):
        raise TypeError(f"optimizer must be a gradient transformation, got {optimizer!r}")
    return chain(optimizer)


def check_values(surface: Any, starts: jax.Array) -> None:
    """Raise ValueError unless the surface is a finite number at every start `[..., dim]`."""
    if isinstance(starts, Tracer):
        return
    points = starts.reshape(-1, starts.shape[-1])
    values = _values(as_function(surface), points)
    if isinstance(values, Tracer):
        return
    if values.shape != (len(points),):
        raise ValueError(f"surface must give one number for a point, got shape {values.shape[1:]}")
    bad = ~np.isfinite(np.asarray(values))
    if bad.any():
        point = np.asarray(points)[bad][0].tolist()
        raise ValueError(f"surface must be finite where a path starts, got {values[bad][0]} at {point}")


def follow(
    optimizer: Transform,
    function: Any,
    start: jax.Array,
    scale: Any,
    draws: Any,
    updates: int,
    every: int = 1,
) -> Path:
    """The path with every `every`-th point; gradients get `scale * draws[t]` added where there are draws.

    Where the point, the loss or the gradient is not finite the path does not step: it stays where it was.
    """

    def step(walk, draw):
        return advance(optimizer, function, walk, scale, draw), None

    def save(walk, draws):
        walk, _ = jax.lax.scan(step, walk, draws, length=every)
        return walk, (walk.here.point, walk.here.value)

    blocks = None if draws is None else draws.reshape(updates // every, every, -1)
    first = begin(optimizer, function, start)
    last, (points, losses) = jax.lax.scan(save, first, blocks, length=updates // every)
    losses = jnp.concatenate([first.here.value[None], losses])
    return Path(jnp.concatenate([start[None], points]), losses, last.finite)


class Place(NamedTuple):
    """A point [dim], and the value and the gradient there."""

    point: Any
    value: Any
    gradient: Any


class Walk(NamedTuple):
    """Where a path stands: its place, the optimizer's state, and whether all that it met was finite."""

    here: Place
    state: Any
    finite: Any


def begin(optimizer: Transform, function: Any, start: jax.Array) -> Walk:
    """The walk before its first update."""
    return Walk(_place(function, start), optimizer.init(start), jnp.array(True))


def advance(optimizer: Transform, function: Any, walk: Walk, scale: Any, draw: Any) -> Walk:
    """The walk after an update; see `follow`."""
    here = walk.here
    gradient = here.gradient if draw is None else here.gradient + jnp.asarray(scale, draw.dtype) * draw
    # A line search needs the function, and one of exact values would not go with a noisy gradient.
    extra = {"value_fn": function} if draw is None else {}
    steps, state = optimizer.update(
        gradient, walk.state, here.point, value=here.value, grad=gradient, **extra
    )
    ahead = _place(function, optax.apply_updates(here.point, steps))
    good = functools.reduce(jnp.logical_and, (jnp.isfinite(x).all() for x in ahead))
    here = jax.tree.map(lambda new, old: jnp.where(good, new, old), ahead, here)
    return Walk(here, state, walk.finite & good)


def _place(function: Any, point: Any) -> Place:
    return Place(point, *jax.value_and_grad(function)(point))


@functools.partial(jax.jit, static_argnames="updates")
def _points(optimizer, function, start, scale, draws, updates):
    return follow(optimizer, function, start, scale, draws, updates).points


@jax.jit
def _values(function, points):
    return jax.vmap(function)(points)


def _draws(noise: Any, key: Any, shape: tuple[int, ...]) -> Any:
    """Standard normal numbers for every update and coordinate, or None without noise."""
    if noise is None:
        if key is not None:
            raise ValueError("key is given without noise; give noise=..., or no key")
        return None
    if key is None:
        raise ValueError("noise needs a key: give key=jax.random.key(0), say")
    check_number("noise", noise, lambda x: x >= 0, "0 or more")
    return jax.random.normal(key, shape, jnp.result_type(float))
