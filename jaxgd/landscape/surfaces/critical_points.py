"""Where the gradient of a surface is 0, found from many starts, and what each such point is."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.landscape.surfaces.base import Surface, check_callable
from jaxgd.pytrees import as_function

STARTS = 1024  # of one round
MOST_ROUNDS = 16
ITERATIONS = 100
# Two points are one where they differ by less than this part of the domain's width in every coordinate.
APART = 1e-5
# A gradient is 0 below this part of its median norm over the domain.
SMALL = 1e-9
# An eigenvalue is 0 below this part of how much the Hessian changes within a hundredth of the domain's width.
FLAT = 1e-6


class CriticalPoints(NamedTuple):
    """Critical points in the order of their values, in float64.

    Attributes:
        points: `[n, dim]`.
        values: `[n]`.
        eigenvalues: `[n, dim]` of the Hessian, ascending.
        index: `[n]`, the number of negative ones.
        kinds: "minimum", "maximum", "saddle" (eigenvalues of both signs), or "degenerate" (a zero among
            eigenvalues that are otherwise of one sign: the second-order test is inconclusive).
    """

    points: np.ndarray
    values: np.ndarray
    eigenvalues: np.ndarray
    index: np.ndarray
    kinds: list[str]

    def of_kind(self, kind: str) -> np.ndarray:
        """The points `[k, dim]` of one kind."""
        return self.points[np.array(self.kinds, str) == kind]


def find_critical_points(surface: Any, domain: Any = None) -> CriticalPoints:
    """The critical points of a surface inside a box.

    A damped Newton method on the gradient (Levenberg-Marquardt) runs from a low-discrepancy set of starts and
    from the centre of the box, 1024 at a time, until two rounds in a row have found nothing new or 16 rounds
    are over; the points are merged. All is computed in float64, whatever the session's setting.

    A search is no proof: a point that few starts lead to can be missed, and one where the gradient jumps is
    found only by a start that falls on it. Where critical points are not isolated (a flat floor), as many are
    found as there are starts.

    Args:
        surface: a `Surface`, or any twice differentiable function of a point `[dim]`.
        domain: `[dim, 2]`, the lowest and the highest of each coordinate, or one such pair for all those of a
            `Surface`. None: the surface's own.

    Raises:
        ValueError: no domain, a box without width, a surface that is finite at no start.

    Example:
        >>> import jaxgd
        >>> found = jaxgd.landscape.find_critical_points(jaxgd.landscape.surface("himmelblau"))
        >>> sorted(found.kinds)
        ['maximum', 'minimum', 'minimum', 'minimum', 'minimum', 'saddle', 'saddle', 'saddle', 'saddle']
    """
    domain = _checked_domain(surface, domain)
    function = as_function(surface)
    with jax.enable_x64(True):
        _check_scalar(function, domain)
        points = _search(function, domain)
        return _classified(points, _look_around(function, points, domain))


def classify(surface: Any, points: Any, domain: Any = None) -> CriticalPoints:
    """What given critical points are, by the eigenvalues of the Hessian there.

    Args:
        surface: as in `find_critical_points`.
        points: `[n, dim]`, where the gradient is 0 up to the digits that were written down.
        domain: as in `find_critical_points`; it sets the scale on which an eigenvalue counts as 0.

    Raises:
        ValueError: points of another dimension, or one where the gradient is not 0.
    """
    domain = _checked_domain(surface, domain)
    points = np.atleast_2d(np.asarray(points, np.float64))
    if points.ndim != 2 or points.shape[1] != len(domain):
        raise ValueError(f"points must have shape [n, {len(domain)}], got {np.shape(points)}")
    function = as_function(surface)
    with jax.enable_x64(True):
        _check_scalar(function, domain)
        local = _look_around(function, points, domain)
    norms = np.linalg.norm(local.gradients, axis=1)
    # Up to a Newton step of a thousandth of the domain.
    allowed = 1e-3 * np.abs(local.hessians).max(axis=(1, 2), initial=0) * np.diff(domain).max()
    bad = ~(norms <= np.maximum(allowed, 1e-9))
    if bad.any():
        place, norm = points[bad][0].tolist(), norms[bad][0]
        raise ValueError(f"points must be critical, but the gradient at {place} has norm {norm:.3g}")
    return _classified(points, local)


def _check_scalar(function: Any, domain: np.ndarray) -> None:
    shape = jax.eval_shape(function, jax.ShapeDtypeStruct((len(domain),), np.float64)).shape
    if shape != ():
        raise ValueError(f"surface must give one number for a point, got shape {shape}")


def _checked_domain(surface: Any, domain: Any) -> np.ndarray:
    check_callable(surface)
    if domain is None:
        if not isinstance(surface, Surface):
            raise ValueError("domain is needed for a function: [[low, high], ...], one pair per coordinate")
        return surface.domain
    box = np.asarray(domain, np.float64)
    if isinstance(surface, Surface) and box.shape == (2,):
        box = np.broadcast_to(box, (surface.dim, 2))
    if box.ndim != 2 or box.shape[1] != 2 or not len(box):
        raise ValueError(f"domain must have shape [dim, 2], a pair (low, high) each, got shape {box.shape}")
    if isinstance(surface, Surface) and len(box) != surface.dim:
        raise ValueError(f"domain must have {surface.dim} pairs for {surface!r}, got {len(box)}")
    if not (np.isfinite(box).all() and (box[:, 0] < box[:, 1]).all()):
        raise ValueError(f"domain must have low < high, both finite, in every pair, got {box.tolist()}")
    return box


def _search(function: Any, domain: np.ndarray) -> np.ndarray:
    """The merged points [n, dim] of rounds of starts."""
    from scipy.stats import qmc  # half a second that only a search needs to spend

    low, width = domain[:, 0], np.diff(domain)[:, 0]
    sobol = qmc.Sobol(len(domain), rng=np.random.default_rng(0))
    found, idle = np.zeros((0, len(domain))), 0
    for round_number in range(MOST_ROUNDS):
        starts = low + width * sobol.random(STARTS)
        if round_number == 0:
            starts[0] = low + width / 2
        descent = Descent(*map(np.asarray, _descend(function, starts, width)))
        _check_finite(descent.values)
        merged = _merged(found, _inside(_converged(descent), domain), width)
        idle = idle + 1 if len(merged) == len(found) else 0
        found = merged
        if idle == 2:
            break
    return found


def _check_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).any():
        raise ValueError(f"surface must be finite in its domain, but is {values[0]} at all {STARTS} starts")


def _converged(descent: "Descent") -> np.ndarray:
    """The ends where the gradient is 0, the least gradient first."""
    usual = descent.start_norms[np.isfinite(descent.start_norms)]
    allowed = SMALL * np.median(usual) if usual.size else 0.0
    return descent.ends[np.argsort(descent.norms)][: int(np.sum(descent.norms <= allowed))]


def _inside(points: np.ndarray, domain: np.ndarray) -> np.ndarray:
    slack = 1e-9 * np.diff(domain)[:, 0]
    good = (points >= domain[:, 0] - slack) & (points <= domain[:, 1] + slack)
    return points[good.all(axis=1)]


def _merged(found: np.ndarray, points: np.ndarray, width: np.ndarray) -> np.ndarray:
    """`found` and those of `points` that are far from all before them."""
    for point in points:
        if not (np.abs(found - point) < APART * width).all(axis=1).any():
            found = np.concatenate([found, point[None]])
    return found


class Descent(NamedTuple):
    """Descents of the gradient's norm: ends [n, dim], norms there and at the starts [n], start values [n]."""

    ends: Any
    norms: Any
    start_norms: Any
    values: Any


