"""The calls of docs/differences.md give Keras' numbers, where Keras is installed."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgd import optim

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")

DECAYED_MOMENTUM = optim.chain(
    optim.trace(0.9), optim.add_decayed_weights(0.1), optim.scale_by_learning_rate(0.1)
)
RMSPROP = {"eps": 1e-7}
PAIRS = {
    "sgd": ("SGD", {}, optim.sgd(0.1)),
    "momentum": ("SGD", {"momentum": 0.9}, optim.momentum(0.1)),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}, optim.nesterov(0.1)),
    "momentum with weight decay": ("SGD", {"momentum": 0.9, "weight_decay": 0.1}, DECAYED_MOMENTUM),
    "adagrad": ("Adagrad", {}, optim.adagrad(0.1)),
    "rmsprop": ("RMSprop", {}, optim.rmsprop(0.1, **RMSPROP)),
    "rmsprop centered": ("RMSprop", {"centered": True}, optim.rmsprop(0.1, **RMSPROP, centered=True)),
    "rmsprop momentum": ("RMSprop", {"momentum": 0.9}, optim.rmsprop(0.1, **RMSPROP, momentum=0.9)),
    "adadelta": ("Adadelta", {}, optim.adadelta(0.1, rho=0.95, eps=1e-7)),
    "adam": ("Adam", {"epsilon": 0.0}, optim.adam(0.1, eps=0.0)),
    "adamw": ("AdamW", {"epsilon": 0.0}, optim.adamw(0.1, eps=0.0, weight_decay=4e-3)),
    "nadam": ("Nadam", {}, optim.nadam(0.1, eps=1e-7, momentum_decay=1.0)),
}


@pytest.fixture(autouse=True)
def float64():
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    with jax.enable_x64(True):
        yield
    keras.config.set_floatx(before)


def steps_of_keras(optimizer, gradients):
    """The weights after each update from ones, by Keras."""
    weights = keras.Variable(np.ones(4), dtype="float64")
    optimizer.build([weights])
    for gradient in gradients:
        optimizer.apply([jnp.asarray(gradient)], [weights])
        yield np.asarray(weights)


def some_gradients():
    return np.random.default_rng(0).normal(size=(12, 4))


@pytest.mark.parametrize(("name", "arguments", "ours"), PAIRS.values(), ids=PAIRS)
def test_keras_is_reproduced(name, arguments, ours):
    theirs = getattr(keras.optimizers, name)(learning_rate=0.1, **arguments)
    params, state = jnp.ones(4), ours.init(jnp.ones(4))
    for gradient, weights in zip(some_gradients(), steps_of_keras(theirs, some_gradients()), strict=True):
        updates, state = ours.update(jnp.asarray(gradient), state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params, weights, rtol=1e-9)


def test_adam_of_keras_adds_epsilon_to_the_uncorrected_root():
    adam = keras.optimizers.Adam(learning_rate=0.1, epsilon=0.01)
    p, m, v = np.ones(4), np.zeros(4), np.zeros(4)
    for t, (g, weights) in enumerate(
        zip(some_gradients(), steps_of_keras(adam, some_gradients()), strict=True), 1
    ):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        p = p - 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 0.01)
        np.testing.assert_allclose(p, weights, rtol=1e-9)


def test_the_rate_of_keras_is_inside_the_velocity():
    sgd = keras.optimizers.SGD(learning_rate=lambda: jnp.asarray(next(rates)), momentum=0.9)
    rates = iter(np.linspace(0.1, 0.01, 12))
    p, w = np.ones(4), np.zeros(4)
    expected = []
    for rate, g in zip(np.linspace(0.1, 0.01, 12), some_gradients(), strict=True):
        w = 0.9 * w - rate * g
        p = p + w
        expected.append(p)
    np.testing.assert_allclose(list(steps_of_keras(sgd, some_gradients())), expected, rtol=1e-9)


@pytest.mark.filterwarnings("default:__array__ implementation:DeprecationWarning")  # in Keras' own code
@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("SGD", {"learning_rate": 0.01, "momentum": 0.0}),
        ("Adagrad", {"learning_rate": 1e-3, "initial_accumulator_value": 0.1, "epsilon": 1e-7}),
        ("RMSprop", {"learning_rate": 1e-3, "rho": 0.9, "epsilon": 1e-7}),
        ("Adadelta", {"learning_rate": 1e-3, "rho": 0.95, "epsilon": 1e-7}),
        ("Adam", {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}),
        ("AdamW", {"learning_rate": 1e-3, "weight_decay": 4e-3, "epsilon": 1e-7}),
        ("Nadam", {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}),
    ],
)
def test_defaults_of_keras(name, numbers):
    config = getattr(keras.optimizers, name)().get_config()
    np.testing.assert_allclose([config[key] for key in numbers], list(numbers.values()), rtol=1e-6)
