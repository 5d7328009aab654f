"""Eigenvalues, trace and spectrum of a loss's Hessian, from its products with vectors."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.arguments import whole_number
from jaxgd.landscape.networks.krylov import Ritz, ritz, tridiagonalize
from jaxgd.landscape.networks.objectives import CHUNK, flat_product
from jaxgd.landscape.networks.stacks import Lanes, at_once
from jaxgd.training.fitting import is_key
from jaxgd.training.problems.problem import Problem

# Lanczos steps where none are given: enough for the ends of the spectra of trained networks.
STEPS = 40


class Eigenvalues(NamedTuple):
    """The ends of a spectrum: largest [..., count], descending, and smallest [..., count], ascending.

    An eigenvalue of the Hessian lies within the residual of each: residuals of `largest`, of `smallest`. That
    it is the outermost one is not certain, but with a random start it is missed only where others lie close.
    """

    largest: jax.Array
    smallest: jax.Array
    largest_residuals: jax.Array
    smallest_residuals: jax.Array


class Eigenvectors(NamedTuple):
    """Values [..., 2 * count], the largest first, then the smallest, and vectors of length 1.

    vectors: a tree like the parameters, [..., 2 * count, ...].
    """

    values: jax.Array
    vectors: Any


class Trace(NamedTuple):
    """An estimate of a trace and its standard error over the probes: [...]."""

    value: jax.Array
    standard_error: jax.Array


class Spectrum(NamedTuple):
    """A spectrum as points and weights: nodes [..., probes, steps], weights that sum to 1 over the steps."""

    nodes: jax.Array
    weights: jax.Array

    def moment(self, power: int) -> jax.Array:
        """The mean of `eigenvalue ** power` over the spectrum: [...]."""
        return jnp.mean(jnp.sum(self.weights * self.nodes**power, axis=-1), axis=-1)

    def density(self, grid: Any, width: float) -> np.ndarray:
        """The spectrum on `grid` [n], each point a Gaussian of standard deviation `width`: [..., n].

        It integrates to 1: the fraction of eigenvalues between two numbers is the area between them.
        """
        if not width > 0:
            raise ValueError(f"width must be above 0, got {width}")
        nodes, weights = (np.asarray(x, float)[..., None] for x in self)
        bells = np.exp(-0.5 * ((np.asarray(grid, float) - nodes) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        return (weights * bells).sum(axis=-2).mean(axis=-2)


def extreme_eigenvalues(
    problem: Problem,
    params: Any,
    key: jax.Array,
    count: int = 1,
    *,
    steps: int | None = None,
    split: str = "train",
    chunk: int = CHUNK,
    model_state: Any = None,
) -> Eigenvalues:
    """The `count` largest and smallest eigenvalues of the Hessian, by Lanczos from a random vector.

    Args:
        problem: any problem.
        params: as its `init` gives them, or stacked along leading axes.
        key: draws the starting vector, the same for every lane.
        count: how many at each end, at most `steps`.
        steps: products with the Hessian, at most the number of parameters; 40 or that number if None.
        split: "train", "valid" or "test".
        chunk: examples at once: the memory is that of a gradient of so many, and `steps` copies of the
            parameters.
        model_state: as runs ended with it, stacked like `params`; needed where the problem has one.

    Raises:
        ValueError: parameters of another structure or not finite, more steps than parameters, more
            eigenvalues than steps.

    Example:
        >>> problem = jaxgd.classification(jaxgd.linear(64, 10), *jaxgd.datasets.load("digits"))
        >>> fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.1), 32), jax.random.key(0), epochs=5)
        >>> jaxgd.curvature.extreme_eigenvalues(problem, fit.state.params, jax.random.key(1)).largest
    """
    lanes = Lanes.of(problem, params, split, chunk, model_state)
    return eigenvalues_of(lanes, key, steps, count)


def sharpness(problem: Problem, params: Any, key: jax.Array, **options: Any) -> jax.Array:
    """The largest eigenvalue of the Hessian: [...]. Arguments as for `extreme_eigenvalues`."""
    return extreme_eigenvalues(problem, params, key, **options).largest[..., 0]


def extreme_eigenvectors(
    problem: Problem,
    params: Any,
    key: jax.Array,
    count: int = 1,
    *,
    steps: int | None = None,
    split: str = "train",
    chunk: int = CHUNK,
    model_state: Any = None,
) -> Eigenvectors:
    """The eigenvectors of the `count` largest and smallest eigenvalues. As `extreme_eigenvalues`."""
    lanes = Lanes.of(problem, params, split, chunk, model_state)
    return _each(_eigenvectors, lanes, key, _checked_steps(lanes, key, steps, count))


def trace(
    problem: Problem,
    params: Any,
    key: jax.Array,
    probes: int = 64,
    *,
    split: str = "train",
    chunk: int = CHUNK,
    model_state: Any = None,
) -> Trace:
    """The trace of the Hessian, estimated by probes of random signs (Hutchinson 1990).

    A probe v gives `vᵀHv`, whose mean is the trace and whose variance is `2 (|H|² - sum of squares of the
    diagonal)`. Every lane gets the same probes, so that lanes differ by less than their standard errors say.

    Args:
        problem: any problem.
        params: as its `init` gives them, or stacked along leading axes.
        key: draws the probes.
        probes: 2 or more; the standard error falls with their square root.
        split: "train", "valid" or "test".
        chunk: examples at once.
        model_state: as for `extreme_eigenvalues`.
    """
    return trace_of(Lanes.of(problem, params, split, chunk, model_state), key, probes)


def spectral_density(
    problem: Problem,
    params: Any,
    key: jax.Array,
    probes: int = 8,
    *,
    steps: int | None = None,
    split: str = "train",
    chunk: int = CHUNK,
    model_state: Any = None,
) -> Spectrum:
    """The spectrum of the Hessian by stochastic Lanczos quadrature (Ghorbani, Krishnan, Xiao 2019).

    A probe of random signs gives the nodes and weights of a Gauss quadrature: `sum(w * nodes**p)` is
    `vᵀHᵖv / vᵀv`, exactly for p up to `2 * steps - 1`, whose mean over probes is the mean of `eigenvalue**p`.

    Args:
        problem: any problem.
        params: as its `init` gives them, or stacked along leading axes.
        key: draws the probes, the same for every lane.
        probes: 1 or more.
        steps: products with the Hessian for each probe; 40 or the number of parameters if None.
        split: "train", "valid" or "test".
        chunk: examples at once.
        model_state: as for `extreme_eigenvalues`.
    """
    lanes = Lanes.of(problem, params, split, chunk, model_state)
    steps, _ = _checked_steps(lanes, key, steps)
    return _each(_spectrum, lanes, key, (whole_number("probes", probes), steps))


def eigenvalues_of(lanes: Lanes, key: jax.Array, steps: int | None = None, count: int = 1) -> Eigenvalues:
    """`extreme_eigenvalues` of lanes."""
    return _each(_eigenvalues, lanes, key, _checked_steps(lanes, key, steps, count))


def trace_of(lanes: Lanes, key: jax.Array, probes: int) -> Trace:
    """`trace` of lanes."""
    _check_key(key)
    return _each(_trace, lanes, key, (whole_number("probes", probes, 2),))


def _check_key(key: Any) -> None:
    if not is_key(key):
        raise TypeError(f"key must be one PRNG key such as jax.random.key(0), got {key!r}")


def _checked_steps(lanes: Lanes, key: Any, steps: Any, count: Any = 1) -> tuple[int, int]:
    """The number of Lanczos steps, at most that of parameters, and that of eigenvalues at each end."""
    _check_key(key)
    if steps is None:
        steps = min(STEPS, lanes.dim)
    steps = whole_number("steps", steps, most=lanes.dim, also=", the number of parameters")
    return steps, whole_number("count", count, most=steps)


@functools.partial(jax.jit, static_argnums=(0, 3))
def _each(measure: Callable, lanes: Lanes, key: jax.Array, sizes: tuple[int, ...]) -> Any:
    """`measure(product, flat, unravel, key, *sizes)` of every lane: see `flat_product`."""
    return lanes.map(lambda objective, params: measure(*flat_product(objective, params), key, *sizes))


def _eigenvalues(product, flat, unravel, key, steps, count) -> Eigenvalues:
    found = _ritz(product, flat, key, steps)
    values, errors = found.values, found.residuals
    return Eigenvalues(values[::-1][:count], values[:count], errors[::-1][:count], errors[:count])


def _eigenvectors(product, flat, unravel, key, steps, count) -> Eigenvectors:
    found = _ritz(product, flat, key, steps)
    both = lambda x: jnp.concatenate([x[::-1][:count], x[:count]])  # noqa: E731
    return Eigenvectors(both(found.values), jax.vmap(unravel)(both(found.vectors)))


def _ritz(product: Callable, flat: jax.Array, key: jax.Array, steps: int) -> Ritz:
    # Not random signs: those are at a right angle to vectors such as (1, -1) half of the time.
    start = jax.random.uniform(key, flat.shape, flat.dtype, -1, 1)
    return ritz(tridiagonalize(product, start, steps))


def _trace(product, flat, unravel, key, probes) -> Trace:
    values = _over_probes(lambda v: jnp.vdot(v, product(v)), key, flat, probes)
    return Trace(jnp.mean(values), jnp.std(values, ddof=1) / math.sqrt(probes))


def _spectrum(product, flat, unravel, key, probes, steps) -> Spectrum:
    def of(probe):
        found = ritz(tridiagonalize(product, probe, steps))
        return Spectrum(found.values, found.weights)

    return _over_probes(of, key, flat, probes)


def _over_probes(function: Callable, key: jax.Array, flat: jax.Array, probes: int) -> Any:
    """`function` of each probe, a vector of random signs; each is made when its turn comes."""

    def one(index):
        return function(jax.random.rademacher(jax.random.fold_in(key, index), flat.shape, flat.dtype))

    return jax.lax.map(one, jnp.arange(probes), batch_size=at_once(probes))
