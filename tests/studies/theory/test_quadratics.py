"""The noisy quadratic's expected loss: hand calculations, simulation by `fit`, and properties."""

import math

import jax
import numpy as np
import pytest
from hypothesis import given, strategies as st

import jaxgd
from jaxgd.studies import expected_loss, noisy_quadratic

H, C = (1.0, 0.1), (1.0, 0.1)


@pytest.mark.parametrize(
    ("options", "updates", "loss"),
    [
        ({}, 20, 0.0286556),
        ({}, math.inf, 0.0224359),
        ({"momentum": 0.9}, 20, 0.221189),
        ({"momentum": 0.9}, math.inf, 0.195758),
        ({"momentum": 0.9, "nesterov": True}, 20, 0.0864581),
        ({"averaging": 0.8}, 20, 0.0166707),
        ({"averaging": 0.8}, math.inf, 0.00670703),
    ],
)
def test_known_losses(options, updates, loss):
    assert expected_loss(H, C, 0.5, 8, updates, **options) == pytest.approx(loss, rel=1e-5)


def test_without_noise_and_without_updates():
    assert expected_loss(H, 0, 0.5, 8, 20) == pytest.approx(0.00642561, rel=1e-5)
    assert expected_loss(H, C, 0.5, 8, 0) == pytest.approx(0.55)
    assert expected_loss(H, C, 0.0, 8, math.inf) == pytest.approx(0.55)


@pytest.mark.parametrize("updates", [0, 1, 7, 30])
def test_sgd_is_its_closed_form(updates):
    h, c, rate, size, s0 = np.array([2.0, 0.3]), np.array([0.5, 4.0]), 0.4, 3, np.array([1.5, 0.2])
    rest = rate * c / (size * h * (2 - rate * h))
    moments = rest + (1 - rate * h) ** (2 * updates) * (s0 - rest)
    assert expected_loss(h, c, rate, size, updates, s0=s0) == pytest.approx(h @ moments / 2, rel=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("averaging", [None, 0.0, 0.7])
def test_one_update_by_hand(nesterov, averaging):
    """From x = 1: the gradient h + n moves x by the rate times that, Nesterov's by 1 + b times as much."""
    h, c, rate, b = 0.5, 2.0, 0.3, 0.6
    step = rate * (1 + b) if nesterov else rate
    share = 1.0 if averaging is None else 1 - averaging
    mean, variance = 1 - share * step * h, (share * step) ** 2 * c / 4
    loss = expected_loss([h], c, rate, 4, 1, momentum=b, nesterov=nesterov, averaging=averaging)
    assert loss == pytest.approx(h * (mean**2 + variance) / 2, rel=1e-12)


def test_ramp_against_cut():
    h, c = (1, 0.25), (1, 0.4)
    assert expected_loss(h, c, [0.4, 0.2, 0.1], 4, [50, 50, 100]) == pytest.approx(0.00912721, rel=1e-5)
    assert expected_loss(h, c, 0.4, [4, 8, 16], [50, 25, 25]) == pytest.approx(0.0104578, rel=1e-5)
    assert expected_loss(h, c, 0.4, 4, 200) == pytest.approx(0.0417763, rel=1e-5)


def stepwise(h, c, rate, size, updates, momentum=0.0, nesterov=False, averaging=None):
    """The loss by single updates of a covariance, coordinate by coordinate."""
    total = 0.0
    for h_i, c_i in zip(h, c, strict=True):
        x, m = np.array([1.0, 0, 0, 0]), np.array([0.0, 1, 0, 0])  # rows over (x, m, average, noise)
        moved = momentum * m + h_i * x + np.array([0.0, 0, 0, 1])
        gradient = h_i * x + np.array([0.0, 0, 0, 1])
        after = x - rate * (gradient + momentum * moved if nesterov else moved)
        share = 1.0 if averaging is None else 1 - averaging
        average = (1 - share) * np.array([0.0, 0, 1, 0]) + share * after
        matrix = np.stack([after, moved, average])
        moments = np.outer([1.0, 0, 1], [1.0, 0, 1])
        for _ in range(updates):
            moments = matrix[:, :3] @ moments @ matrix[:, :3].T + c_i / size * np.outer(
                matrix[:, 3], matrix[:, 3]
            )
        total += h_i * moments[2, 2] / 2
    return total


@given(
    rate=st.floats(0.01, 0.9),
    size=st.integers(1, 64),
    updates=st.integers(0, 40),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    nesterov=st.booleans(),
    averaging=st.sampled_from([None, 0.5, 0.99]),
)
def test_many_updates_are_single_ones(rate, size, updates, momentum, nesterov, averaging):
    options = {"momentum": momentum, "nesterov": nesterov, "averaging": averaging}
    expected = stepwise(H, C, rate, size, updates, **options)
    assert expected_loss(H, C, rate, size, updates, **options) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"averaging": 0.999}])
