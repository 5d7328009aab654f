"""A problem's loss along a line between two models, and on a plane through one."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.landscape.networks.directions import Directions, path_directions
from jaxgd.landscape.networks.objectives import CHUNK
from jaxgd.landscape.networks.stacks import Lanes, at_once, stacked_states
from jaxgd.training.problems.problem import Problem


class Line(NamedTuple):
    """Losses [..., n] on the line through two models, at positions [n]: 0 is the first, 1 the second."""

    positions: np.ndarray
    losses: jax.Array

    @property
    def barrier(self) -> np.ndarray:
        """By how much the loss between the two rises above the straight line between their losses: [...].

        The error barrier of Frankle et al. 2020, 0 where it does not rise; only positions from 0 to 1 count.
        """
        inside = (self.positions >= 0) & (self.positions <= 1)
        positions, losses = self.positions[inside], np.asarray(self.losses)[..., inside]
        chord = losses[..., :1] + (losses[..., -1:] - losses[..., :1]) * positions
        return np.max(losses - chord, axis=-1)


class Plane(NamedTuple):
    """Losses on a plane: x [nx] and y [ny], steps along the directions, and losses [..., ny, nx].

    directions: what spans it, with the training path if that was asked for.
    """

    x: np.ndarray
    y: np.ndarray
    losses: jax.Array
    directions: Directions


def line(
    problem: Problem,
    first: Any,
    second: Any,
    positions: Any = None,
    *,
    split: str = "train",
    chunk: int = CHUNK,
    model_state: Any = None,
    second_state: Any = None,
) -> Line:
    """The loss along the straight line through two models, for every lane.

    Args:
        problem: any problem.
        first: parameters, or stacked along leading axes.
        second: parameters stacked alike.
        positions: [n], 0 is the first model and 1 the second; 61 from -0.25 to 1.25 if None.
        split: "train", "valid" or "test".
        chunk: examples at once, which bounds the memory.
        model_state: that of the first as its run ended with it, stacked like it; needed where the problem has
            one, and so is
        second_state: that of the second. Between the two the floats of the state lie on the straight line
            too, and what is no float is that of the nearer; beyond them the state is that of the end.

    Raises:
        ValueError: parameters of another structure, stacked differently, or not finite; no model states, of a
            problem that has one.
    """
    positions = _checked_steps("positions", np.linspace(-0.25, 1.25, 61) if positions is None else positions)
    lanes = Lanes.of(problem, first, split, chunk, model_state)
    towards = jax.tree.map(lambda a, b: b - a, lanes.params, lanes.like("second", second))
    states = stacked_states(problem, second_state, lanes.shape.value, "second_state")
    losses = _losses(lanes, (towards,), (jnp.asarray(positions),), states)
    return Line(positions, losses)


def plane(
    problem: Problem,
    params: Any,
    directions: Directions | Sequence[Any],
    x: Any = None,
    y: Any = None,
    *,
    split: str = "train",
    chunk: int = CHUNK,
    model_state: Any = None,
) -> Plane:
    """The loss on the plane through `params` that two directions span, for every lane.

    The memory is that of one evaluation of `chunk` examples, whatever the number of points, lanes and
    examples. A loss that overflows far away is what it is, infinite or NaN.

    Args:
        problem: any problem.
        params: the centre, as the problem's `init` gives it, or stacked along leading axes.
        directions: `random_directions`, `path_directions`, `eigenvector_directions`, or any two trees like
            `params`, each for all lanes or stacked like them.
        x: [nx], steps along the first direction; 41 from -1 to 1 if None, or as far as the directions' path
            goes and a bit further.
        y: [ny], the same for the second.
        split: "train", "valid" or "test".
        chunk: examples at once.
        model_state: as runs ended with it, stacked like the parameters; needed where the problem has one.

    Raises:
        ValueError: directions or parameters of another structure, stacked differently, or not finite.
    """
    lanes = Lanes.of(problem, params, split, chunk, model_state)
    if not isinstance(directions, Directions):
        directions = _directions_of(directions)
    x, y = (
        _checked_steps(name, _default_steps(directions, axis) if given is None else given)
        for axis, (name, given) in enumerate({"x": x, "y": y}.items())
    )
    both = tuple(
        lanes.like(f"direction {n}", tree, is_for_all=True) for n, tree in enumerate(directions[:2], 1)
    )
    steps = jnp.asarray(np.tile(x, len(y))), jnp.asarray(np.repeat(y, len(x)))
    losses = _losses(lanes, both, steps)
    return Plane(x, y, losses.reshape(*losses.shape[:-1], len(y), len(x)), directions)


def path_plane(problem: Problem, path: Any, x: Any = None, y: Any = None, **options: Any) -> Plane:
    """The plane through the end of a training path, along its first two principal components.

    `directions.path` of the result is where the path's points stand in it (they lie off the plane, but for
    the last), `directions.share` how much of the path's variance it holds. Arguments as for `plane`.
    """
    directions = path_directions(problem, path)
    axis = np.ndim(directions.share)
    end = jax.tree.map(lambda points: points[(slice(None),) * axis + (-1,)], path)
    return plane(problem, end, directions, x, y, **options)


def losses_at(
    problem: Problem, params: Any, *, split: str = "train", chunk: int = CHUNK, model_state: Any = None
) -> jax.Array:
    """The mean loss of every lane of `params` over a split: [...]. Arguments as for `plane`."""
    return losses_of(Lanes.of(problem, params, split, chunk, model_state))


def losses_of(lanes: Lanes) -> jax.Array:
    """The mean loss of every lane: [...]."""
    return _losses(lanes, (), ())[..., 0]


@jax.jit
def _losses(lanes: Lanes, directions: tuple, steps: tuple, second_state: Any = None) -> jax.Array:
    """The losses of every lane at its parameters plus steps [points] along its directions: [..., points].

    second_state: the model state at the end of a single direction; None where it is the same everywhere.
    """

    def one(objective, params, second_state, *directions):
        def at(steps):
            moved = jax.tree.map(functools.partial(_moved, steps), params, *directions)
            if second_state is None:
                return objective.loss(moved)
            between = functools.partial(_between, *steps)
            state = jax.tree.map(between, objective.model_state, second_state)
            return dataclasses.replace(objective, model_state=state).loss(moved)

        if not steps:
            return objective.loss(params)[None]
        return jax.lax.map(at, steps, batch_size=at_once(len(steps[0])))

    return lanes.map(one, second_state, *directions)


def _moved(steps: Sequence[jax.Array], parameter: jax.Array, *directions: jax.Array) -> jax.Array:
    for step, direction in zip(steps, directions, strict=True):
        parameter = parameter + step.astype(direction.dtype) * direction
    return parameter


def _between(position: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    """A leaf of the state between two models; not beyond them, where a variance could fall below 0."""
    if not jnp.issubdtype(first.dtype, jnp.inexact):
        return jnp.where(position < 0.5, first, second)
    share = jnp.clip(position, 0, 1).astype(first.dtype)
    return (1 - share) * first + share * second  # both ends exact


def _default_steps(directions: Directions, axis: int) -> np.ndarray:
    """41 steps: from -1 to 1, or over the path of every lane and a fifth more at each end."""
    if directions.path is None:
        return np.linspace(-1, 1, 41)
    places = np.asarray(directions.path)[..., axis, :]
    low, high = places.min(), places.max()
    return np.linspace(low - 0.2 * (high - low), high + 0.2 * (high - low), 41)


def _directions_of(pair: Any) -> Directions:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(
            f"directions must be jaxgd.landscape.Directions or a pair of trees, got {type(pair).__name__}"
        )
    return Directions(*pair, names=("direction 1", "direction 2"))


def _checked_steps(name: str, steps: Any) -> np.ndarray:
    steps = np.asarray(steps, float)
    if steps.ndim != 1 or not steps.size or not np.isfinite(steps).all():
        raise ValueError(f"{name} must be a list of finite numbers, got an array of shape {steps.shape}")
    return steps
