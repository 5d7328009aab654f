"""Two directions in parameter space that span a plane worth looking at."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxgd.landscape.networks.spectra import extreme_eigenvectors
from jaxgd.landscape.networks.stacks import lane_shape
from jaxgd.training.fitting import is_key
from jaxgd.training.problems.problem import Problem


class Directions(NamedTuple):
    """Two directions as trees like the parameters, their names, and the path that they were found from.

    path: [..., 2, points], where the path's points stand in the plane, its last at (0, 0); None without one.
    share: [...], the part of the path's variance that the plane holds; None without one.
    """

    x: Any
    y: Any
    names: tuple[str, str]
    path: Any = None
    share: Any = None


def random_directions(problem: Problem, params: Any, key: jax.Array) -> Directions:
    """Two random directions, filter-normalised (Li et al. 2018), for one model or for every lane.

    A filter is what leads to one output: the last axis of an array of two or more. Each has a normal
    direction of the length of the filter itself, `d * |filter| / (|d| + 1e-10)`; arrays of one axis (biases,
    scales) stay where they are. So a step of 1 changes a network as much whatever the scale of its weights,
    and planes of networks can be compared. Every lane gets the same normal numbers.

    Raises:
        ValueError: as `plane`; TypeError: a key that is none.
    """
    if not is_key(key):
        raise TypeError(f"key must be one PRNG key such as jax.random.key(0), got {key!r}")
    lanes = lane_shape(problem, params)
    # NumPy draws them: a program that draws normal numbers takes a second to compile.
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))

    def direction():
        normal = jax.tree.map(lambda p: rng.normal(size=np.shape(p)[len(lanes) :]), params)
        return filter_normalized(params, normal)

    return Directions(direction(), direction(), names=("random direction 1", "random direction 2"))


def filter_normalized(params: Any, direction: Any) -> Any:
    """The direction, each filter of it as long as that of `params`; 0 for arrays of one axis.

    `params` may have axes of lanes in front of those that `direction` has.
    """

    def normalize(parameter, drawn):
        parameter, drawn = np.asarray(parameter), np.asarray(drawn)
        axes = tuple(range(-drawn.ndim, -1))
        if not axes:
            return np.zeros_like(parameter)
        norm = lambda x: np.sqrt(np.sum(x.astype(float) ** 2, axis=axes, keepdims=True))  # noqa: E731
        return (drawn * norm(parameter) / (norm(drawn) + 1e-10)).astype(parameter.dtype)

    return jax.tree.map(normalize, params, direction)


def path_directions(problem: Problem, path: Any) -> Directions:
    """The first two principal components of a training path: the plane that holds most of its variance.

    Args:
        problem: the problem that was trained.
        path: parameters [..., points, ...] as `training_path` gives them, three points or more.

    Raises:
        ValueError: too few points, or a path that does not leave a line.
    """
    *lanes, num_points = lane_shape(problem, path, "path") or (1,)
    if num_points < 3:
        raise ValueError(f"path must have 3 points or more to span a plane, got {num_points}")
    flat = _flat_points(path, (*lanes, num_points))
    found = [_principal(points) for points in flat.reshape(-1, *flat.shape[-2:])]
    axes, places, shares = (np.stack(part) for part in zip(*found, strict=True))
    unravel = ravel_pytree(jax.tree.map(lambda x: x[(0,) * (len(lanes) + 1)], path))[1]
    trees = jax.vmap(jax.vmap(unravel))(jnp.asarray(axes))  # [lanes, 2, ...]
    x, y = (jax.tree.map(lambda t, i=i: t[:, i].reshape(*lanes, *t.shape[2:]), trees) for i in range(2))
    names = ("first principal component of the path", "second principal component of the path")
    return Directions(x, y, names, places.reshape(*lanes, *places.shape[1:]), shares.reshape(lanes))


def _flat_points(path: Any, axes: tuple[int, ...]) -> np.ndarray:
    """The path with all parameters along one last axis, in float64: [*axes, dim]."""
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(path)]
    return np.concatenate(
        [leaf.reshape(*axes, math.prod(leaf.shape[len(axes) :])) for leaf in leaves], axis=-1
    )


def _principal(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`(axes [2, dim], places [2, points], share)` of points [points, dim].

    The axes are those of the two largest variances, turned so that the first point is not at a negative
    place; places are counted from the last point; share is the part of the variance along the two.
    """
    centred = points - points.mean(axis=0)
    # The product of points, not of dimensions: there are far fewer.
    variances, vectors = np.linalg.eigh(centred @ centred.T)
    if not variances[-2] > 1e-12 * variances[-1]:
        raise ValueError(
            "path must turn: its points lie on one line, or are one point, and span no plane (the path of a "
            "run that diverged does: take the part of it before)"
        )
    axes = (vectors[:, [-1, -2]].T @ centred) / np.sqrt(variances[[-1, -2]])[:, None]
    axes *= np.where(axes @ (points[0] - points[-1]) < 0, -1, 1)[:, None]
    share = variances[-2:].sum() / variances[variances > 0].sum()
    return axes, axes @ (points - points[-1]).T, np.asarray(share)


def eigenvector_directions(problem: Problem, params: Any, key: jax.Array, **options: Any) -> Directions:
    """The eigenvectors of the largest and the smallest eigenvalue of the Hessian, for every lane.

    Length 1: along them the loss grows like `loss + eigenvalue / 2 * step**2` where the steps are small.
    Options as for `jaxgd.curvature.extreme_eigenvectors`.
    """
    vectors = extreme_eigenvectors(problem, params, key, **options).vectors
    lanes = len(lane_shape(problem, params))
    x, y = (jax.tree.map(lambda v, i=i: v[(slice(None),) * lanes + (i,)], vectors) for i in range(2))
    return Directions(
        x, y, ("eigenvector of the largest eigenvalue", "eigenvector of the smallest eigenvalue")
    )