def test_the_end_is_that_of_long_training(options):
    long = expected_loss(H, C, 0.5, 8, 10**6, **options)
    assert expected_loss(H, C, 0.5, 8, math.inf, **options) == pytest.approx(long, rel=1e-9)


def test_an_average_as_slow_as_its_coordinate_does_not_cancel():
    """1 - rate h and the decay coincide: eigenvectors of the update do too."""
    loss = expected_loss([1e-4], [1e-4], 1.0, 16, 300_000, averaging=1 - 1e-4)
    near = expected_loss([1e-4], [1e-4], 1.0, 16, 300_000, averaging=1 - 1.000001e-4)
    assert loss == pytest.approx(near, rel=1e-5)
    rest = (
        1e-4 / 16 / (1e-4 * (2 - 1e-4))
    )  # the variance of x; a sum over its correlations gives the average's
    r = d = 1 - 1e-4
    assert loss == pytest.approx(
        1e-4 / 2 * rest * (1 - d) / (1 + d) * (1 + 2 * d * r / (1 - d * r)), rel=1e-6
    )


def test_a_rate_too_large_ends_nowhere():
    assert expected_loss(H, C, 2.1, 8, math.inf) == math.inf
    assert expected_loss(H, C, 0.5, 8, math.inf, momentum=0.9, nesterov=True) < math.inf
    assert expected_loss(H, C, 2.0, 8, math.inf) == math.inf  # a random walk
    assert expected_loss(H, 0, 3.0, 8, 10**9) == math.inf


def test_a_preconditioner_is_a_rate_for_each_coordinate():
    whole = expected_loss(H, C, 0.5, 8, 25, preconditioner=[0.7, 1.9], momentum=0.3)
    parts = [
        expected_loss([h], [c], 0.5 * p, 8, 25, momentum=0.3)
        for h, c, p in zip(H, C, (0.7, 1.9), strict=True)
    ]
    assert whole == pytest.approx(sum(parts), rel=1e-12)


