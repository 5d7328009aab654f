"""The test surfaces, each with its formula, domain, known critical points and source beside its function."""

import itertools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.optim.moments import root

_TWO, _FROM_ONE, _FROM_TWO = (2, 2), (1, None), (2, None)  # how many coordinates


def _origin(dim):
    return np.zeros((1, dim))


class SurfaceKind(NamedTuple):
    """What is known about a surface.

    function: `function(point [dim], **numbers) -> scalar`. formula, source: texts.
    domain: (low, high) of every coordinate, or such a pair for each of two.
    dims: the least and the greatest number of coordinates that it may have, None for any number.
    critical_points: `critical_points(dim) -> [n, dim]`, those that are known.
    complete: `complete(dim)`, whether there are no others in the domain.
    numbers: parameters of the surface with their defaults, all above 0.
    """

    name: str
    function: Callable[..., jax.Array]
    formula: str
    source: str
    domain: Any
    dims: tuple[int, int | None] = _TWO
    critical_points: Callable[[int], Any] = _origin
    complete: Callable[[int], bool] = lambda dim: True
    numbers: Mapping[str, float] = MappingProxyType({})


KINDS: dict[str, SurfaceKind] = {}


def _given(*points):
    return lambda dim: np.array(points)


def _product(roots):
    """The critical points of a sum of one function over the coordinates: every combination of its roots."""
    return lambda dim: np.array(list(itertools.product(roots, repeat=dim)))


def _surface(formula: str, source: str, domain: Any, **known: Any) -> Callable:
    """Puts the function below it among the surfaces, under its name."""

    def add(function):
        name = function.__name__.removeprefix("_")
        KINDS[name] = SurfaceKind(name, function, formula, source, domain, **known)
        return function

    return add


@_surface("sum x_i**2", source="De Jong 1975, F1", domain=(-5.0, 5.0), dims=_FROM_ONE)
def _sphere(x):
    return jnp.sum(x**2)


@_surface(
    "sum h_i x_i**2 / 2, h_i falling geometrically from 1 to 1 / condition",
    source="Nesterov 2004, section 2.1",
    domain=(-2.0, 2.0),
    dims=_FROM_ONE,
    numbers={"condition": 100.0},
)
def _quadratic(x, condition):
    steps = np.arange(len(x)) / max(len(x) - 1, 1)
    return jnp.sum(x**2 / condition**steps) / 2


@_surface(
    "sum 100 (x_(i+1) - x_i**2)**2 + (1 - x_i)**2",
    source="Rosenbrock 1960; n dimensions: Shang and Qiu 2006",
    domain=(-2.048, 2.048),
    dims=_FROM_TWO,
    critical_points=lambda dim: np.ones((1, dim)),
    complete=lambda dim: dim == 2,
)
def _rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@_surface(
    "(1.5 - x + x y)**2 + (2.25 - x + x y**2)**2 + (2.625 - x + x y**3)**2",
    source="Beale 1958",
    domain=(-4.5, 4.5),
    critical_points=_given((3.0, 0.5), (0.0, 1.0), (0.100537937324158, -2.644513585023124)),
)
def _beale(p):
    x, y = p
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


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


@_surface(
    "(x**2 + y - 11)**2 + (x + y**2 - 7)**2",
    source="Himmelblau 1972",
    domain=(-5.0, 5.0),
    critical_points=_given(*_HIMMELBLAU),
)
def _himmelblau(p):
    x, y = p
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


@_surface(
    "(x + 2 y - 7)**2 + (2 x + y - 5)**2",
    source="Jamil and Yang 2013, function 17",
    domain=(-10.0, 10.0),
    critical_points=_given((1.0, 3.0)),
)
def _booth(p):
    x, y = p
    return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2


_CAMEL = (
    (0.089842013100318, -0.712656403020740),
    (1.703606714969981, -0.796083568672625),
    (1.607104752920198, 0.568651454884131),
    (1.638067984189779, 0.228674069044394),
    (1.109205336804786, -0.768268092509540),
    (1.296070267167109, 0.605084388038659),
    (1.230229876516653, 0.162334584458995),
)


@_surface(
    "(4 - 2.1 x**2 + x**4 / 3) x**2 + x y + (4 y**2 - 4) y**2",
    source="Branin 1972",
    domain=((-3.0, 3.0), (-2.0, 2.0)),
    critical_points=_given(*_CAMEL, (0.0, 0.0), *((-x, -y) for x, y in _CAMEL)),
)
def _six_hump_camel(p):
    x, y = p
    return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2


@_surface(
    "sum x_i**2 + 10 (1 - cos 2 pi x_i)",
    source="Rastrigin 1974; n dimensions: Rudolph 1990",
    domain=(-5.12, 5.12),
    dims=_FROM_ONE,
    complete=lambda dim: False,
)
def _rastrigin(x):
    return jnp.sum(x**2 + 10 * (1 - jnp.cos(2 * jnp.pi * x)))


@_surface(
    "20 - 20 exp(-0.2 sqrt(mean x_i**2)) + e - exp(mean cos 2 pi x_i)",
    source="Ackley 1987; n dimensions: Bäck 1996",
    domain=(-5.0, 5.0),
    dims=_FROM_ONE,
    complete=lambda dim: False,
)
def _ackley(x):
    # The distance has a corner at the origin, where its derivative is taken as 0.
    distance = root(jnp.mean(x**2))
    return 20 - 20 * jnp.exp(-0.2 * distance) + jnp.e - jnp.exp(jnp.mean(jnp.cos(2 * jnp.pi * x)))


@_surface(
    "sum (x_i**4 - 16 x_i**2 + 5 x_i) / 2",
    source="Styblinski and Tang 1990",
    domain=(-5.0, 5.0),
    dims=_FROM_ONE,
    critical_points=_product(np.sort(np.roots([4, 0, -32, 5]).real).tolist()),
)
def _styblinski_tang(x):
    return jnp.sum(x**4 - 16 * x**2 + 5 * x) / 2


@_surface("x**3 - 3 x y**2", source="Hilbert and Cohn-Vossen 1932", domain=(-2.0, 2.0))
def _monkey_saddle(p):
    x, y = p
    return x**3 - 3 * x * y**2


@_surface(
    "(x**2 - curvature y**2) / 2",
    source="the quadratic form of a non-degenerate saddle (Morse 1925)",
    domain=(-2.0, 2.0),
    numbers={"curvature": 1.0},
)
def _saddle(p, curvature):
    x, y = p
    return (x**2 - curvature * y**2) / 2


@_surface(
    "sum sigmoid(2 (x_i - 2)) + sigmoid(-2 (x_i + 2))",
    source="a valley between saturated sigmoids: their gradient fades exponentially (Hochreiter 1991)",
    domain=(-6.0, 6.0),
    dims=_FROM_ONE,
)
def _plateau(x):
    return jnp.sum(jax.nn.sigmoid(2 * (x - 2)) + jax.nn.sigmoid(-2 * (x + 2)))


@_surface(
    "(x_1**2 - 1)**2 / 4 + sum over i > 1 of x_i**2 / 2",
    source="the potential of Kramers 1940, to fourth order",
    domain=(-2.0, 2.0),
    dims=_FROM_ONE,
    critical_points=lambda dim: np.pad([[-1.0], [0.0], [1.0]], ((0, 0), (0, dim - 1))),
)
def _double_well(x):
    return (x[0] ** 2 - 1) ** 2 / 4 + jnp.sum(x[1:] ** 2) / 2
