"""Test surfaces: functions of a few coordinates whose landscape is known, each also as a training problem."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.arguments import one_of, seed_number, unknown, whole_number
from jaxgd.landscape.surfaces.catalogue import KINDS, SurfaceKind
from jaxgd.optim.hyperparameters import as_number, check_number, text
from jaxgd.pytrees import PyTree, Static
from jaxgd.training.problems.problem import Problem


class Surface(PyTree):
    """A function of a point: `surface(point [dim]) -> scalar`. Built by `surface`; its numbers are leaves.

    Attributes:
        label: its name, and
        size: its number of coordinates, `dim`: both structure.
        numbers: its parameters by name, such as a condition number.
    """

    label: Any
    size: Any
    numbers: Any

    def __call__(self, point: Any) -> jax.Array:
        """The value at a point `[dim]`; `jax.vmap` it over points."""
        point = jnp.asarray(point)
        if point.shape != (self.dim,):
            raise ValueError(f"point must have shape ({self.dim},) on {self!r}, got {point.shape}")
        if not jnp.issubdtype(point.dtype, jnp.floating):
            point = point.astype(jnp.result_type(float))
        numbers = {name: jnp.asarray(number, point.dtype) for name, number in self.numbers.items()}
        return self.kind.function(point, **numbers)

    @property
    def name(self) -> str:
        """Its name in `SURFACES`."""
        return self.label.value

    @property
    def kind(self) -> SurfaceKind:
        """Its row of the table of surfaces."""
        return KINDS[self.name]

    @property
    def dim(self) -> int:
        """The number of coordinates."""
        return self.size.value

    @property
    def formula(self) -> str:
        """The function in plain symbols."""
        return self.kind.formula

    @property
    def source(self) -> str:
        """Who published it."""
        return self.kind.source

    @property
    def domain(self) -> np.ndarray:
        """The box in which it is usually looked at: float64[dim, 2], lowest and highest coordinates."""
        return np.broadcast_to(np.asarray(self.kind.domain), (self.dim, 2)).copy()

    @property
    def critical_points(self) -> np.ndarray:
        """The known points where the gradient is 0: float64[n, dim]. See `all_known`."""
        return self.kind.critical_points(self.dim)

    @property
    def all_known(self) -> bool:
        """Whether `critical_points` are all that there are in the domain."""
        return self.kind.complete(self.dim)

    def problem(self, noise: float = 0.0, examples: int = 256, start: Any = None, seed: int = 0) -> Problem:
        """The problem of finding its minimum, with a gradient whose noise depends on the batch size.

        An example is a vector e, and its loss f(x) + e . x. The vectors are drawn from a normal distribution,
        then shifted and scaled so that over all of them every coordinate has mean 0 and variance noise**2. So
        the full batch has the exact gradient, and a batch of B drawn with replacement one with noise of
        variance noise**2 / B in every coordinate (shuffled, (N - B) / (N - 1) times that). `valid` is one
        example without noise: `valid_loss` is f itself.

        Args:
            noise: standard deviation of the gradient of one example, 0 or more.
            examples: their number N, 2 or more; 1 is enough without noise.
            start: where training starts, `[dim]`. None: uniform in the domain, drawn from the run's key.
            seed: of the vectors.
        """
        check_number("noise", as_number("noise", noise), lambda x: x >= 0, "0 or more")
        examples = whole_number("examples", examples, least=1 if noise == 0 else 2)
        vectors = np.random.default_rng(seed_number("seed", seed)).standard_normal((examples, self.dim))
        vectors -= vectors.mean(axis=0)
        scale = vectors.std(axis=0)
        vectors = noise * vectors / np.where(scale > 0, scale, 1)
        low, high = self.domain.T if start is None else (check_start(self, start),) * 2
        return Problem(
            init=jax.tree_util.Partial(_uniform, low, high),
            loss=jax.tree_util.Partial(_tilted, self),
            train=np.asarray(vectors, jnp.result_type(float)),
            valid=np.zeros((1, self.dim), jnp.result_type(float)),
        )

    def __repr__(self):
        numbers = "".join(f", {name}={text(value)}" for name, value in self.numbers.items())
        return f"surface({self.name!r}, dim={self.dim}{numbers})"


def surface(name: str, dim: int | None = None, **numbers: Any) -> Surface:
    """The test surface of that name; see `SURFACES` for the names.

    Args:
        name: such as "himmelblau".
        dim: the number of coordinates; 2 if None. Some surfaces have 2 only.
        **numbers: parameters of the surface: `condition` of "quadratic", `curvature` of "saddle". Above 0.

    Raises:
        ValueError: an unknown name (the nearest is suggested), or a number of coordinates it does not have.
        TypeError: a parameter that the surface does not have.

    Example:
        >>> import jaxgd
        >>> himmelblau = jaxgd.landscape.surface("himmelblau")
        >>> float(himmelblau([3.0, 2.0]))
        0.0
        >>> jaxgd.landscape.surface("styblinski_tang", dim=3).critical_points.shape
        (27, 3)
    """
    kind = KINDS[one_of("surface", name, KINDS)]
    least, most = kind.dims
    dim = 2 if dim is None else whole_number("dim", dim, least)
    if most is not None and dim > most:
        raise ValueError(f"dim is {dim}; {name} has {most} coordinates only")
    for given, value in numbers.items():
        if given not in kind.numbers:
            raise TypeError(unknown(f"parameter of {name}", given, kind.numbers))
        check_number(given, as_number(given, value), lambda x: x > 0, "above 0")
    stored = {given: as_number(given, value) for given, value in {**kind.numbers, **numbers}.items()}
    return Surface(Static(name), Static(dim), stored)


def check_callable(function: Any) -> None:
    """Raise TypeError unless it is a surface or another function."""
    if isinstance(function, str) and function in KINDS:
        raise TypeError(
            f"surface must be a function of a point: jaxgd.landscape.surface({function!r}), not its name"
        )
    if not callable(function):
        raise TypeError(f"surface must be a function of a point, got {function!r}")


def check_start(function: Any, start: Any, name: str = "start") -> jax.Array:
    """`start` as an array of floats `[..., dim]`.

    Raises:
        ValueError: another number of coordinates than a `Surface` has, a NaN, or a place outside its domain.
        TypeError: a surface that cannot be called, or a start that is not numbers or is complex.
    """
    check_callable(function)
    if any(isinstance(x, str) for x in jax.tree.leaves(start)):
        raise TypeError(f"{name} must be an array of numbers [dim], got {start!r}")
    start = jnp.asarray(start)
    if jnp.iscomplexobj(start):
        raise TypeError(f"{name} must be real, got an array of {start.dtype}")
    if not jnp.issubdtype(start.dtype, jnp.floating):
        start = start.astype(jnp.result_type(float))
    if start.ndim == 0:
        raise ValueError(f"{name} must be a point [dim], got the number {start}")
    dim = function.dim if isinstance(function, Surface) else start.shape[-1]
    if start.shape[-1] != dim:
        raise ValueError(f"{name} must have {dim} coordinates on {function!r}, got shape {start.shape}")
    if isinstance(start, Tracer):
        return start
    points = np.asarray(start, np.float64).reshape(-1, dim)
    if not np.isfinite(points).all():
        raise ValueError(f"{name} must be finite, got {points[~np.isfinite(points).all(axis=1)][0].tolist()}")
    if isinstance(function, Surface):
        _check_inside(function, points, name)
    return start


def _check_inside(function: Surface, points: np.ndarray, name: str) -> None:
    low, high = function.domain.T
    slack = 1e-6 * (high - low)  # an edge in float32 may lie a little outside
    outside = (points < low - slack) | (points > high + slack)
    if outside.any():
        row, place = np.argwhere(outside)[0]
        raise ValueError(
            f"{name} must be inside the domain of {function.name}, from {low[place]:g} to {high[place]:g} in "
            f"coordinate {place}, got {points[row, place]:g}"
        )


def _uniform(low, high, key):
    low, high = jnp.asarray(low, jnp.result_type(float)), jnp.asarray(high, jnp.result_type(float))
    return low + (high - low) * jax.random.uniform(key, low.shape, low.dtype)


def _tilted(function, point, batch):
    return function(point) + batch @ point