def test_pieces_follow_each_other():
    """The same rate in two pieces is one, also for velocity and average."""
    options = {"momentum": 0.8, "averaging": 0.9}
    one = expected_loss(H, C, 0.3, 4, 30, **options)
    assert expected_loss(H, C, 0.3, [4, 4], [11, 19], **options) == pytest.approx(one, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 1, 0.1, 1, 1), r"h must have shape \[d\], got \[0\]"),
        (([1, -1], 1, 0.1, 1, 1), "h must be above 0, got -1"),
        (([1, 1], [1, 1, 1], 0.1, 1, 1), r"c must have shape \[2\], got \[3\]"),
        (([1], math.nan, 0.1, 1, 1), "c must be finite, got nan"),
        (([1], 1, -0.1, 1, 1), "learning_rate must be finite and 0 or more, got -0.1"),
        (([1], 1, 0.1, 0, 1), "batch_size must be finite and above 0, got 0"),
        (([1], 1, 0.1, 1, 1.5), "updates must be a whole number, 0 or more, got 1.5"),
        (([1], 1, 0.1, 1, [math.inf, 1]), "updates must be finite before the last piece, got inf"),
        (([1], 1, [0.1, 0.2], 1, [1, 2, 3]), "learning_rate has 2, updates has 3"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        expected_loss(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": 1.0}, "momentum must be from 0 to below 1, got 1.0"),
        ({"averaging": -0.1}, "averaging must be from 0 to below 1, got -0.1"),
        ({"preconditioner": 0}, "preconditioner must be above 0, got 0"),
        ({"s0": [1, 2]}, r"s0 must have shape \[1\], got \[2\]"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        expected_loss([1], 1, 0.1, 1, 1, **options)


def test_the_problem_has_the_noise_it_says():
    problem = noisy_quadratic(H, C, start=[1.0, 2.0], examples=64)
    vectors = np.asarray(problem.train, np.float64)
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=1e-7)
    np.testing.assert_allclose(vectors.var(axis=0), C, rtol=1e-5)
    np.testing.assert_allclose(problem.init(jax.random.key(0)), [1, 2])
    assert jaxgd.evaluate(problem, problem.init(jax.random.key(0)), "valid")["loss"] == pytest.approx(0.7)


def test_a_problem_of_one_example_has_no_noise_to_scale():
    with pytest.raises(ValueError, match="examples must be a whole number, 2 or more"):
        noisy_quadratic(H, C, examples=1)


OPTIMIZERS = {
    "sgd": (jaxgd.sgd(0.5), {}),
    "momentum": (jaxgd.momentum(0.2, 0.9), {"momentum": 0.9}),
    "nesterov": (jaxgd.nesterov(0.2, 0.9), {"momentum": 0.9, "nesterov": True}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("size", [4, 16])
def test_simulation_agrees(name, size):
    """The mean loss of runs, and of their averages, is within four standard errors of the formula's."""
    optimizer, options = OPTIMIZERS[name]
    rate = float(optimizer.learning_rate)
    problem = noisy_quadratic(H, C, examples=64)
    trainer = jaxgd.trainer(problem, optimizer, size, sampling="replacement", grad_norm=False)
    trainer = jaxgd.average_weights(trainer, decay=0.8)
    history = jax.vmap(lambda key: jaxgd.fit(trainer, key, epochs=1).history)(
        jax.random.split(jax.random.key(1), 4000)
    )
    for column, averaging in (("valid_loss", None), ("average_valid_loss", 0.8)):
        if name != "sgd" and averaging:
            continue
        losses = np.asarray(history[column][:, -1], np.float64)
        expected = expected_loss(H, C, rate, size, 64 // size, averaging=averaging, **options)
        assert abs(losses.mean() - expected) < 4 * losses.std() / math.sqrt(losses.size)


def test_without_replacement_the_noise_is_less():
    """Of batches of half the examples (N - B) / (N - 1) as much after one update; of all of them none."""
    problem = noisy_quadratic(H, C, examples=8)
    whole = jaxgd.trainer(problem, jaxgd.sgd(0.5), "full")
    history = jaxgd.fit(whole, jax.random.key(0), epochs=3).history
    np.testing.assert_allclose(history["valid_loss"][-1], expected_loss(H, 0, 0.5, 8, 3), rtol=1e-5)
    half = jaxgd.trainer(problem, jaxgd.sgd(0.5), 4, remainder="drop", grad_norm=False)
    row = jax.vmap(lambda key: jaxgd.fit(half, key, epochs=1).state.params)(
        jax.random.split(jax.random.key(2), 4000)
    )
    # The two batches of an epoch are each other's opposite: n and then -n.
    share = (1 - 0.5 * np.array(H)) - 1
    variance = np.var(np.asarray(row, np.float64), axis=0)
    expected = (0.5 * share) ** 2 * np.array(C) / 4 * (8 - 4) / (8 - 1)
    np.testing.assert_allclose(variance, expected, rtol=4 * math.sqrt(2 / 4000))
