"""What XLA makes of a training run, beside an expert's scan: kernels, and what compiling and running take."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from compiled_text import kernels_of_program, step_of

import jaxgd
from jaxgd.training.fitting import begin_run
from jaxgd.training.segments import extent, segment

EPOCHS = 5
KEY = jax.random.key(0)


class Case(NamedTuple):
    """A model `(init, apply)`, ours and Optax's optimizer, and a batch size."""

    init: Callable
    apply: Callable
    ours: Any
    theirs: Any
    batch_size: int


class Compiled(NamedTuple):
    """A program as XLA compiled it, the CPU seconds that took, and a call of it."""

    text: str
    seconds: float
    run: Callable[[], Any]


def dense(*sizes: int) -> tuple[Callable, Callable]:
    """A multilayer perceptron, as one writes it by hand."""
    normal = jax.nn.initializers.he_normal()

    def init(key):
        keys = jax.random.split(key, len(sizes) - 1)
        return [(normal(k, pair), jnp.zeros(pair[1])) for k, pair in zip(keys, zip(sizes, sizes[1:]))]  # noqa: B905, RUF007

    def apply(params, x):
        for w, b in params[:-1]:
            x = jax.nn.relu(x @ w + b)
        return x @ params[-1][0] + params[-1][1]

    return init, apply


def conv(maps: int) -> tuple[Callable, Callable]:
    """One 3x3 convolution of stride 2 and a dense layer, for images of 8x8."""
    normal, names = jax.nn.initializers.he_normal(), ("NHWC", "HWIO", "NHWC")

    def init(key):
        keys = jax.random.split(key)
        return {
            "f": normal(keys[0], (3, 3, 1, maps)),
            "w": normal(keys[1], (16 * maps, 10)),
            "b": jnp.zeros(10),
        }

    def apply(params, x):
        x = x.reshape(-1, 8, 8, 1)
        x = jax.lax.conv_general_dilated(x, params["f"], (2, 2), "SAME", dimension_numbers=names)
        return jax.nn.relu(x).reshape(len(x), -1) @ params["w"] + params["b"]

    return init, apply


def cases() -> dict[str, Case]:
    """The models: a linear one, shallow, wide and deep networks, images, single examples."""
    momentum = jaxgd.momentum(0.01, 0.9), optax.sgd(0.01, 0.9)
    adam, sgd = (jaxgd.adam(1e-3), optax.adam(1e-3)), (jaxgd.sgd(0.01), optax.sgd(0.01))
    return {
        "logistic 64-10, Adam, B 64": Case(*dense(64, 10), *adam, 64),
        "MLP 64-48-48-10, Adam, B 32": Case(*dense(64, 48, 48, 10), *adam, 32),
        "MLP 64-512-10, SGD, B 32": Case(*dense(64, 512, 10), *sgd, 32),
        "conv 3x3x8, Adam, B 64": Case(*conv(8), *adam, 64),
        "MLP 64-96x4-10, momentum, B 64": Case(*dense(64, 96, 96, 96, 96, 10), *momentum, 64),
        "MLP 64-32-10, momentum, B 1": Case(*dense(64, 32, 10), *momentum, 1),
    }


def ours(case: Case, train: Any, valid: Any, **options: Any) -> Compiled:
    """The program of `fit`, and `fit`."""
    problem = jaxgd.classification(jaxgd.Model(case.init, case.apply), train, valid)
    trainer = jaxgd.trainer(problem, case.ours, case.batch_size, **options)
    course = begin_run(trainer, KEY, EPOCHS)
    first, orders = course.orders_of(0)
    part = extent(0, course.whole, course.num)
    lowered = segment.lower(trainer, course.state, course.history, orders, first, part)
    return _compiled(lowered, lambda: jaxgd.fit(trainer, KEY, EPOCHS).history)


def hand_written(case: Case, train: Any, valid: Any, grad_norm: bool) -> Compiled:
    """A whole run as one scan: shuffled epochs, losses, with `grad_norm` norms, and validation after each."""
    (x, y), (x_valid, y_valid) = jax.tree.map(jnp.asarray, (train, valid))
    cross_entropy, num = optax.softmax_cross_entropy_with_integer_labels, len(x)

    def loss(params, x, y):
        return cross_entropy(case.apply(params, x), y).mean()

    def step(carry, rows):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params, x[rows], y[rows])
        updates, state = case.theirs.update(grads, state, params)
        norm = optax.tree.norm(grads) if grad_norm else ()
        return (optax.apply_updates(params, updates), state), (value, norm)

    def epoch(carry, key):
        order = jax.random.permutation(key, num)[: num // case.batch_size * case.batch_size]
        carry, sums = jax.lax.scan(step, carry, order.reshape(-1, case.batch_size))
        logits = case.apply(carry[0], x_valid)
        scores = cross_entropy(logits, y_valid).mean(), (logits.argmax(-1) == y_valid).mean()
        return carry, (jax.tree.map(jnp.mean, sums), scores)

    def fit(key):
        keys = jax.random.split(key)
        params = case.init(keys[0])
        return jax.lax.scan(epoch, (params, case.theirs.init(params)), jax.random.split(keys[1], EPOCHS))

    jitted = jax.jit(fit)
    return _compiled(jitted.lower(KEY), lambda: jitted(KEY)[1])


def _compiled(lowered: Any, run: Callable) -> Compiled:
    begun = time.process_time()
    text = lowered.compile().as_text()
    return Compiled(text, time.process_time() - begun, run)


def medians(runs: list[Callable], repeats: int) -> list[tuple[float, float]]:
    """The median wall and CPU milliseconds of each, calls in turn."""
    taken: list[list[tuple[float, float]]] = [[] for _ in runs]
    for _ in range(repeats + 1):
        for run, times in zip(runs, taken, strict=True):
            wall, cpu = time.perf_counter(), time.process_time()
            jax.block_until_ready(run())
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
    columns = [zip(*times[1:], strict=True) for times in taken]
    return [tuple(1000 * statistics.median(column) for column in each) for each in columns]  # pyright: ignore


def print_instructions(repeats: int) -> None:
    """Print the table: for each model `fit` and the hand-written scan, with norms and without."""
    train, valid, _ = jaxgd.datasets.load("digits")
    train = train[0][:1024], train[1][:1024]
    print("| | kernels of a step | of the program | compile, CPU s | run, ms | CPU ms |")
    print("|---|---|---|---|---|---|")
    for name, case in cases().items():
        programs = {
            "fit": ours(case, train, valid),
            "scan with norms": hand_written(case, train, valid, True),
            "fit, grad_norm=False": ours(case, train, valid, grad_norm=False),
            "scan": hand_written(case, train, valid, False),
        }
        times = medians([program.run for program in programs.values()], repeats)
        for (which, (text, seconds, _)), (wall, cpu) in zip(programs.items(), times, strict=True):
            step = step_of(text)
            assert step, "a training run is a loop"
            counts = f"{step.kernels} | {kernels_of_program(text)}"
            print(f"| {name}: {which} | {counts} | {seconds:.2f} | {wall:.1f} | {cpu:.1f} |", flush=True)
