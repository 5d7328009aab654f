"""Models: shapes, initial parameters, names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.training.models.model import ACTIVATIONS, INITIALIZERS, as_model, asking

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


@pytest.mark.slow
def test_orthogonal_networks_of_many_seeds():
    """Eleven batched factorisations in one program, which block each other if they run at once."""
    model = jaxgd.mlp([16] * 12, init="orthogonal")
    layers = jax.jit(jax.vmap(model.init))(jax.random.split(jax.random.key(0), 3))
    for layer in layers:
        products = jnp.einsum("sij,sik->sjk", layer["w"], layer["w"])
        np.testing.assert_allclose(products, np.tile(np.eye(16), (3, 1, 1)), atol=1e-5)


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


def test_conv_net_by_hand():
    """A kernel that is 1 in its middle copies the image; the maxima of 2x2 pixels follow, and their sum."""
    model = jaxgd.conv_net((5, 4), 1, channels=(1,))
    middle = np.zeros((3, 3, 1, 1))
    middle[1, 1] = 1
    params = [{"w": middle, "b": np.array([0.5])}, {"w": np.ones((4, 1)), "b": np.zeros(1)}]
    image = np.arange(20.0)  # its last row has no other half
    np.testing.assert_allclose(model.apply(params, image[None]), [[5 + 7 + 13 + 15 + 4 * 0.5]])
    np.testing.assert_allclose(model.apply(params, image.reshape(1, 5, 4)), [[42]])


def test_conv_net_is_the_convolution_of_scipy():
    from scipy.signal import correlate

    model = jaxgd.conv_net((6, 6, 2), 3, channels=(4,), activation="tanh")
    params = model.init(jax.random.key(0))
    assert [layer["w"].shape for layer in params] == [(3, 3, 2, 4), (9 * 4, 3)]
    image = np.random.default_rng(0).normal(size=(6, 6, 2))
    kernels = np.asarray(params[0]["w"])
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    hidden = np.stack([correlate(padded, kernels[..., k], "valid")[..., 0] for k in range(4)], axis=-1)
    pooled = np.tanh(hidden).reshape(3, 2, 3, 2, 4).max(axis=(1, 3))
    expected = pooled.reshape(-1) @ np.asarray(params[1]["w"])
    np.testing.assert_allclose(model.apply(params, image.reshape(1, -1))[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_conv_net_learns_digits():
    train, _, _ = jaxgd.datasets.load("digits")
    problem = jaxgd.classification(jaxgd.conv_net((8, 8), 10, channels=(4,)), train)
    fit = jaxgd.fit(jaxgd.trainer(problem, jaxgd.adam(1e-2), 64), jax.random.key(0), 3)
    assert fit.history["train_loss"][-1] < 0.35 * np.log(10)


@pytest.fixture(scope="module")
def transformer():
    model = jaxgd.char_transformer(20, length=12, width=16, num_heads=2)
    return model, model.init(jax.random.key(0))


def test_char_transformer_is_causal(transformer):
    model, params = transformer
    inputs = np.arange(12)[None] % 7
    changed = inputs.copy()
    changed[0, 6] = 9
    apply = jax.jit(model.apply)
    outputs, others = apply(params, inputs), apply(params, changed)
    assert outputs.shape == (1, 12, 20)
    np.testing.assert_array_equal(outputs[0, :6], others[0, :6])
    assert np.all(np.abs(outputs[0, 6:] - others[0, 6:]).max(axis=1) > 1e-4)
    np.testing.assert_allclose(model.apply(params, inputs[:, :5]), outputs[:, :5], atol=1e-5)


def test_loss_of_a_sequence_is_the_mean_over_its_places(transformer):
    model, params = transformer
    data = np.arange(24).reshape(2, 12) % 20, np.arange(1, 25).reshape(2, 12) % 20
    problem = jaxgd.classification(model, data, data)
    logits = np.asarray(model.apply(params, data[0]), np.float64)
    picked = np.take_along_axis(logits, data[1][..., None], axis=-1)[..., 0]
    losses = np.log(np.exp(logits).sum(axis=-1)) - picked
    np.testing.assert_allclose(problem.loss(params, data), losses.mean(axis=1), rtol=1e-5)
    accuracy = problem.metrics["accuracy"](params, data)
    np.testing.assert_allclose(accuracy, (logits.argmax(axis=-1) == data[1]).mean(axis=1), rtol=1e-6)


@pytest.mark.slow
def test_char_transformer_learns_what_follows():
    """Text in which the next character is the one two places back."""
    pairs = np.array([(a, b) for a in range(8) for b in range(8)])
    text = np.tile(pairs, (1, 5))
    data = text[:, :-1], text[:, 1:]
    model = jaxgd.char_transformer(8, length=9, width=16, num_blocks=1, num_heads=2)
    fit = jaxgd.fit(
        jaxgd.trainer(jaxgd.classification(model, data), jaxgd.adam(1e-2), 16), jax.random.key(0), 40
    )
    # Only the second of two characters cannot be known: ln(8) of nine places.
    assert fit.history["train_loss"][-1] < 1.3 * np.log(8) / 9


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
        (lambda: jaxgd.conv_net((8, 0), 2), "width must be a whole number, 1 or more, got 0"),
        (lambda: jaxgd.conv_net((8,), 2), r"image_shape .* got \(8,\)"),
        (lambda: jaxgd.conv_net((8, 8), 2, []), r"at least one of channels, got .* and \(\)"),
        (lambda: jaxgd.conv_net((8, 8), 2, [2.5]), r"channels\[0\] must be a whole number, .* got 2.5"),
        (lambda: jaxgd.conv_net((8, 3), 2), r"2 convolutions halve an image of shape \(8, 3\) to nothing"),
        (
            lambda: jaxgd.char_transformer(9, 8, width=10),
            "width must be a multiple of num_heads, got 10 and 4",
        ),
        (lambda: jaxgd.char_transformer(9, 0), "length must be a whole number, 1 or more, got 0"),
        (lambda: jaxgd.linear(0), "num_inputs must be a whole number, 1 or more, got 0"),
        (lambda: jaxgd.linear(3, -1), "num_outputs must be a whole number, 1 or more, got -1"),
        (lambda: jaxgd.linear(3, init="zero"), "unknown init 'zero'; did you mean 'zeros'"),
    ],
)
def test_bad_arguments(build, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build()


def test_sizes_without_a_list():
    with pytest.raises(
        TypeError, match=r"^sizes must be a list of whole numbers, such as mlp\(\[30, 8, 2\]\), got 30$"
    ):
        jaxgd.mlp(30, 8, 2)


def test_what_is_asked_for_is_read_once_and_not_in_a_trace(monkeypatch):
    model = jaxgd.mixed_precision(jaxgd.mlp([3, 4, 2], dropout=0.5, drop_connect=0.5))
    data = (np.ones((8, 3), np.float32), np.zeros(8, int))
    problem = jaxgd.regularized(jaxgd.classification(model, data, data), l2=0.1)
    monkeypatch.setattr("jaxgd.training.models.model.inspect", None)
    jaxgd.fit(jaxgd.trainer(problem, jaxgd.sgd(0.1), 4), jax.random.key(0), 1)


def test_a_stranger_is_offered_and_told_no_more_than_it_asks_for():
    asked = asking(lambda params, inputs, training, other=1: (params, inputs, training, other))
    assert asked(1, 2, training=True, keys=None, model_state=3, other=4) == (1, 2, True, 4)
    with pytest.raises(TypeError, match="unexpected keyword argument 'keyz'"):
        asked(1, 2, training=True, keyz=3)


def test_a_loss_in_training_gives_a_model_its_keys():
    model = jaxgd.mlp([2, 3, 1], dropout=0.5)
    data = np.ones((4, 2), np.float32)

    def fitted(loss):
        trainer = jaxgd.trainer(jaxgd.Problem(model.init, loss, data, data), jaxgd.sgd(0.1), 2)
        return jaxgd.fit(trainer, jax.random.key(0), 1)

    with pytest.raises(TypeError, match=r"^loss calls a model that draws random numbers"):
        fitted(lambda params, batch: model.apply(params, batch)[:, 0])
    assert fitted(lambda params, batch: model.apply(params, batch, keys=None)[:, 0])
    assert fitted(lambda params, batch, keys: model.apply(params, batch, keys=keys)[:, 0])
    assert model.apply(model.init(jax.random.key(0)), data).shape == (4, 1)  # by hand, after training


def test_modules_of_other_libraries_are_named_with_what_makes_them_models():
    import equinox as eqx
    from flax import linen, nnx

    for module, call in [
        (linen.Dense(3), "from_linen"),
        (linen.Dense, "from_linen"),
        (nnx.Linear(2, 3, rngs=nnx.Rngs(0)), "from_nnx"),
        (eqx.nn.Linear(2, 3, key=jax.random.key(0)), "from_equinox"),
    ]:
        with pytest.raises(TypeError, match=rf"^model is a module of \S+: give jaxgd\.{call}\("):
            as_model(module)

    class Pair(eqx.Module):
        def init(self, key):
            return jnp.zeros(2)

        def apply(self, params, inputs):
            return inputs @ params

    assert isinstance(as_model(Pair()), jaxgd.Model)
