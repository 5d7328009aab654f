"""The test surfaces as a table: formula, domain, known critical points and source of each."""

import itertools
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.optim.moments import root


class SurfaceKind(NamedTuple):
    """What is known about a surface.

    function: `function(point [dim], **numbers) -> scalar`. formula, source: texts.
    domain: (low, high) of every coordinate, or such a pair for each of two.
    critical_points: `critical_points(dim) -> [n, dim]`, those that are known.
    complete: `complete(dim)`, whether there are no others in the domain.
    least_dim, most_dim: how many coordinates it may have; most_dim None for any number.
    numbers: parameters of the surface with their defaults, all above 0.
    """

    name: str
    function: Callable[..., jax.Array]
    formula: str
    source: str
    domain: Any
    critical_points: Callable[[int], Any]
    complete: Callable[[int], bool]
    least_dim: int = 2
    most_dim: int | None = 2
    numbers: Any = MappingProxyType({})


def _sphere(x):
    return jnp.sum(x**2)


def _quadratic(x, condition):
    steps = np.arange(len(x)) / max(len(x) - 1, 1)
    return jnp.sum(x**2 / condition**steps) / 2


def _rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def _beale(p):
    x, y = p
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def _himmelblau(p):
    x, y = p
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def _booth(p):
    x, y = p
    return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2


def _six_hump_camel(p):
    x, y = p
    return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2


def _rastrigin(x):
    return jnp.sum(x**2 + 10 * (1 - jnp.cos(2 * jnp.pi * x)))


def _ackley(x):
    # The distance has a corner at the origin, where its derivative is taken as 0.
    distance = root(jnp.mean(x**2))
    return 20 - 20 * jnp.exp(-0.2 * distance) + jnp.e - jnp.exp(jnp.mean(jnp.cos(2 * jnp.pi * x)))


def _styblinski_tang(x):
    return jnp.sum(x**4 - 16 * x**2 + 5 * x) / 2


def _monkey_saddle(p):
    x, y = p
    return x**3 - 3 * x * y**2


def _saddle(p, curvature):
    x, y = p
    return (x**2 - curvature * y**2) / 2


def _plateau(x):
    return jnp.sum(jax.nn.sigmoid(2 * (x - 2)) + jax.nn.sigmoid(-2 * (x + 2)))


def _double_well(x):
    return (x[0] ** 2 - 1) ** 2 / 4 + jnp.sum(x[1:] ** 2) / 2


def _origin(dim):
    return np.zeros((1, dim))


def _product(roots):
    """The critical points of a sum of one function over the coordinates: every combination of its roots."""
    return lambda dim: np.array(list(itertools.product(roots, repeat=dim)))


def _given(*points):
    return lambda dim: np.array(points)


def _wells(dim):
    return np.pad([[-1.0], [0.0], [1.0]], ((0, 0), (0, dim - 1)))


def _always(dim):
    return True


def _never(dim):
    return False


_HIMMELBLAU = (
    (3.0, 2.0),
    (-2.805118086952745, 3.131312518250573),
    (-3.779310253377747, -3.283185991286170),
    (3.584428340330492, -1.848126526964404),
    (0.086677504555396, 2.884254701174776),
    (3.385154183607021, 0.073851879837749),
    (-3.073025750764390, -0.081353044287968),
    (-0.127961346730680, -1.953714980244577),
    (-0.270844590667348, -0.923038556479981),
)
_CAMEL = (
    (0.089842013100318, -0.712656403020740),
    (1.703606714969981, -0.796083568672625),
    (1.607104752920198, 0.568651454884131),
    (1.638067984189779, 0.228674069044394),
    (1.109205336804786, -0.768268092509540),
    (1.296070267167109, 0.605084388038659),
    (1.230229876516653, 0.162334584458995),
)
_ANY: dict[str, Any] = {"least_dim": 1, "most_dim": None}
_ROOTS = tuple(np.sort(np.roots([4, 0, -32, 5]).real).tolist())  # of 2 x**3 - 16 x + 2.5, times 2

