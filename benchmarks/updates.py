"""Milliseconds per update in place: jaxgd, Optax and PyTorch on the same trees, in one run.

python benchmarks/updates.py [--tree leaf|gpt|small|all] [--repeats 24] [--megaparameters 25]

The medians of interleaved repeats, ten times as many for the small leaves. JAX's steps are donated with
arguments and results lined up; PyTorch's are fused where there is a fused kernel on a CPU and foreach
otherwise. Copy is one pass over the bytes that the update must read and write, at the rate of a copy.
Compile times are CPU seconds of tracing, lowering and compiling with nothing cached, the median of five.
"""

import argparse
import math
import random
import statistics
import time
from functools import partial

import jax
import jax.numpy as jnp
import optax

from jaxgd import optim

try:
    import torch
except ImportError:
    torch = None

RATE = 1e-3
# name: ours, Optax's, PyTorch's class and arguments, arrays of the parameters' size read and written
CASES = {
    "sgd": (optim.sgd(RATE), optax.sgd(RATE), ("SGD", {"fused": True}), 3),
    "momentum": (optim.momentum(RATE), optax.sgd(RATE, 0.9), ("SGD", {"momentum": 0.9, "fused": True}), 5),
    "adagrad": (optim.adagrad(RATE), optax.adagrad(RATE), ("Adagrad", {"fused": True}), 5),
    "rmsprop": (optim.rmsprop(RATE), optax.rmsprop(RATE), ("RMSprop", {"foreach": True}), 5),
    "adadelta": (optim.adadelta(), optax.adadelta(1.0), ("Adadelta", {"foreach": True}), 7),
    "adam": (optim.adam(RATE), optax.adam(RATE), ("Adam", {"fused": True}), 7),
    "adamw": (optim.adamw(RATE), optax.adamw(RATE), ("AdamW", {"fused": True}), 7),
    "nadam": (optim.nadam(RATE), optax.nadam(RATE), ("NAdam", {"foreach": True}), 7),
    "clip + adamw": (
        optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(RATE)),
        optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(RATE)),
        None,
        8,
    ),
}


def shapes_of(tree, size):
    """The shapes of one leaf; of a GPT-like model of 12 layers, 146 leaves in all; of 200 small leaves."""
    if tree == "leaf":
        return [(size,)]
    if tree == "small":
        return [(32, 32)] * 200
    width = int((size / 12 / 12) ** 0.5) // 8 * 8
    layer = [(width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)]
    norms = [(width,)] * 4 + [(3 * width,), (width,), (4 * width,), (width,)]
    return (layer + norms) * 12 + [(width,)] * 2


def jax_update(optimizer):
    """The jitted update of a fresh trace: ours takes its optimizer as an argument, Optax's closes over it."""

    @partial(jax.jit, donate_argnums=(1, 2))
    def update(optimizer, params, state, gradient):
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    @partial(jax.jit, donate_argnums=(0, 1))
    def update_closed(params, state, gradient):
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    return (update, (optimizer,)) if isinstance(optimizer, optim.Transform) else (update_closed, ())


def jax_step(optimizer, shapes):
    """The update as a function without arguments."""
    gradient = [jnp.full(shape, 1e-3) for shape in shapes]
    params = [jnp.ones(shape) for shape in shapes]
    held = [params, optimizer.init(params)]
    update, leading = jax_update(optimizer)

    def step():
        held[:] = jax.block_until_ready(update(*leading, *held, gradient))

    step()
    return step


def compile_seconds(optimizer, shapes):
    """CPU seconds of tracing, lowering and compiling the update with nothing cached."""
    jax.clear_caches()
    params = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    state = jax.eval_shape(optimizer.init, params)
    update, leading = jax_update(optimizer)
    begin = time.process_time()
    update.lower(*leading, params, state, params).compile()
    return time.process_time() - begin


def torch_step(case, shapes):
    if torch is None or case is None:
        return None
    name, arguments = case
    params = [torch.ones(shape, requires_grad=True) for shape in shapes]
    for p in params:
        p.grad = torch.full(p.shape, 1e-3)
    step = getattr(torch.optim, name)(params, **{"lr": RATE} | arguments).step
    step()
    return step


def copy_step(shapes):
    """One pass that reads an array of all parameters and writes it again, in place."""
    copy = jax.jit(lambda x: x + 1.0, donate_argnums=0)
    held = [copy(jnp.ones(sum(math.prod(shape) for shape in shapes)))]

    def step():
        held[0] = jax.block_until_ready(copy(held[0]))

    return step


def milliseconds(step):
    begin = time.perf_counter()
    step()
    return 1e3 * (time.perf_counter() - begin)


def measure(steps, repeats):
    """Median milliseconds of each step, in interleaved repeats.

    Each repeat has an order of its own: what ran just before a step changes its time by up to a tenth.
    """
    times = [[] for _ in steps]
    order = random.Random(0)
    for _ in range(repeats):
        for which in order.sample(range(len(steps)), len(steps)):
            times[which].append(milliseconds(steps[which]) if steps[which] else float("nan"))
    return [statistics.median(column) for column in times]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", choices=["leaf", "gpt", "small", "all"], default="all")
    parser.add_argument("--repeats", type=int, default=24)
    parser.add_argument("--megaparameters", type=float, default=25)
    arguments = parser.parse_args()
    columns = ("tree", "optimizer", "jaxgd ms", "Optax ms", "ratio", "PyTorch ms", "of copy rate")
    print("| " + " | ".join((*columns, "jaxgd compiles s", "Optax compiles s")) + " |")
    print("|---" * (len(columns) + 2) + "|")
    for tree in ("leaf", "gpt", "small") if arguments.tree == "all" else (arguments.tree,):
        shapes = shapes_of(tree, int(arguments.megaparameters * 1e6))
        for name, (ours, theirs, peer, passes) in CASES.items():
            rounds = [[compile_seconds(each, shapes) for each in (ours, theirs)] for _ in range(5)]
            seconds, their_seconds = map(statistics.median, zip(*rounds, strict=True))
            steps = [
                jax_step(ours, shapes),
                jax_step(theirs, shapes),
                torch_step(peer, shapes),
                copy_step(shapes),
            ]
            # Updates of a few milliseconds scatter more.
            repeats = arguments.repeats * (10 if tree == "small" else 1)
            mine, optax_ms, torch_ms, copy_ms = measure(steps, repeats)
            fraction = copy_ms * passes / 2 / mine
            print(
                f"| {tree} | {name} | {mine:.1f} | {optax_ms:.1f} | {mine / optax_ms:.2f} | {torch_ms:.1f} "
                f"| {fraction:.0%} | {seconds:.2f} | {their_seconds:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
