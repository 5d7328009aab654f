"""The time to leave a saddle and a plateau, against closed forms and by simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.landscape.surfaces.base import surface
from jaxgd.landscape.surfaces.escape import escape_times, mean_escape_time, saddle_variance

SADDLE = surface("saddle")
SIZES = [1, 4, 16, 64]


def outside(point):
    return jnp.abs(point[1]) > 1


def test_mean_times_of_the_oracle():
    """Each factor of 4 in batch size costs ln 2 / ln 1.1 = 7.27 updates more."""
    times = [mean_escape_time(0.1, 1.0, size) for size in SIZES]
    np.testing.assert_allclose(times, [23.2, 30.5, 37.8, 45.0], atol=0.11)  # their simulation's last digit
    np.testing.assert_allclose(np.diff(times), np.log(2) / np.log(1.1), atol=0.06)


def test_simulation_agrees_within_four_standard_errors():
    runs = escape_times(
        SADDLE, {"sgd": jaxgd.sgd(0.1)}, [0.0, 0.0], outside, 300, batch_sizes=SIZES, noise=1.0, seeds=2000
    )
    times = runs.updates.sel(optimizer="sgd").values
    assert np.isfinite(times).all()
    errors = times.std(axis=1, ddof=1) / np.sqrt(2000)
    for mean, error, size in zip(times.mean(axis=1), errors, SIZES, strict=True):
        assert abs(mean - mean_escape_time(0.1, 1.0, size)) < 4 * error


def test_variance_of_the_distance_from_the_ridge():
    keys = jax.random.split(jax.random.key(0), 4000)
    follow = jax.vmap(jaxgd.landscape.trace, (None, None, None, None, None, 0))
    y = np.asarray(follow(jaxgd.sgd(0.1), SADDLE, jnp.zeros(2), 15, 0.5, keys))[:, :, 1]
    expected = saddle_variance(0.1, 1.0, 4, np.arange(16))
    assert expected[0] == 0
    np.testing.assert_allclose(y.var(axis=0)[1:], expected[1:], rtol=4 * np.sqrt(2 / 4000))


def test_bgd_on_the_ridge_never_leaves_and_noise_helps():
    optimizers = {"sgd": jaxgd.sgd(0.1), "momentum": jaxgd.momentum(0.1), "adam": jaxgd.adam(0.1)}
    runs = escape_times(
        SADDLE, optimizers, [1.0, 0.0], outside, 500, batch_sizes=["full", 64, 1], noise=1.0, seeds=20
    )
    assert np.isinf(runs.updates.sel(batch_size=np.inf)).all()
    assert np.isfinite(runs.updates.sel(batch_size=[64, 1])).all()
    medians = runs.updates.median("seed")
    assert (medians.sel(batch_size=1) < medians.sel(batch_size=64)).sel(optimizer=["sgd", "momentum"]).all()
    assert (medians.sel(optimizer="momentum") < medians.sel(optimizer="sgd")).sel(batch_size=[64, 1]).all()


def test_a_single_escape_by_hand():
    """From y = 0.5 gradient descent grows by 1.1: 0.5 * 1.1**8 = 1.07 is the first above 1."""
    runs = escape_times(SADDLE, {"sgd": jaxgd.sgd(0.1)}, [0.0, 0.5], outside, 20, seeds=1)
    assert runs.updates.item() == 8


def test_noise_shortens_a_plateau():
    far = [5.0, 0.0]
    runs = escape_times(
        surface("plateau"),
        {"sgd": jaxgd.sgd(1.0)},
        far,
        lambda p: jnp.abs(p[0]) < 1,
        400,
        batch_sizes=["full", 16, 1],
        noise=1.0,
        seeds=100,
    )
    medians = runs.updates.median("seed").squeeze().values
    assert medians[0] > medians[1] > medians[2]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mean_escape_time(0.1, 0, 1), ValueError, "noise must be finite and above 0, got 0"),
        (lambda: mean_escape_time(0.1, 1, 1e9), ValueError, "leaves too little noise"),
        (lambda: mean_escape_time(0.1, 1, 1, start=2), ValueError, "start must be between -1 and 1"),
        (lambda: escape_from([0.0, 1.5]), ValueError, r"until already holds at the start, \[0.0, 1.5\]"),
        (lambda: escape_from([[0.0, 0.5]]), ValueError, "start must be one point"),
        (lambda: escape_from([0.0]), ValueError, "start must have 2 coordinates"),
        (lambda: escape_from([0.0, 0.0], noise=1.0), ValueError, "noise is 1 and batch_sizes"),
        (
            lambda: escape_from([0.0, 0.0], seeds=0),
            ValueError,
            "seeds must be a whole number, 1 or more, got 0",
        ),
        (lambda: escape_times(SADDLE, {}, [0, 0], outside, 5), TypeError, "mapping from labels"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def escape_from(start, **options):
    return escape_times(SADDLE, {"sgd": jaxgd.sgd(0.1)}, start, outside, 10, **options)
