import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.landscape.curvature import sharpness, sharpness_along, stability_limit

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(30, 4)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.linear(4, 1), (INPUTS, RNG.normal(size=30).astype(np.float32)))
CURVATURE = float(np.linalg.eigvalsh(np.c_[INPUTS, np.ones(30)].T @ np.c_[INPUTS, np.ones(30)] / 30)[-1])


@pytest.mark.parametrize("make", [jaxgd.sgd, jaxgd.momentum, jaxgd.nesterov])
def test_the_limit_is_where_a_quadratic_diverges(make):
    optimizer = make(0.2)
    limit = stability_limit(optimizer)

    def last(curvature):
        def step(carry, _):
            x, state = carry
            updates, state = optimizer.update(curvature * x, state, x)
            return (x + updates, state), None

        return jnp.abs(jax.lax.scan(step, (jnp.ones(()), optimizer.init(jnp.ones(()))), length=4000)[0][0])

    below, above = jax.vmap(last)(jnp.array([0.99, 1.01]) * limit)
    assert below < 1e-3
    assert not above < 10  # it may have overflown


def test_limits_in_closed_form():
    assert stability_limit(jaxgd.sgd(0.1)) == pytest.approx(20)
    assert stability_limit(jaxgd.momentum(0.1, 0.9)) == pytest.approx(38)
    assert stability_limit(jaxgd.sgd(0.1, momentum=0.9)) == pytest.approx(38)
    assert stability_limit(jaxgd.nesterov(0.1, 0.9)) == pytest.approx(2 * 1.9 / 0.28)
    assert stability_limit(jaxgd.sgd(0.0)) == np.inf
    assert np.isnan(stability_limit(jaxgd.adam(0.1)))
    decayed = jaxgd.sgd(jaxgd.optim.exponential_decay(0.1, 10, 0.5))
    assert stability_limit(decayed, 10) == pytest.approx(40)


def test_sharpness_is_measured_along_the_run():
    trainer = jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), 10)
    found = sharpness_along(trainer, jax.random.key(0), 5, every=2)
    assert found.epochs.tolist() == [0, 2, 4, 5]
    np.testing.assert_allclose(found.sharpness, CURVATURE, rtol=1e-4)  # of a quadratic everywhere the same
    fit = jaxgd.fit(trainer, jax.random.key(0), 5)
    np.testing.assert_allclose(
        found.loss[-1], jaxgd.evaluate(PROBLEM, fit.state.params, "train")["loss"], rtol=1e-5
    )
    assert found.loss[0] > found.loss[-1]
    np.testing.assert_allclose(found.limit, 20)


def test_the_limit_follows_the_rate_of_a_schedule():
    schedule = jaxgd.optim.exponential_decay(0.1, 6, 0.5)
    found = sharpness_along(jaxgd.trainer(PROBLEM, jaxgd.sgd(schedule), 10), jax.random.key(0), 2)
    np.testing.assert_allclose(found.limit, [20, 20 * 2**0.5, 40], rtol=1e-5)  # three updates an epoch


@pytest.mark.slow
def test_several_seeds():
    network = jaxgd.regression(jaxgd.mlp([4, 3, 1], "tanh"), PROBLEM.train)
    trainer = jaxgd.trainer(network, jaxgd.sgd(0.1), "full")
    keys = [jax.random.key(seed) for seed in range(2)]
    found = sharpness_along(trainer, keys, 3)
    assert found.sharpness.shape == found.loss.shape == (2, 4)
    last = jaxgd.fit(trainer, keys[1], 3).state.params
    np.testing.assert_allclose(found.sharpness[1, -1], sharpness(network, last, jax.random.key(0)), rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "every must be a whole number of epochs, 1 or more, got 0"),
        ({"key": []}, "an empty list"),
    ],
)
def test_bad_arguments(arguments, message):
    trainer = jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), 10)
    with pytest.raises(ValueError, match=message):
        sharpness_along(**{"trainer": trainer, "key": jax.random.key(0), "epochs": 2, **arguments})


def test_a_run_that_diverged_has_no_sharpness_from_there_on():
    trainer = jaxgd.trainer(PROBLEM, jaxgd.sgd(60.0), "full")
    assert int(jaxgd.fit(trainer, jax.random.key(0), 40).state.status) == 2
    found = sharpness_along(trainer, [jax.random.key(0), jax.random.key(1)], 40)
    assert found.status.tolist() == ["diverged", "diverged"]
    assert np.isfinite(found.sharpness[:, 0]).all()
    assert np.isnan(found.sharpness[:, -1]).all()
    assert np.isnan(found.loss[:, -1]).all()
    healthy = sharpness_along(trainer.replace(optimizer=jaxgd.sgd(0.1)), jax.random.key(0), 2)
    assert healthy.status == "completed"
