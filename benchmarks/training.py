"""Measure a training run: `train` against `fit`, traced batch sizes, dropout, and a PyTorch loop.

    python benchmarks/training.py [--repeats 7] [--instructions]

Prints a Markdown table of ratios: medians of calls that take turns, compile excluded. PyTorch is measured
where it is installed. With --instructions a diagnostic table instead: for six models the kernels of a step
and of the whole program, and what compiling and a run take, beside the scan that an expert would write.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from instructions import print_instructions

import jaxgd

KEY = jax.random.key(0)
EPOCHS = 3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="timed calls of each, in turn")
    parser.add_argument("--instructions", action="store_true", help="the diagnostic table")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, jax {jax.__version__}\n")
    if options.instructions:
        print_instructions(options.repeats)
    else:
        print_ratios(options.repeats)


def print_ratios(repeats: int) -> None:
    """Print the table of ratios."""
    train, valid, _ = jaxgd.datasets.load("mnist5k")
    print("| | seconds | ratio |\n|---|---|---|")
    compare("train / fit, mlp 784-64-10, batch 50", *hosts(train, valid), repeats)
    for micro in (16, 32, 64):
        compare(f"traced batch size 64, micro-batches of {micro} / static", *sizes(train, micro), repeats)
    compare("dropout 0.5 / none, mlp 784-256-10, batch 128", *dropouts(train), repeats)
    try:
        compare("PyTorch loop / fit, mlp 784-64-10, batch 50", *torch_and_fit(train), repeats)
    except ImportError:
        print("| PyTorch is not installed: not measured | | |")


def compare(name: str, peer: Callable, base: Callable, repeats: int) -> None:
    """Print the median seconds of `peer`, and how many times those of `base` they are."""
    seconds = {peer: [], base: []}
    for run in seconds:
        run()
    for _ in range(repeats):
        for run, taken in seconds.items():
            begun = time.perf_counter()
            jax.block_until_ready(run())
            taken.append(time.perf_counter() - begun)
    medians = [statistics.median(taken) for taken in seconds.values()]
    print(f"| {name} | {medians[0]:.3f} | {medians[0] / medians[1]:.2f} |", flush=True)


def hosts(train, valid) -> tuple[Callable, Callable]:
    """`train` with a log, and `fit`."""
    problem = jaxgd.classification(jaxgd.mlp([784, 64, 10]), train, valid)
    tr, rows = jaxgd.trainer(problem, jaxgd.momentum(0.01), 50), []
    return (
        lambda: jaxgd.train(tr, KEY, 10 * EPOCHS, progress=False, log=[rows.append]).history,
        lambda: jaxgd.fit(tr, KEY, 10 * EPOCHS).history,
    )


def sizes(train, micro: int) -> tuple[Callable, Callable]:
    """A batch size that is a leaf, and the same as structure."""
    problem = jaxgd.classification(jaxgd.mlp([784, 64, 10]), train)
    traced = jaxgd.trainer(problem, jaxgd.momentum(0.01), jnp.asarray(64), microbatch=micro)
    static = jaxgd.trainer(problem, jaxgd.momentum(0.01), 64)
    return lambda: jaxgd.fit(traced, KEY, EPOCHS).history, lambda: jaxgd.fit(static, KEY, EPOCHS).history


def dropouts(train) -> tuple[Callable, Callable]:
    """A network with dropout, and one without."""

    def run(**options):
        problem = jaxgd.classification(jaxgd.mlp([784, 256, 10], **options), train)
        tr = jaxgd.trainer(problem, jaxgd.momentum(0.01), 128)
        return lambda: jaxgd.fit(tr, KEY, EPOCHS).history

    return run(dropout=0.5), run()


def torch_and_fit(train) -> tuple[Callable, Callable]:
    """The same training in a PyTorch loop, and `fit`."""
    import torch

    inputs, labels = torch.from_numpy(np.array(train[0])), torch.from_numpy(np.array(train[1])).long()
    problem = jaxgd.classification(jaxgd.mlp([784, 64, 10]), train)
    tr = jaxgd.trainer(problem, jaxgd.momentum(0.01), 50)

    def loop():
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(labels)).split(50):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
                optimizer.step()
        return 0

    return loop, lambda: jaxgd.fit(tr, KEY, EPOCHS).history


if __name__ == "__main__":
    main()