KINDS: dict[str, SurfaceKind] = {
    kind.name: kind
    for kind in (
        SurfaceKind(
            "sphere",
            _sphere,
            "sum x_i**2",
            "De Jong 1975, F1",
            (-5.0, 5.0),
            _origin,
            _always,
            **_ANY,
        ),
        SurfaceKind(
            "quadratic",
            _quadratic,
            "sum h_i x_i**2 / 2, h_i falling geometrically from 1 to 1 / condition",
            "Nesterov 2004, section 2.1",
            (-2.0, 2.0),
            _origin,
            _always,
            **_ANY,
            numbers={"condition": 100.0},
        ),
        SurfaceKind(
            "rosenbrock",
            _rosenbrock,
            "sum 100 (x_(i+1) - x_i**2)**2 + (1 - x_i)**2",
            "Rosenbrock 1960; n dimensions: Shang and Qiu 2006",
            (-2.048, 2.048),
            lambda dim: np.ones((1, dim)),
            lambda dim: dim == 2,
            most_dim=None,
        ),
        SurfaceKind(
            "beale",
            _beale,
            "(1.5 - x + x y)**2 + (2.25 - x + x y**2)**2 + (2.625 - x + x y**3)**2",
            "Beale 1958",
            (-4.5, 4.5),
            _given((3.0, 0.5), (0.0, 1.0), (0.100537937324158, -2.644513585023124)),
            _always,
        ),
        SurfaceKind(
            "himmelblau",
            _himmelblau,
            "(x**2 + y - 11)**2 + (x + y**2 - 7)**2",
            "Himmelblau 1972",
            (-5.0, 5.0),
            _given(*_HIMMELBLAU),
            _always,
        ),
        SurfaceKind(
            "booth",
            _booth,
            "(x + 2 y - 7)**2 + (2 x + y - 5)**2",
            "Jamil and Yang 2013, function 17",
            (-10.0, 10.0),
            _given((1.0, 3.0)),
            _always,
        ),
        SurfaceKind(
            "six_hump_camel",
            _six_hump_camel,
            "(4 - 2.1 x**2 + x**4 / 3) x**2 + x y + (4 y**2 - 4) y**2",
            "Branin 1972",
            ((-3.0, 3.0), (-2.0, 2.0)),
            _given(*_CAMEL, (0.0, 0.0), *((-x, -y) for x, y in _CAMEL)),
            _always,
        ),
        SurfaceKind(
            "rastrigin",
            _rastrigin,
            "sum x_i**2 + 10 (1 - cos 2 pi x_i)",
            "Rastrigin 1974; n dimensions: Rudolph 1990",
            (-5.12, 5.12),
            _origin,
            _never,
            **_ANY,
        ),
        SurfaceKind(
            "ackley",
            _ackley,
            "20 - 20 exp(-0.2 sqrt(mean x_i**2)) + e - exp(mean cos 2 pi x_i)",
            "Ackley 1987; n dimensions: Bäck 1996",
            (-5.0, 5.0),
            _origin,
            _never,
            **_ANY,
        ),
        SurfaceKind(
            "styblinski_tang",
            _styblinski_tang,
            "sum (x_i**4 - 16 x_i**2 + 5 x_i) / 2",
            "Styblinski and Tang 1990",
            (-5.0, 5.0),
            _product(_ROOTS),
            _always,
            **_ANY,
        ),
        SurfaceKind(
            "monkey_saddle",
            _monkey_saddle,
            "x**3 - 3 x y**2",
            "Hilbert and Cohn-Vossen 1932",
            (-2.0, 2.0),
            _origin,
            _always,
        ),
        SurfaceKind(
            "saddle",
            _saddle,
            "(x**2 - curvature y**2) / 2",
            "the quadratic form of a non-degenerate saddle (Morse 1925)",
            (-2.0, 2.0),
            _origin,
            _always,
            numbers={"curvature": 1.0},
        ),
        SurfaceKind(
            "plateau",
            _plateau,
            "sum sigmoid(2 (x_i - 2)) + sigmoid(-2 (x_i + 2))",
            "a valley between saturated sigmoids: their gradient fades exponentially (Hochreiter 1991)",
            (-6.0, 6.0),
            _origin,
            _always,
            **_ANY,
        ),
        SurfaceKind(
            "double_well",
            _double_well,
            "(x_1**2 - 1)**2 / 4 + sum over i > 1 of x_i**2 / 2",
            "the potential of Kramers 1940, to fourth order",
            (-2.0, 2.0),
            _wells,
            _always,
            **_ANY,
        ),
    )
}
