"""Models: a pair of functions, `init(key) -> params` and `apply(params, inputs) -> outputs`."""

import functools
import itertools
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp

from jaxgd.optim.hyperparameters import unknown
from jaxgd.training.pytrees import PyTree, as_function

ACTIVATIONS: dict[str, Callable] = {
    "celu": jax.nn.celu,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "leaky_relu": jax.nn.leaky_relu,
    "relu": jax.nn.relu,
    "selu": jax.nn.selu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
}

INITIALIZERS: dict[str, Callable] = {
    "glorot_normal": jax.nn.initializers.glorot_normal(),
    "glorot_uniform": jax.nn.initializers.glorot_uniform(),
    "he_normal": jax.nn.initializers.he_normal(),
    "he_uniform": jax.nn.initializers.he_uniform(),
    "lecun_normal": jax.nn.initializers.lecun_normal(),
    "lecun_uniform": jax.nn.initializers.lecun_uniform(),
    "orthogonal": jax.nn.initializers.orthogonal(),
    "xavier_normal": jax.nn.initializers.xavier_normal(),
    "xavier_uniform": jax.nn.initializers.xavier_uniform(),
    "zeros": jax.nn.initializers.zeros,
}


class Model(PyTree):
    """A model as two functions.

    Attributes:
        init: `init(key) -> params`.
        apply: `apply(params, inputs) -> outputs` on a batch, examples on axis 0. If it has a parameter named
            `keys` it gets one PRNG key per example in training and None in evaluation.
    """

    init: Any
    apply: Any

    def __post_init__(self):
        object.__setattr__(self, "init", as_function(self.init))
        object.__setattr__(self, "apply", as_function(self.apply))

    def __repr__(self):
        return f"Model(init={self.init!r}, apply={self.apply!r})"


def mlp(
    sizes: Sequence[int], activation: str | Callable = "relu", init: str | Callable = "he_normal"
) -> Model:
    """A multilayer perceptron: dense layers with `activation` between them and none after the last.

    Its params are a list of `{"w": [in, out], "b": [out]}`, biases starting at 0.

    Args:
        sizes: numbers of units, the inputs' first, the outputs' last: `[64, 64, 10]` has one hidden layer.
        activation: a name in `jaxgd.training.models.ACTIVATIONS` or a function of an array.
        init: a name in `jaxgd.training.models.INITIALIZERS` or an initialiser `(key, shape, dtype)`.

    Raises:
        ValueError: fewer than two sizes, a size below 1, an unknown name.
    """
    sizes = tuple(sizes)
    if len(sizes) < 2 or any(not isinstance(size, Integral) or size < 1 for size in sizes):
        raise ValueError(f"sizes must be at least two whole numbers, each 1 or more, got {list(sizes)}")
    initializer = _named("init", init, INITIALIZERS)
    function = _named("activation", activation, ACTIVATIONS)
    return Model(functools.partial(_init_mlp, sizes, initializer), functools.partial(_apply_mlp, function))


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
    for name, size in (("num_inputs", num_inputs), ("num_outputs", num_outputs)):
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{name} must be a whole number, 1 or more, got {size}")
    initializer = _named("init", init, INITIALIZERS)
    return Model(functools.partial(_init_linear, (num_inputs, num_outputs), initializer, bias), _dense)


def _named(argument: str, given: str | Callable, known: dict[str, Callable]) -> Callable:
    if callable(given):
        return given
    if given not in known:
        raise ValueError(unknown(argument, given, known))
    return known[given]


def _init_mlp(sizes, initializer, key):
    keys = jax.random.split(key, len(sizes) - 1)
    shapes = itertools.pairwise(sizes)
    return [_init_linear(shape, initializer, True, key) for key, shape in zip(keys, shapes, strict=True)]


def _init_linear(shape, initializer, bias, key):
    weights = {"w": initializer(key, shape, jnp.result_type(float))}
    return weights | {"b": jnp.zeros(shape[1:])} if bias else weights


def _apply_mlp(activation, params, inputs):
    for layer in params[:-1]:
        inputs = activation(_dense(layer, inputs))
    return _dense(params[-1], inputs)


def _dense(layer, inputs):
    outputs = inputs @ layer["w"]
    return outputs + layer["b"] if "b" in layer else outputs
