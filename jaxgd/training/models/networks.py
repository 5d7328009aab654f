"""Ready-made models: linear, multilayer perceptron, small convolutional network."""

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxgd.aliases import Number, WholeNumber
from jaxgd.arguments import as_integer, whole_numbers
from jaxgd.numerics import in_common_dtype
from jaxgd.pytrees import as_function
from jaxgd.training.models.dropping import as_rate, drop, drop_connect as with_drop_connect
from jaxgd.training.models.model import ACTIVATIONS, INITIALIZERS, Model, named


def linear(
    num_inputs: WholeNumber,
    num_outputs: WholeNumber = 1,
    init: str | Callable = "zeros",
    bias: bool = True,
) -> Model:
    """The linear model `inputs @ w + b`: linear regression, or with a cross-entropy logistic regression.

    Its params are `{"w": [num_inputs, num_outputs], "b": [num_outputs]}`, without `b` if `bias` is False.
    Both start at 0 unless `init` says otherwise for `w`: the loss is convex.

    Args:
        num_inputs: features of an example, 1 or more.
        num_outputs: outputs of an example, 1 or more.
        init: a name in `jaxgd.training.models.INITIALIZERS` or an initialiser `(key, shape, dtype)`.
        bias: whether there is a `b`.

    Raises:
        ValueError: a number below 1, an unknown name.
    """
    num_inputs, num_outputs = whole_numbers(num_inputs=num_inputs, num_outputs=num_outputs)
    initializer = named("init", init, INITIALIZERS)
    init_layer = functools.partial(_init_layer, (num_inputs, num_outputs), initializer, bias)
    return Model(init_layer, dense, coupled=False)


def mlp(
    sizes: Sequence[WholeNumber],
    activation: str | Callable = "relu",
    init: str | Callable = "he_normal",
    dropout: Number | None = None,
    drop_connect: Number | None = None,
) -> Model:
    """A multilayer perceptron: dense layers with `activation` between them and none after the last.

    Its params are a list of `{"w": [in, out], "b": [out]}`, biases starting at 0.

    Args:
        sizes: numbers of units, the inputs' first, the outputs' last: `[64, 64, 10]` has one hidden layer.
        activation: a name in `jaxgd.training.models.ACTIVATIONS` or a function of an array.
        init: a name in `jaxgd.training.models.INITIALIZERS` or an initialiser `(key, shape, dtype)`.
        dropout: rate at which hidden units are dropped in training, at least 0 and below 1; may be traced.
            None for no dropout.
        drop_connect: rate at which weights are dropped, for each example anew, as `jaxgd.drop_connect` does.

    Raises:
        ValueError: fewer than two sizes, a size below 1, an unknown name, a rate outside of [0, 1).
        TypeError: one number in place of a list of sizes.
    """
    if as_integer(sizes) is not None:
        raise TypeError(f"sizes must be a list of whole numbers, such as mlp([30, 8, 2]), got {sizes}")
    counts = [as_integer(size) for size in sizes]
    if len(counts) < 2 or any(count is None or count < 1 for count in counts):
        raise ValueError(f"sizes must be at least two whole numbers, each 1 or more, got {list(sizes)}")
    initializer = named("init", init, INITIALIZERS)
    function = named("activation", activation, ACTIVATIONS)
    apply = functools.partial(_apply_mlp, function)
    if dropout is not None:
        rate = as_rate(dropout, "dropout")
        apply = jax.tree_util.Partial(_apply_mlp_with_dropout, as_function(function), rate)
    shapes = tuple(itertools.pairwise(counts))
    model = Model(functools.partial(_init_layers, shapes, initializer), apply, _coupled(activation))
    return model if drop_connect is None else with_drop_connect(model, as_rate(drop_connect, "drop_connect"))


