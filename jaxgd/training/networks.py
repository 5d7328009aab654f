"""Ready-made models: linear, multilayer perceptron, small convolutional network."""

import functools
import itertools
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp

from jaxgd.training.models import ACTIVATIONS, INITIALIZERS, Model, named
from jaxgd.training.pytrees import as_function
from jaxgd.training.regularizers import as_rate, drop, drop_connect as with_drop_connect


def linear(num_inputs: int, num_outputs: int = 1, init: str | Callable = "zeros", bias: bool = True) -> Model:
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
    check_sizes(num_inputs=num_inputs, num_outputs=num_outputs)
    initializer = named("init", init, INITIALIZERS)
    return Model(functools.partial(_init_layer, (num_inputs, num_outputs), initializer, bias), dense)


def mlp(
    sizes: Sequence[int],
    activation: str | Callable = "relu",
    init: str | Callable = "he_normal",
    dropout: Any = None,
    drop_connect: Any = None,
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
    """
    sizes = tuple(sizes)
    if len(sizes) < 2 or any(not isinstance(size, Integral) or size < 1 for size in sizes):
        raise ValueError(f"sizes must be at least two whole numbers, each 1 or more, got {list(sizes)}")
    initializer = named("init", init, INITIALIZERS)
    function = named("activation", activation, ACTIVATIONS)
    apply = functools.partial(_apply_mlp, function)
    if dropout is not None:
        rate = as_rate(dropout, "dropout")
        apply = jax.tree_util.Partial(_apply_mlp_with_dropout, as_function(function), rate)
    model = Model(functools.partial(_init_mlp, sizes, initializer), apply)
    return model if drop_connect is None else with_drop_connect(model, as_rate(drop_connect, "drop_connect"))


def check_sizes(**sizes: Any) -> None:
    """Raise ValueError unless every size is a whole number, 1 or more."""
    for name, size in sizes.items():
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{name} must be a whole number, 1 or more, got {size}")


def _init_mlp(sizes, initializer, key):
    keys = jax.random.split(key, len(sizes) - 1)
    shapes = itertools.pairwise(sizes)
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


def dense(layer: dict[str, jax.Array], inputs: jax.Array) -> jax.Array:
    """`inputs @ w + b`, of a layer `{"w": [in, out], "b": [out]}`, `b` optional."""
    outputs = inputs @ layer["w"]
    return outputs + layer["b"] if "b" in layer else outputs
