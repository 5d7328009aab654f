"""Surfaces: their values, known critical points, and the gradient noise of their problems."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.landscape.surfaces import catalogue
from jaxgd.landscape.surfaces.base import surface
from jaxgd.specs.presets import SURFACES

KNOWN_VALUES = [
    ("sphere", 3, [1.0, 2.0, 3.0], 14.0),
    ("quadratic", 2, [2.0, 2.0], 2.02),
    ("quadratic", 3, [1.0, 1.0, 1.0], 0.555),
    ("rosenbrock", 2, [-1.2, 1.0], 24.2),
    ("rosenbrock", 3, [1.0, 1.0, 2.0], 100.0),
    ("beale", 2, [3.0, 0.5], 0.0),
    ("beale", 2, [0.0, 1.0], 14.203125),
    ("himmelblau", 2, [0.0, 0.0], 170.0),
    ("booth", 2, [1.0, 3.0], 0.0),
    ("six_hump_camel", 2, [0.0898420131, -0.7126564030], -1.0316284535),
    ("rastrigin", 2, [0.5, 0.0], 20.25),
    ("ackley", 2, [0.0, 0.0], 0.0),
    ("styblinski_tang", 3, [-2.903534, -2.903534, -2.903534], -39.16616570 * 3),
    ("monkey_saddle", 2, [1.0, 2.0], -11.0),
    ("saddle", 2, [1.0, 2.0], -1.5),
    ("plateau", 2, [0.0, 2.0], 2 / (1 + np.exp(4)) + 0.5 + 1 / (1 + np.exp(8))),
    ("double_well", 2, [0.0, 1.0], 0.75),
]


@pytest.mark.parametrize(("name", "dim", "point", "value"), KNOWN_VALUES)
def test_values(x64, name, dim, point, value):
    np.testing.assert_allclose(surface(name, dim=dim)(point), value, rtol=1e-8, atol=1e-8)


def test_every_surface_is_listed_with_a_value():
    assert set(SURFACES) == {name for name, *_ in KNOWN_VALUES}
    assert tuple(catalogue.KINDS) == SURFACES
    assert set(SURFACES) == {kind.name for kind in catalogue.KINDS.values()}


@pytest.mark.parametrize("name", SURFACES)
def test_known_critical_points_are_critical_and_inside(x64, name):
    shown = surface(name)
    points = shown.critical_points
    assert points.ndim == 2
    assert points.shape[1] == shown.dim == 2
    assert np.all((shown.domain[:, 0] < points) & (points < shown.domain[:, 1]))
    gradients = jax.jit(jax.vmap(jax.grad(shown)))(jnp.asarray(points))
    np.testing.assert_allclose(gradients, 0, atol=2e-12)
    assert shown.formula
    assert shown.source


def test_ackley_has_a_finite_gradient_and_hessian_at_the_origin():
    ackley = surface("ackley", dim=3)
    origin = jnp.zeros(3)
    np.testing.assert_allclose(jax.jit(jax.grad(ackley))(origin), 0, atol=1e-6)
    assert np.isfinite(jax.jit(jax.hessian(ackley))(origin)).all()
    # Just beside the corner the slope is that of the cone: 4 times the root mean square's, here 4 / sqrt(3).
    near = jnp.array([1e-5, 0.0, 0.0])
    np.testing.assert_allclose(jax.jit(jax.grad(ackley))(near)[0], 4 / np.sqrt(3), rtol=1e-3)


def test_numbers_are_leaves_and_cost_no_further_program():
    traced = []

    @jax.jit
    def value(shown, point):
        traced.append(1)
        return shown(point)

    point = jnp.array([1.0, 1.0])
    assert value(surface("saddle", curvature=1.0), point) == 0
    assert value(surface("saddle", curvature=3), point) == -1
    assert len(traced) == 1
    stacked, axes = jaxgd.stack([surface("quadratic", condition=c) for c in (1.0, 10.0)])
    np.testing.assert_allclose(jax.vmap(value, (axes, None))(stacked, point), [1.0, 0.55], rtol=1e-6)
    assert repr(surface("saddle", curvature=3)) == "surface('saddle', dim=2, curvature=3)"
    assert repr(pickle.loads(pickle.dumps(surface("beale")))) == "surface('beale', dim=2)"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: surface("himelblau"), ValueError, "unknown surface 'himelblau'; did you mean 'himmelblau'?"),
        (lambda: surface("beale", dim=3), ValueError, "dim is 3; beale has 2 coordinates only"),
        (lambda: surface("rosenbrock", dim=1), ValueError, "dim must be a whole number, 2 or more, got 1"),
        (lambda: surface("sphere", dim=2.5), TypeError, "dim must be a whole number, 1 or more, got 2.5"),
        (lambda: surface("saddle", curvatur=2), TypeError, "did you mean 'curvature'?"),
        (lambda: surface("saddle", curvature=0), ValueError, "curvature must be finite and above 0, got 0"),
        (lambda: surface("sphere")([1.0]), ValueError, r"point must have shape \(2,\).*got \(1,\)"),
        (lambda: surface("sphere").problem(noise=-1), ValueError, "noise must be finite and 0 or more"),
        (
            lambda: surface("sphere").problem(noise=1, examples=1),
            ValueError,
            "examples must be .*, 2 or more, got 1",
        ),
        (lambda: surface("sphere").problem(start=[9, 0]), ValueError, "inside the domain of sphere"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_problem_without_noise_is_gradient_descent_on_the_surface():
    booth = surface("booth")
    problem = booth.problem(examples=1, start=[0.0, 0.0])
    run = jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.05), "full"), jax.random.key(0), epochs=100)
    np.testing.assert_allclose(run.state.params, [1.0, 3.0], atol=1e-4)
    np.testing.assert_allclose(run.history["valid_loss"][-1], booth(run.state.params), atol=1e-6)


def test_noise_of_the_problem_has_the_variance_it_promises(x64):
    """The mean over all examples is exact, and so is the mean of the squares: variance noise**2 / B."""
    problem = surface("sphere", dim=3).problem(noise=2.0, examples=64, start=[1.0, 1.0, 1.0])
    point = problem.init(jax.random.key(0))
    each = jax.vmap(lambda e: jax.grad(lambda p: problem.loss(p, e[None])[0])(point))(problem.train)
    np.testing.assert_allclose(each.mean(axis=0), 2 * np.ones(3), rtol=1e-12)
    np.testing.assert_allclose(each.var(axis=0), 4.0, rtol=1e-12)


def test_without_a_start_the_key_draws_one_in_the_domain():
    camel = surface("six_hump_camel")
    starts = np.array([camel.problem().init(jax.random.key(seed)) for seed in range(30)])
    low, high = camel.domain.T
    assert ((starts >= low) & (starts <= high)).all()
    assert (np.ptp(starts, axis=0) > 0.7 * (high - low)).all()


def test_a_sweep_over_batch_sizes_and_seeds_of_a_noisy_surface():
    """SGD on a noisy quadratic: the mean loss after t updates is known (Zhang et al. 2019)."""
    rate, noise, num = 0.5, 1.0, 80
    problem = surface("quadratic", condition=10.0).problem(noise, examples=num, start=[1.0, 1.0])

    def make_trainer(hp):
        return jaxgd.trainer(problem, jaxgd.sgd(rate), hp.batch_size, sampling="replacement")

    axes = {"batch_size": [4, 16], "seed": list(range(200))}
    losses = jaxgd.sweep(make_trainer, axes, epochs=1).dataset.valid_loss.isel(epoch=0)
    curvatures = np.array([1.0, 0.1])
    for size in (4, 16):
        limit = rate * noise**2 / (size * curvatures * (2 - rate * curvatures))
        second = limit + (1 - rate * curvatures) ** (2 * num // size) * (1 - limit)
        runs = losses.sel(batch_size=size).values
        assert abs(runs.mean() - curvatures @ second / 2) < 4 * runs.std(ddof=1) / np.sqrt(200)