def conv_net(
    image_shape: Sequence[WholeNumber],
    num_classes: WholeNumber,
    channels: Sequence[WholeNumber] = (16, 32),
    activation: str | Callable = "relu",
    init: str | Callable = "he_normal",
) -> Model:
    """A small convolutional network: 3x3 convolutions, each halving the image by 2x2 maxima; a dense layer.

    Its params are a list of `{"w": [3, 3, in, out], "b": [out]}` and, last, `{"w": [in, out], "b": [out]}`.
    Inputs may be flat, as `datasets.load` gives them: they are reshaped to `[batch, *image_shape]`.

    Args:
        image_shape: `(height, width)` or `(height, width, colours)`: `(8, 8)` for digits, `(28, 28)` for
            mnist5k.
        num_classes: outputs of an example, 1 or more.
        channels: outputs of each convolution; n of them need an image of at least 2**n by 2**n.
        activation: a name in `jaxgd.training.models.ACTIVATIONS` or a function of an array.
        init: a name in `jaxgd.training.models.INITIALIZERS` or an initialiser `(key, shape, dtype)`.

    Raises:
        ValueError: a size below 1, an image that is too small, an unknown name.
    """
    shape, channels = (*image_shape, 1)[:3], list(channels)
    if len(image_shape) not in (2, 3) or not channels:
        raise ValueError(
            "conv_net needs an image_shape (height, width) or (height, width, colours) and at least one of "
            f"channels, got {tuple(image_shape)} and {tuple(channels)}"
        )
    *shape, num_classes = whole_numbers(
        height=shape[0], width=shape[1], colours=shape[2], num_classes=num_classes
    )
    channels = whole_numbers(**{f"channels[{i}]": size for i, size in enumerate(channels)})
    height, width = (size >> len(channels) for size in shape[:2])
    if not height * width:
        raise ValueError(
            f"{len(channels)} convolutions halve an image of shape {tuple(shape[:2])} to nothing"
        )
    kernels = ((3, 3, *pair) for pair in itertools.pairwise((shape[2], *channels)))
    shapes = (*kernels, (height * width * channels[-1], num_classes))
    initializer = named("init", init, INITIALIZERS)
    function = named("activation", activation, ACTIVATIONS)
    return Model(
        functools.partial(_init_layers, shapes, initializer),
        functools.partial(_apply_conv_net, tuple(shape), function),
        _coupled(activation),
    )


def _coupled(activation: str | Callable) -> bool | None:
    """Whether a network couples examples: not by an activation that is known."""
    return False if isinstance(activation, str) else None


def _init_layers(shapes, initializer, key):
    keys = jax.random.split(key, len(shapes))
    return [_init_layer(shape, initializer, True, key) for key, shape in zip(keys, shapes, strict=True)]


def _init_layer(shape, initializer, bias, key):
    weights = {"w": initializer(key, shape, jnp.result_type(float))}
    return weights | {"b": jnp.zeros(shape[-1:])} if bias else weights


def _apply_mlp(activation, params, inputs):
    for layer in params[:-1]:
        inputs = activation(dense(layer, inputs))
    return dense(params[-1], inputs)


def _apply_mlp_with_dropout(activation, rate, params, inputs, keys=None):
    if keys is None:
        return _apply_mlp(activation, params, inputs)
    first = 0
    for layer in params[:-1]:
        inputs = drop(activation(dense(layer, inputs)), rate, keys, first)
        first += inputs.shape[-1]
    return dense(params[-1], inputs)


def _apply_conv_net(shape, activation, params, inputs):
    images = inputs.reshape(len(inputs), *shape)
    for layer in params[:-1]:
        images, kernel = in_common_dtype(images, layer["w"])
        images = jax.lax.conv_general_dilated(
            images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        images = _largest_of_four(activation(images + jax.lax.broadcast_to_rank(layer["b"], images.ndim)))
    return dense(params[-1], images.reshape(len(inputs), -1))


def _largest_of_four(images):
    # Not reduce_window: its derivative is a scatter, slow on a CPU.
    batch, height, width, channels = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2]
    return jnp.max(even.reshape(batch, height // 2, 2, width // 2, 2, channels), axis=(2, 4))


def dense(layer: dict[str, jax.Array], inputs: jax.Array) -> jax.Array:
    """`inputs @ w + b`, of a layer `{"w": [in, out], "b": [out]}`, `b` optional."""
    inputs, weights = in_common_dtype(inputs, layer["w"])
    _check_width(inputs.shape, len(weights))
    outputs = inputs @ weights
    return outputs + jax.lax.broadcast_to_rank(layer["b"], outputs.ndim) if "b" in layer else outputs


def _check_width(shape: Sequence[int], num_inputs: int) -> None:
    """Raise ValueError unless inputs of this shape are those of a layer with so many inputs."""
    if shape[-1] == num_inputs:
        return
    is_flat = len(shape) < 3 or math.prod(shape[1:]) != num_inputs
    remedy = (
        f"make the model for {shape[-1]}"
        if is_flat
        else "flatten each example, inputs.reshape(len(inputs), -1)"
    )
    raise ValueError(f"a dense layer has {num_inputs} inputs and is given {shape[-1]}: {remedy}")
