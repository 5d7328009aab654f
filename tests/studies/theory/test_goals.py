"""Steps to a goal: known figures, search against single steps, and the figure of Zhang et al."""

import math

import numpy as np
import pytest

from jaxgd.studies import expected_loss, steps_to_goal

H, C = (1, 0.3, 0.04), (1, 0.6, 0.08)
RATES = np.geomspace(0.01, 1.9, 60)


def test_known_steps():
    found = steps_to_goal(H, C, 0.02, 2 ** np.arange(10), RATES)
    assert found.steps.tolist() == [387, 196, 99, 51, 27, 15, 9, 6, 5, 4]
    assert found.edge == [None] * 10


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"averaging": 0.9}]
)
def test_the_first_update_at_the_goal(options):
    rates = RATES / 10
    found = steps_to_goal(H, C, 0.02, [2, 32], rates, **options)
    for size, steps, rate in zip(found.batch_size, found.steps, found.learning_rate, strict=True):
        assert expected_loss(H, C, rate, size, steps, **options) <= 0.02
        for other in (rates[0], rate, rates[30], rates[-1]):
            assert all(expected_loss(H, C, other, size, t, **options) > 0.02 for t in range(int(steps)))


def closed_form(h, c, goal, size, rates):
    """The best steps of SGD, each rate by halving: no s is below where it ends."""
    best = math.inf, math.nan
    for rate in rates:
        rest = rate * c / (size * h * (2 - rate * h))
        assert (rest <= 1).all()

        def loss(t, rate=rate, rest=rest):
            return h @ (rest + (1 - rate * h) ** (2.0 * t) * (1 - rest)) / 2

        low, high = 0, 2**26
        if loss(high) > goal:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if loss(middle) <= goal else (middle, high)
        best = min(best, (high, rate))
    return best


@pytest.mark.parametrize("size", [1, 2, 8])
def test_long_searches_are_exact(size):
    h = np.geomspace(1, 1e-4, 7)
    rates = np.geomspace(1e-3, 1, 12)
    steps, rate = closed_form(h, h, 2e-3, size, rates)
    found = steps_to_goal(h, h, 2e-3, size, rates)
    assert steps > 4096
    assert (found.steps[0], found.learning_rate[0]) == (steps, pytest.approx(rate))


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({"momentum": 0.9}, [0.0005, 0.001]),
        ({"averaging": 0.999}, [0.02, 0.03]),
        ({"momentum": 0.9, "averaging": 0.99}, [0.0005, 0.001]),
    ],
)
def test_long_searches_of_other_methods(options, rates):
    h = np.geomspace(1, 1e-4, 7)
    steps, rate = (x[0] for x in steps_to_goal(h, h, 2e-3, 1, rates, **options)[1:3])
    assert steps > 4096
    at = [
        expected_loss(h, h, rate, 1, t, **options) for t in (*np.linspace(0, steps - 1, 200).round(), steps)
    ]
    assert min(at[:-1]) > 2e-3 >= at[-1]


def test_oscillations_that_last_are_followed():
    """The loss of heavy ball without noise crosses the goal again and again; the first time counts."""
    h, goal, rate, momentum = np.geomspace(1, 1e-4, 7), 1e-4, 1e-3, 0.999
    x, m, steps = np.ones(7), np.zeros(7), 0
    while h @ x**2 / 2 > goal:
        m = momentum * m + h * x
        x, steps = x - rate * m, steps + 1
    assert steps > 4096
    assert steps_to_goal(h, 0, goal, 1, rate, momentum=momentum).steps.tolist() == [steps]


def test_a_loss_that_dips_below_the_goal_is_caught_after_many_updates():
    """The bias of one coordinate dies while the noise of a slower one has yet to come up."""
    h, c, s0 = np.array([1e-3, 1e-5]), np.array([0.0, 1e-5]), np.array([1.0, 0.0])
    found = steps_to_goal(h, c, 2e-5, 1.0, 1.0, s0=s0)
    steps = int(found.steps[0])
    assert 512 < steps < 4096
    assert expected_loss(h, c, 1.0, 1, math.inf, s0=s0) < 4e-6
    late = steps_to_goal(h, c, 2e-6, 1.0, 0.3, s0=s0)
    at = [expected_loss(h, c, 0.3, 1, late.steps[0] + k, s0=s0) for k in (-1, 0)]
    assert late.steps[0] > 4096
    assert at[0] > 2e-6 >= at[1]


def test_edges_and_what_is_never_reached():
    found = steps_to_goal([1.0], [1.0], 0.01, [1, 1e6], [0.01, 0.1, 0.5])
    assert found.edge == ["lowest", "highest"]
    never = steps_to_goal([1.0], [1.0], 0.01, [1], [0.1, 0.5])
    assert never.steps[0] == math.inf
    assert math.isnan(never.learning_rate[0])
    assert never.edge == [None]
    assert steps_to_goal([1.0], [1.0], 0.6, [1], [0.1, 0.5]).steps.tolist() == [0]
    assert steps_to_goal([1e-4], [0.0], 1e-5, [1], [0.1, 0.5], most=5000).steps[0] == math.inf


def test_bad_arguments():
    with pytest.raises(ValueError, match="goal must be finite and above 0, got 0"):
        steps_to_goal([1], 1, 0, 1, 0.1)
    with pytest.raises(ValueError, match="batch_sizes must be above 0, got 0"):
        steps_to_goal([1], 1, 0.1, [4, 0], 0.1)
    with pytest.raises(ValueError, match=r"learning_rates must have shape \[d\], got \[0\]"):
        steps_to_goal([1], 1, 0.1, 1, [])


@pytest.fixture(scope="module")
def spectrum():
    """1 / i for i up to 10⁴ in 100 bins: curvatures and how many coordinates each stands for."""
    edges = np.geomspace(1, 1e-4, 100)
    edges[-1] = 1e-4
    values = 1 / np.arange(1, 10_001)
    used, counts = np.unique((edges > values[:, None]).sum(axis=1), return_counts=True)
    return edges[used], counts


def of_zhang(spectrum, sizes, rates, **options):
    h, counts = spectrum
    return steps_to_goal(h, h * counts, 0.01, sizes, rates, s0=counts, **options).steps


def test_the_figure_of_zhang(spectrum):
    """To 1 %, as a grid of rates is another: 41 and 6.4 times are those of the best momentum and average."""
    sizes, rates = [16, 4096, 2**20], np.geomspace(0.001, 1.9, 60)
    sgd = of_zhang(spectrum, sizes, rates)
    np.testing.assert_allclose(sgd, [379858, 8117, 7268], rtol=0.01)
    fast = [of_zhang(spectrum, sizes, np.geomspace(1e-4, 3.9, 60), momentum=b)[2] for b in (0.95, 0.96, 0.97)]
    assert 38 < sgd[2] / min(fast) < 46
    averaged = of_zhang(spectrum, sizes, rates, averaging=0.9999)
    assert 6 < sgd[0] / averaged[0] < 7
    assert averaged[2] > sgd[2]
