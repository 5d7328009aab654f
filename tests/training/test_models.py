"""Models: shapes, initial parameters, names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.training.models import ACTIVATIONS, INITIALIZERS

# Oracle 15: the variance and the limit of initial weights of shape (256, 128).
FANS = {
    "glorot_normal": (0.0052083, None),
    "glorot_uniform": (0.0052083, 0.125),
    "he_normal": (0.0078125, None),
    "he_uniform": (0.0078125, 0.153093),
}
# Of convolutions 3x3 from 16 to 32 channels.
CONVOLUTION = {"glorot_normal": 0.0046296, "he_normal": 0.0138889}


@pytest.mark.parametrize("name", FANS)
def test_variance_of_initial_weights(name):
    variance, limit = FANS[name]
    weights = np.asarray(jaxgd.mlp([256, 128], init=name).init(jax.random.key(0))[0]["w"])
    # Four standard errors of a variance from 2**15 numbers; a truncated normal's tails are lighter still.
    np.testing.assert_allclose(weights.var(), variance, rtol=4 * np.sqrt(2 / weights.size))
    if limit is not None:
        assert limit * 0.999 < np.abs(weights).max() <= limit * (1 + 1e-6)


@pytest.mark.parametrize("name", CONVOLUTION)
def test_variance_of_a_convolution(name):
    weights = np.asarray(INITIALIZERS[name](jax.random.key(0), (3, 3, 16, 32)))
    np.testing.assert_allclose(weights.var(), CONVOLUTION[name], rtol=4 * np.sqrt(2 / weights.size))


def test_mlp_by_hand():
    params = [
        {"w": np.array([[1.0, -1.0]]), "b": np.array([0.0, 1.0])},
        {"w": np.ones((2, 1)), "b": np.ones(1)},
    ]
    outputs = jaxgd.mlp([1, 2, 1]).apply(params, np.array([[2.0], [-3.0]]))
    np.testing.assert_allclose(outputs, [[2 + 0 + 1], [0 + 4 + 1]])


def test_mlp_parameters():
    params = jaxgd.mlp([4, 3, 2]).init(jax.random.key(0))
    assert [{name: leaf.shape for name, leaf in layer.items()} for layer in params] == [
        {"w": (4, 3), "b": (3,)},
        {"w": (3, 2), "b": (2,)},
    ]
    assert not any(np.any(layer["b"]) for layer in params)
    assert not np.allclose(params[0]["w"][:2, :2], params[1]["w"][:2])


def test_linear():
    model = jaxgd.linear(3, 2)
    params = model.init(jax.random.key(0))
    assert {name: leaf.shape for name, leaf in params.items()} == {"w": (3, 2), "b": (2,)}
    np.testing.assert_array_equal(model.apply(params, np.ones((4, 3))), np.zeros((4, 2)))
    assert set(jaxgd.linear(3, bias=False).init(jax.random.key(0))) == {"w"}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_by_name(name):
    params = [{"w": jnp.eye(2)}, {"w": jnp.eye(2)}]
    inputs = jnp.array([[-1.0, 2.0]])
    outputs = jaxgd.mlp([2, 2, 2], activation=name).apply(params, inputs)
    np.testing.assert_allclose(outputs, getattr(jax.nn, name)(inputs), rtol=1e-6)


def test_own_functions():
    model = jaxgd.mlp([2, 2, 2], activation=jnp.sin, init=lambda key, shape, dtype: jnp.ones(shape, dtype))
    params = model.init(jax.random.key(0))
    np.testing.assert_allclose(
        model.apply(params, np.ones((1, 2))), 2 * np.sin(2) * np.ones((1, 2)), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: jaxgd.mlp([3]), r"sizes must be at least two whole numbers, each 1 or more, got \[3\]"),
        (lambda: jaxgd.mlp([3, 0, 2]), r"sizes must be .* got \[3, 0, 2\]"),
        (lambda: jaxgd.mlp([3, 2.5]), r"sizes must be .* got \[3, 2.5\]"),
        (lambda: jaxgd.mlp([3, 2], activation="rely"), "unknown activation 'rely'; did you mean 'relu'"),
        (lambda: jaxgd.mlp([3, 2], init="he_norm"), "unknown init 'he_norm'; did you mean 'he_normal'"),
        (lambda: jaxgd.linear(0), "num_inputs must be a whole number, 1 or more, got 0"),
        (lambda: jaxgd.linear(3, -1), "num_outputs must be a whole number, 1 or more, got -1"),
        (lambda: jaxgd.linear(3, init="zero"), "unknown init 'zero'; did you mean 'zeros'"),
    ],
)
def test_bad_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()
