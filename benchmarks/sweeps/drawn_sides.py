"""What runs a random spec: jaxgd.sweep, and two programs that a user of JAX and Optax would write.

Each function takes a spec and its data and returns a function without arguments, which gives a `Ran`. All
have the same model, initial parameters and order of the examples, and validate after each epoch.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from drawn import MOMENTUM, SIDE, STRIDE, Digits, Spec

OPTAX = {
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, MOMENTUM),
    "nesterov": lambda rate: optax.sgd(rate, MOMENTUM, nesterov=True),
    "adagrad": optax.adagrad,
    "adam": optax.adam,
    "rmsprop": optax.rmsprop,
}


class Ran(NamedTuple):
    """What a sweep gave: validation losses [batch size, rate, seed, epoch], and jaxgd's plan as a dict."""

    losses: np.ndarray
    plan: Mapping[str, Any] | None = None


def sweep(spec: Spec, data: Digits, forced: Mapping[str, Any] | None = None) -> Callable[[], Ran]:
    """`jaxgd.sweep` with every core a device; `forced` are options of `jaxgd.plan`, if there are any."""
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    import jaxgd

    problem = jaxgd.classification(jaxgd.Model(*model(spec)), data.train, data.valid)
    momentum = (MOMENTUM,) if spec.optimizer in ("momentum", "nesterov") else ()
    axes = {"batch_size": spec.batch_sizes, "learning_rate": spec.rates, "seed": spec.seeds}

    def make_trainer(point):
        optimizer = getattr(jaxgd, spec.optimizer)(point.learning_rate, *momentum)
        return jaxgd.trainer(problem, optimizer, point.batch_size)

    def run():
        plan = None if forced is None else jaxgd.plan(make_trainer, axes, spec.epochs, **forced)
        result = jaxgd.sweep(make_trainer, axes, spec.epochs, progress=False, plan=plan)
        losses = result.dataset.valid_loss.transpose(*axes, "epoch")
        return Ran(losses.values, result.plan.to_dict())

    return run


def vmap(spec: Spec, data: Digits) -> Callable[[], Ran]:
    """An expert's program for each batch size: `vmap` over rates and, within them, over seeds."""
    run = whole_run(spec, data)
    rates, seeds = jnp.array(spec.rates), jnp.array(spec.seeds)

    def program(size):
        def one(seed, rate):
            return run(seed, rate, size)

        return jax.jit(jax.vmap(jax.vmap(one, (0, None)), (None, 0)))

    programs = [program(size) for size in spec.batch_sizes]
    return lambda: Ran(np.stack(jax.device_get([program(seeds, rates) for program in programs])))


def scan(spec: Spec, data: Digits) -> Callable[[], Ran]:
    """A whole run as one program for each batch size, called for one run after another."""
    run = jax.jit(whole_run(spec, data), static_argnums=2)

    def sweep():
        losses = [
            [[run(seed, rate, size) for seed in spec.seeds] for rate in spec.rates]
            for size in spec.batch_sizes
        ]
        return Ran(np.array(jax.device_get(losses)))

    return sweep


def whole_run(spec: Spec, data: Digits) -> Callable:
    """`(seed, rate, size) -> validation losses`: a run that draws its parameters and orders inside."""
    (inputs, labels), valid = jax.tree.map(jnp.asarray, data)
    init, apply = model(spec)

    def loss(params, inputs, labels):
        outputs = apply(params, inputs)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, labels).mean(), outputs

    def run(seed, rate, size):
        key, optimizer = jax.random.key(seed), OPTAX[spec.optimizer](rate)

        def step(carry, rows):
            params, state = carry
            value_and_grad = jax.value_and_grad(loss, has_aux=True)
            (train_loss, _), grads = value_and_grad(params, inputs[rows], labels[rows])
            updates, state = optimizer.update(grads, state, params)
            return (optax.apply_updates(params, updates), state), train_loss

        def epoch(carry, number):
            order_key = jax.random.fold_in(jax.random.fold_in(key, 1), number)
            order = jax.random.permutation(order_key, spec.examples)
            carry, losses = jax.lax.scan(step, carry, order.reshape(-1, size))
            valid_loss, outputs = loss(carry[0], *valid)
            return carry, (losses.mean(), valid_loss, (outputs.argmax(-1) == valid[1]).mean())

        params = init(jax.random.fold_in(key, 0))
        carry = params, optimizer.init(params)
        return jax.lax.scan(epoch, carry, jnp.arange(spec.epochs))[1][1]

    return run


def model(spec: Spec) -> tuple[Callable, Callable]:
    """`init(key)` and `apply(params, inputs)` of a perceptron, or of a convolution and a linear layer."""
    draw = jax.nn.initializers.he_normal()

    def init(key):
        keys = jax.random.split(key, len(spec.shapes))
        weights = [draw(key, shape) for key, shape in zip(keys, spec.shapes, strict=True)]
        return [(matrix, jnp.zeros(matrix.shape[-1])) for matrix in weights]

    def apply(params, inputs):
        if spec.family == "conv":
            images, filters = inputs.reshape(-1, SIDE, SIDE, 1), params[0][0]
            layout = ("NHWC", "HWIO", "NHWC")
            maps = jax.lax.conv_general_dilated(
                images, filters, (STRIDE, STRIDE), "SAME", dimension_numbers=layout
            )
            maps = jax.nn.relu(maps + params[0][1]).reshape(len(inputs), -1)
            return maps @ params[1][0] + params[1][1]
        for weights, biases in params[:-1]:
            inputs = jax.nn.relu(inputs @ weights + biases)
        return inputs @ params[-1][0] + params[-1][1]

    return init, apply


SIDES = {"jaxgd": sweep, "vmap": vmap, "scan": scan}
