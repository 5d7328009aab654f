"""Paths: the points that the same updates give in a plain loop, for one start and for many lanes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgd
from jaxgd.landscape.surfaces import paths
from jaxgd.landscape.surfaces.base import surface
from jaxgd.landscape.surfaces.paths import trace

HIMMELBLAU = surface("himmelblau")


def loop(optimizer, function, start, updates):
    """The path by a plain loop of the optimizer's updates."""
    point = jnp.asarray(start)
    state, points = optimizer.init(point), [point]
    gradient = jax.jit(jax.grad(function))
    for _ in range(updates):
        steps, state = optimizer.update(gradient(point), state, point)
        point = optax.apply_updates(point, steps)
        points.append(point)
    return np.array(points)


@pytest.mark.parametrize("optimizer", [jaxgd.sgd(0.01), jaxgd.nesterov(0.002), jaxgd.adam(0.1)], ids=str)
def test_equals_a_plain_loop(x64, optimizer):
    points = trace(optimizer, HIMMELBLAU, [0.5, -0.5], 30)
    assert points.shape == (31, 2)
    np.testing.assert_allclose(points, loop(optimizer, HIMMELBLAU, [0.5, -0.5], 30), rtol=1e-9)


def test_quadratic_path_by_hand(x64):
    """f = (x**2 + y**2 / 10) / 2 from (1, 1) at rate 0.1."""
    ends = {"sgd": (0.59049, 0.95099), "momentum": (-0.02916, 0.871634), "nesterov": (-0.104582, 0.838441)}
    for name, end in ends.items():
        points = trace(getattr(jaxgd, name)(0.1), surface("quadratic", condition=10), [1, 1], 5)
        np.testing.assert_allclose(points[-1], end, rtol=1e-5)


def test_vmaps_over_optimizers_and_starts_and_jits():
    stacked, axes = jaxgd.stack([jaxgd.momentum(rate) for rate in (0.001, 0.003)])
    starts = jnp.array([[0.0, 0.0], [1.0, -4.0], [-3.0, 3.0]])
    over_starts = jax.vmap(trace, (None, None, 0, None))
    both = jax.jit(jax.vmap(over_starts, (axes, None, None, None)), static_argnums=3)
    points = both(stacked, HIMMELBLAU, starts, 20)
    assert points.shape == (2, 3, 21, 2)
    for row, rate in enumerate((0.001, 0.003)):
        for column, start in enumerate(starts):
            alone = trace(jaxgd.momentum(rate), HIMMELBLAU, start, 20)
            np.testing.assert_allclose(points[row, column], alone, rtol=2e-4, atol=1e-5)


def test_no_second_compile_for_a_new_rate_start_or_curvature():
    trace(jaxgd.sgd(0.1), surface("saddle"), [1.0, 1.0], 3)
    before = paths._points._cache_size()
    trace(jaxgd.sgd(0.2), surface("saddle", curvature=3.0), [1.0, 0.5], 3)
    assert paths._points._cache_size() == before


def test_noise_has_the_standard_deviation_asked_for():
    """On a flat function with rate 1 the path is a random walk of the noise."""
    keys = jax.random.split(jax.random.key(0), 64)
    walk = functools.partial(trace, jaxgd.sgd(1.0), lambda p: 0.0 * p[0], jnp.zeros(2), 50)
    points = jax.jit(jax.vmap(lambda noise, key: walk(noise=noise, key=key), (None, 0)))(3.0, keys)
    steps = np.diff(points, axis=1)
    assert abs(steps.std() - 3) < 4 * 3 / np.sqrt(2 * steps.size)
    assert abs(steps.mean()) < 4 * 3 / np.sqrt(steps.size)
    np.testing.assert_allclose(points[5], walk(noise=3.0, key=keys[5]), rtol=1e-4, atol=1e-4)


def test_a_path_that_diverges_stays_finite():
    points = trace(jaxgd.sgd(1.0), HIMMELBLAU, [1.0, 1.0], 20)
    assert np.isfinite(points).all()
    np.testing.assert_array_equal(points[-1], points[-2])


def test_optax_transforms_and_line_searches_are_taken():
    points = trace(optax.adam(0.1), HIMMELBLAU, [0.0, 0.0], 5)
    np.testing.assert_allclose(points, trace(jaxgd.adam(0.1), HIMMELBLAU, [0.0, 0.0], 5), rtol=1e-5)
    points = trace(optax.lbfgs(), surface("rosenbrock"), [-1.2, 1.0], 40)
    np.testing.assert_allclose(points[-1], [1, 1], atol=1e-2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"start": [0.0]}, ValueError, r"start must have 2 coordinates on surface\('himmelblau'"),
        ({"start": [0.0, 9.0]}, ValueError, "inside the domain of himmelblau, from -5 to 5 in coordinate 1"),
        ({"start": [0.0, np.nan]}, ValueError, "start must be finite"),
        ({"start": ["a", "b"]}, TypeError, r"start must be an array of numbers \[dim\], got \['a', 'b'\]"),
        ({"start": [0.0, 1j]}, TypeError, "start must be real, got an array of complex64"),
        ({"surface": "himmelblau"}, TypeError, r"jaxgd.landscape.surface\('himmelblau'\), not its name"),
        ({"surface": 3}, TypeError, "surface must be a function of a point, got 3"),
        ({"start": 3.0}, ValueError, r"start must be a point \[dim\]"),
        ({"start": [[0.0, 1.0]]}, ValueError, "one point.*jax.vmap"),
        ({"updates": 0}, ValueError, "updates must be a whole number, 1 or more, got 0"),
        ({"updates": 2.5}, TypeError, "updates must be a whole number, 1 or more, got 2.5"),
        ({"optimizer": "sgd"}, TypeError, "optimizer must be a gradient transformation, got 'sgd'"),
        ({"noise": 1.0}, ValueError, "noise needs a key"),
        ({"key": jax.random.key(0)}, ValueError, "key is given without noise"),
        ({"noise": -1.0, "key": jax.random.key(0)}, ValueError, "noise must be finite and 0 or more, got -1"),
        ({"surface": lambda p: jnp.log(p[0] - 9)}, ValueError, r"finite where a path starts, got nan at \[0"),
        ({"surface": lambda p: p}, ValueError, "surface must give one number"),
    ],
)
def test_bad_input(change, error, message):
    given = {"optimizer": jaxgd.sgd(0.1), "surface": HIMMELBLAU, "start": [0.0, 0.0], "updates": 3, **change}
    with pytest.raises(error, match=message):
        trace(**given)
