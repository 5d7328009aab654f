"""The peers in JAX: jaxgd.sweep, and the same runs by hand with Optax.

Each function takes a workload and its data and returns a function without arguments: the runs, which give the
final layers of the first run of each program, `{(optimizer, batch size): [(weights, biases), ...]}`.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from workloads import (
    MOMENTUM,
    PRODUCT_SIDE,
    PRODUCT_TIMES,
    Data,
    Finals,
    Workload,
    as_layers,
    batches,
    model,
    one_by_one,
)

OPTAX = {
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, MOMENTUM),
    "adam": optax.adam,
    "nadam": optax.nadam,
}


def sweep(work: Workload, data: Data, forced: Mapping[str, Any] | None = None) -> Callable[[], Finals]:
    """`jaxgd.sweep`: every core is a device, as its warning asks for and the command does.

    `forced` are options of `jaxgd.plan`; without them the sweep makes its own plan.
    """
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    import jaxgd

    make_trainer, axes = grid(work, data)

    def run():
        plan = None if forced is None else jaxgd.plan(make_trainer, axes, work.epochs, **forced)
        result = jaxgd.sweep(make_trainer, axes, work.epochs, progress=False, plan=plan)
        words = np.unique(result.dataset.status)
        if list(words) != ["completed"]:
            raise SystemExit(f"the work is not the same: status {words}")
        first = {"learning_rate": work.rates[0], "seed": work.seeds[0]}
        return {
            (optimizer, size): as_layers(result.params(optimizer=optimizer, batch_size=size, **first))
            for optimizer, size in work.programs
        }

    return run


def grid(work: Workload, data: Data) -> tuple[Callable[[Any], Any], dict[str, Any]]:
    """`(make_trainer, axes)` of a workload's sweep."""
    import jaxgd

    problem = jaxgd.classification(model(work.layers), (data.inputs, data.labels))
    makers = {
        "sgd": jaxgd.sgd,
        "momentum": lambda rate: jaxgd.momentum(rate, MOMENTUM),
        "adam": jaxgd.adam,
        "nadam": jaxgd.nadam,
    }
    axes = {
        "optimizer": work.optimizers,
        "batch_size": work.batch_sizes,
        "learning_rate": work.rates,
        "seed": work.seeds,
    }

    def make_trainer(point):
        return jaxgd.trainer(problem, makers[point.optimizer](point.learning_rate), point.batch_size)

    return make_trainer, axes


def expert_vmap(work: Workload, data: Data) -> Callable[[], Finals]:
    """A program per optimizer and batch size: `vmap` over runs, which draw parameters and orders inside."""
    programs, arguments = expert_programs(work, data)

    def run():
        finals = {key: jax.device_get(program(*arguments)) for key, program in programs.items()}
        return {key: as_layers(jax.tree.map(lambda x: x[0], params)) for key, params in finals.items()}

    return run


def expert_programs(work: Workload, data: Data) -> tuple[dict[tuple[str, int], Any], tuple[Any, Any]]:
    """`(programs, arguments)`: the jitted programs of `expert_vmap`, and what each of them is called with."""
    inputs, labels = jnp.asarray(data.inputs), jnp.asarray(data.labels)
    init = model(work.layers).init

    def program(name, size):
        def one(rate, key):
            optimizer, params = OPTAX[name](rate), init(jax.random.fold_in(key, 0))

            def epoch(carry, number):
                order_key = jax.random.fold_in(jax.random.fold_in(key, 1), number)
                order = jax.random.permutation(order_key, len(labels))
                return jax.lax.scan(_step(optimizer, inputs, labels, size), carry, order.reshape(-1, size))

            (params, _), _ = jax.lax.scan(epoch, (params, optimizer.init(params)), jnp.arange(work.epochs))
            return params

        return jax.jit(jax.vmap(one))

    programs = {key: program(*key) for key in work.programs}
    rates = jnp.array([rate for rate, _ in work.runs])
    keys = jax.vmap(jax.random.key)(jnp.array([seed for _, seed in work.runs]))
    return programs, (rates, keys)