@jax.jit
def _descend(function: Callable, starts: jax.Array, width: jax.Array) -> Descent:
    return jax.vmap(functools.partial(_descend_one, function, width))(starts)


def _descend_one(function, width, start):
    """Levenberg-Marquardt: steps solve (HᵀH + damping) step = -Hᵀg, in units of the domain's width."""
    gradient, hessian = jax.grad(function), jax.hessian(function)

    def step(_, carry):
        point, g, damping = carry
        h = width[:, None] * hessian(point) * width[None]
        normal = h.T @ h
        scale = jnp.trace(normal) + jnp.finfo(normal.dtype).tiny
        ahead = point - width * jnp.linalg.solve(normal + damping * scale * jnp.eye(len(g)), h.T @ g)
        g_ahead = width * gradient(ahead)
        better = jnp.linalg.norm(g_ahead) < jnp.linalg.norm(g)  # False where it is NaN
        damping = jnp.clip(jnp.where(better, damping / 4, damping * 8), 1e-18, 1e3)
        return jnp.where(better, ahead, point), jnp.where(better, g_ahead, g), damping

    first = width * gradient(start)
    carry = (start, first, jnp.asarray(1e-2, start.dtype))
    point, last, _ = jax.lax.fori_loop(0, ITERATIONS, step, carry)
    return Descent(point, jnp.linalg.norm(last), jnp.linalg.norm(first), function(start))


class Local(NamedTuple):
    """A surface around points: values [n], gradients [n, dim], Hessians [n, dim, dim], and changes [n].

    changes: by how much an entry of the Hessian changes within a hundredth of the domain's width.
    """

    values: Any
    gradients: Any
    hessians: Any
    changes: Any


@jax.jit
def _look(function: Callable, points: jax.Array, width: jax.Array) -> Local:
    def look(point):
        steps = jnp.diag(width) / 100
        around = point[None] + jnp.concatenate([0 * steps[:1], steps, -steps])
        hessians = jax.vmap(jax.hessian(function))(around)
        changes = jnp.nanmax(jnp.abs(hessians[1:] - hessians[:1]))
        return Local(function(point), jax.grad(function)(point), hessians[0], changes)

    return jax.vmap(look)(points)


def _look_around(function: Any, points: np.ndarray, domain: np.ndarray) -> Local:
    """What is around the points, in NumPy."""
    return Local(*map(np.asarray, _look(function, points, np.diff(domain)[:, 0])))


def _classified(points: np.ndarray, local: Local) -> CriticalPoints:
    eigenvalues = np.linalg.eigvalsh(local.hessians)
    flat = np.maximum(FLAT * local.changes, 1e-12 * np.abs(eigenvalues).max(axis=1, initial=0))
    signs = np.where(np.abs(eigenvalues) <= flat[:, None], 0, np.sign(eigenvalues)).astype(int)
    kinds = np.array([_kind(row) for row in signs], object)
    order = np.argsort(local.values, kind="stable")
    index = (signs < 0).sum(axis=1)
    return CriticalPoints(
        points[order], local.values[order], eigenvalues[order], index[order], kinds[order].tolist()
    )


def _kind(signs: np.ndarray) -> str:
    """What eigenvalues of these signs say."""
    if signs.min() < 0 < signs.max():
        return "saddle"
    if not signs.all():
        return "degenerate"
    return "minimum" if signs[0] > 0 else "maximum"
