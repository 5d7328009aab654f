"""What it adds to an epoch that a run measures the gradient noise scale, in CPU time."""

import functools

import jax
from instructions import medians

import jaxgd

# Data set, layers, epochs of a call.
MODELS = [("digits", [64, 32, 10], 20), ("mnist5k", [784, 256, 10], 1)]
BATCH_SIZES = (64, 128, 256, 512)
REPEATS = 51


def print_cost(repeats: int = REPEATS) -> None:
    """The table: networks at several batch sizes, without the rule and with each form of it, in turn."""
    print("| network | batch | micro-batch | CPU ms of an epoch | last | all | examples |")
    print("|---|---|---|---|---|---|---|")
    for data, layers, epochs in MODELS:
        problem = jaxgd.classification(jaxgd.mlp(layers), jaxgd.datasets.load(data)[0])
        for size in BATCH_SIZES:
            plain = jaxgd.trainer(problem, jaxgd.momentum(0.01), size, microbatch=size // 4)
            rules = [plain, *(jaxgd.noise_scale(plain, parts) for parts in ("last", "all", "examples"))]
            runs = [functools.partial(_run, each, epochs) for each in rules]
            (_, base), *others = medians(runs, repeats)
            added = " | ".join(f"{100 * (cpu / base - 1):+.0f} %" for _, cpu in others)
            print(f"| {'-'.join(map(str, layers))} | {size} | {size // 4} | {base / epochs:.1f} | {added} |")


def _run(trainer, epochs):
    return jaxgd.fit(trainer, jax.random.key(0), epochs).history