def optax_scan(work: Workload, data: Data) -> Callable[[], Finals]:
    """A program per optimizer and batch size that is one whole run, called for one run after another."""
    programs, arguments = scan_programs(work, data)

    def run():
        finals = {
            key: jax.device_get([program(*each) for each in arguments()]) for key, program in programs.items()
        }
        return {key: as_layers(params[0]) for key, params in finals.items()}

    return run


def scan_programs(
    work: Workload, data: Data
) -> tuple[dict[tuple[str, int], Any], Callable[[], list[tuple[Any, Any, Any]]]]:
    """`(programs, arguments)`: the jitted programs of `optax_scan`; `arguments()` is what each run takes."""
    inputs, labels = jnp.asarray(data.inputs), jnp.asarray(data.labels)

    def program(name, size):
        def whole(rate, params, orders):
            optimizer = OPTAX[name](rate)
            step = _step(optimizer, inputs, labels, size)
            carry = (params, optimizer.init(params))
            return jax.lax.scan(step, carry, orders.reshape(-1, size))[0][0]

        return jax.jit(whole)

    def arguments():
        pairs = list(zip(data.starts, data.orders, strict=True))
        return [(rate, _params(start), orders) for rate in work.rates for start, orders in pairs]

    return {key: program(*key) for key in work.programs}, arguments


def optax_loop(work: Workload, data: Data) -> Callable[[], Finals]:
    """A jitted step for each optimizer, called from a Python loop over batches."""
    inputs, labels = jnp.asarray(data.inputs), jnp.asarray(data.labels)

    def stepper(name):
        @jax.jit
        def step(rate, params, state, rows):
            (params, state), _ = _step_on(OPTAX[name](rate), (params, state), inputs[rows], labels[rows])
            return params, state

        @jax.jit
        def step_on_all(rate, params, state):
            (params, state), _ = _step_on(OPTAX[name](rate), (params, state), inputs, labels)
            return params, state

        def call(rate, params, state, rows):
            is_all = isinstance(rows, slice)
            return step_on_all(rate, params, state) if is_all else step(rate, params, state, rows)

        return call

    steps = {name: stepper(name) for name in work.optimizers}

    def one(name, size, rate, start, orders):
        params = _params(start)
        state = OPTAX[name](rate).init(params)
        for order in orders:
            for rows in batches(order, size):
                params, state = steps[name](rate, params, state, rows)
        return as_layers(jax.device_get(params))

    return lambda: one_by_one(work, data, one)


def matrix_product(work: Workload, data: Data) -> Callable[[], Finals]:
    """Products of two large square matrices, `PRODUCT_FLOPS` operations: what the machine can do."""
    ones = jnp.ones((PRODUCT_SIDE, PRODUCT_SIDE), jnp.float32)
    multiply = jax.jit(jnp.matmul)

    def run():
        for _ in range(PRODUCT_TIMES):
            jax.block_until_ready(multiply(ones, ones))
        return {}

    return run


def _step(optimizer: Any, inputs: jax.Array, labels: jax.Array, size: int) -> Callable:
    """`(carry, rows) -> (carry, loss)`: one update, by all examples without a copy if the batch is full."""

    def step(carry, rows):
        if size == len(labels):
            return _step_on(optimizer, carry, inputs, labels)
        return _step_on(optimizer, carry, inputs[rows], labels[rows])

    return step


def _step_on(optimizer: Any, carry: Any, inputs: jax.Array, labels: jax.Array) -> tuple[Any, jax.Array]:
    params, state = carry
    loss, grads = jax.value_and_grad(_loss)(params, inputs, labels)
    updates, state = optimizer.update(grads, state, params)
    return (optax.apply_updates(params, updates), state), loss


def _loss(params: Any, inputs: jax.Array, labels: jax.Array) -> jax.Array:
    for depth, layer in enumerate([params] if isinstance(params, dict) else params):
        inputs = (jax.nn.relu(inputs) if depth else inputs) @ layer["w"] + layer["b"]
    return optax.softmax_cross_entropy_with_integer_labels(inputs, labels).mean()


def _params(start: list[tuple[np.ndarray, np.ndarray]]) -> list[dict[str, jax.Array]]:
    return [{"w": jnp.asarray(weights), "b": jnp.asarray(biases)} for weights, biases in start]
