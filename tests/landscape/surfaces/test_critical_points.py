"""Critical points found from the domain alone, and what they are, against closed forms."""

from collections import Counter

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import comb

from jaxgd.landscape.surfaces.base import surface
from jaxgd.landscape.surfaces.critical_points import classify, find_critical_points
from jaxgd.specs.presets import SURFACES


def index_sum(found):
    """The sum of (-1)**index over the points."""
    return int(sum((-1) ** index for index in found.index))


def at(found, point):
    """The row of a point."""
    row = np.abs(found.points - point).max(axis=1).argmin()
    np.testing.assert_allclose(found.points[row], point, atol=1e-5)
    return row


def test_himmelblau_from_its_domain_alone():
    found = find_critical_points(surface("himmelblau"))
    assert Counter(found.kinds) == {"minimum": 4, "saddle": 4, "maximum": 1}
    assert found.points.dtype == found.values.dtype == found.eigenvalues.dtype == np.float64
    row = at(found, (3, 2))
    np.testing.assert_allclose(found.eigenvalues[row], [25.716, 82.284], rtol=1e-5, atol=5e-4)
    for point in ((-2.805118, 3.131313), (-3.779310, -3.283186), (3.584428, -1.848127)):
        assert found.kinds[at(found, point)] == "minimum"
    top = at(found, (-0.270845, -0.923039))
    assert found.kinds[top] == "maximum"
    assert found.index[top] == 2
    assert index_sum(found) == 1


@pytest.mark.parametrize("name", [n for n in SURFACES if n not in ("rastrigin", "ackley")])
def test_what_is_known_is_found_and_nothing_else(name):
    shown = surface(name)
    found = find_critical_points(shown)
    for point in shown.critical_points:
        assert np.abs(found.points - point).max(axis=1).min() < 1e-7
    assert len(found.points) == len(shown.critical_points)
    assert (np.diff(found.values) >= 0).all()
    # Where the gradient points out of the whole edge of the domain, the sum is its Euler characteristic, 1.
    if name not in ("saddle", "monkey_saddle", "beale"):
        assert index_sum(found) == 1


@pytest.mark.parametrize("name", ["rastrigin", "ackley"])
def test_product_lattices(name):
    """21 critical points along each axis: 11 minima and 10 maxima."""
    found = find_critical_points(surface(name))
    assert Counter(found.kinds) == {"minimum": 121, "saddle": 220, "maximum": 100}
    assert index_sum(found) == 1


def test_eigenvalues_of_rosenbrock_and_beale():
    found = find_critical_points(surface("rosenbrock"))
    np.testing.assert_allclose(found.eigenvalues, [[0.3994, 1001.6006]], rtol=1e-4)
    found = find_critical_points(surface("beale"))
    np.testing.assert_allclose(found.eigenvalues[at(found, (3, 0.5))], [0.3015, 48.9798], rtol=2e-4)
    np.testing.assert_allclose(found.eigenvalues[at(found, (0, 1))], [-27.75, 27.75], rtol=1e-5)
    assert found.kinds[at(found, (0, 1))] == "saddle"


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_saddles_outnumber_minima(dim):
    """3**n points, 2**n of them minima, and the index counts maxima among coordinates: Binomial(n, 1/3)."""
    found = find_critical_points(surface("styblinski_tang", dim=dim))
    assert len(found.points) == 3**dim
    assert found.kinds.count("minimum") == 2**dim
    counts = [Counter(found.index.tolist())[k] for k in range(dim + 1)]
    assert counts == [int(comb(dim, k)) * 2 ** (dim - k) for k in range(dim + 1)]


@pytest.mark.parametrize("shift", [0.0, 0.37])
def test_monkey_saddle_is_degenerate(shift):
    def shifted(p):
        x, y = p[0] - shift, p[1] + shift
        return x**3 - 3 * x * y**2

    found = find_critical_points(shifted, domain=[[-2, 2], [-2, 2]])
    assert found.kinds == ["degenerate"]
    np.testing.assert_allclose(found.points, [[shift, -shift]], atol=1e-5)
    np.testing.assert_allclose(found.eigenvalues, 0, atol=1e-5)


def test_small_curvature_is_no_zero():
    found = find_critical_points(surface("quadratic", dim=3, condition=1e8))
    assert found.kinds == ["minimum"]
    np.testing.assert_allclose(found.eigenvalues, [[1e-8, 1e-4, 1]], rtol=1e-6)


def test_both_signs_and_a_zero_are_a_saddle():
    found = find_critical_points(lambda p: p[0] ** 2 - p[1] ** 2 + p[2] ** 4, domain=[[-1, 1]] * 3)
    assert set(found.kinds) == {"saddle"}


def test_the_session_keeps_its_precision():
    find_critical_points(surface("sphere"))
    assert jnp.ones(1).dtype == jnp.float32


def test_a_surface_that_is_nan_in_part_of_its_domain():
    found = find_critical_points(lambda p: jnp.log(p[0]) + 1 / p[0] + p[1] ** 2, domain=[[-1, 3], [-1, 1]])
    np.testing.assert_allclose(found.points, [[1.0, 0.0]], atol=1e-8)
    assert found.kinds == ["minimum"]


def test_no_critical_point():
    found = find_critical_points(lambda p: p[0] + jnp.exp(p[1]), domain=[[-1, 1], [-1, 1]])
    assert found.points.shape == (0, 2)
    assert found.kinds == []


def test_only_inside_the_domain_asked_for():
    found = find_critical_points(surface("himmelblau"), domain=[[0, 5], [0, 5]])
    assert Counter(found.kinds) == {"minimum": 1, "saddle": 2}
    assert len(find_critical_points(surface("himmelblau"), domain=(0, 5)).points) == 3


def test_classify_takes_rounded_points():
    found = classify(surface("himmelblau"), [[3, 2], [-0.270845, -0.923039]])
    assert found.kinds == ["minimum", "maximum"]
    np.testing.assert_allclose(found.of_kind("maximum"), [[-0.270845, -0.923039]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find_critical_points(jnp.sum), "domain is needed for a function"),
        (lambda: find_critical_points(jnp.sum, domain=[[1, 0]]), "low < high"),
        (lambda: find_critical_points(jnp.sum, domain=[0, 1, 2]), r"shape \[dim, 2\]"),
        (lambda: find_critical_points(surface("sphere"), domain=[[0, 1]]), "must have 2 pairs"),
        (
            lambda: find_critical_points(lambda p: jnp.nan * p[0], domain=[[0, 1]]),
            "must be finite.*nan at all",
        ),
        (lambda: find_critical_points(lambda p: p, domain=[[0, 1]]), "must give one number"),
        (lambda: classify(surface("himmelblau"), [[0, 0]]), r"gradient at \[0.0, 0.0\] has norm 26.1"),
        (lambda: classify(surface("himmelblau"), [[0, 0, 0]]), r"points must have shape \[n, 2\]"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
