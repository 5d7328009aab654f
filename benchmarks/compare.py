"""Measure `jaxgd compare`, and one run at batch size 1 against Optax and PyTorch on the same work.

    python benchmarks/compare.py [--skip-commands] [--repeats 5]

Prints Markdown tables. PyTorch is measured where it is installed.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxgd

EPOCHS = 5
RATE, MOMENTUM = 0.002, 0.9


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--skip-commands", action="store_true", help="only the single run")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls of each peer, in turn")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, jax {jax.__version__}, optax {optax.__version__}\n")
    if not arguments.skip_commands:
        time_commands()
    time_single_runs(arguments.repeats)


def time_commands() -> None:
    """`jaxgd compare` as a whole process: with an empty compilation cache, then with the one it left."""
    print("| command | seconds | peak memory, MB |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, options in (("compare", []), ("compare --quick", ["--quick"])):
            cache = {"XDG_CACHE_HOME": str(Path(folder, name.replace(" ", "")))}
            for state in ("cold", "warm"):
                seconds, megabytes = run_process(options, folder, cache)
                print(f"| jaxgd {name}, {state} | {seconds:.1f} | {megabytes:.0f} |", flush=True)
    print()


def run_process(options: list[str], folder: str, cache: dict[str, str]) -> tuple[float, float]:
    """Wall seconds and the largest resident size of one `jaxgd compare`."""
    command = [sys.executable, "-m", "jaxgd", "compare", *options, "--out", str(Path(folder, "report.html"))]
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, env=os.environ | cache, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return time.perf_counter() - begun, usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def time_single_runs(repeats: int) -> None:
    """Momentum SGD on digits, MLP 64-64-10, batch size 1: one jitted run against loops of single steps."""
    train, _, _ = jaxgd.datasets.load("digits")
    inputs, labels = train
    problem = jaxgd.classification(jaxgd.mlp([64, 64, 10]), train)
    run = jaxgd.trainer(problem, jaxgd.momentum(RATE, MOMENTUM), 1)
    order = np.random.default_rng(0).permuted(np.tile(np.arange(len(labels)), (EPOCHS, 1)), axis=1)
    peers: dict[str, Callable[[], object]] = {
        "jaxgd.fit": lambda: jax.block_until_ready(jaxgd.fit(run, jax.random.key(0), EPOCHS)),
        "Optax, jitted step in a Python loop": optax_loop(problem, inputs, labels, order),
    }
    try:
        peers["PyTorch loop"] = torch_loop(inputs, labels, order)
    except ImportError:
        print("PyTorch is not installed: not measured\n")
    seconds = {name: [] for name in peers}
    for peer in peers.values():
        peer()
    for _ in range(repeats):
        for name, peer in peers.items():
            begun = time.perf_counter()
            peer()
            seconds[name].append(time.perf_counter() - begun)
    ours = np.median(seconds["jaxgd.fit"])
    print(
        f"Batch size 1, {EPOCHS} epochs of {len(labels)} examples, compile excluded, median of {repeats}:\n"
    )
    print("| | seconds | times jaxgd |\n|---|---|---|")
    for name, taken in seconds.items():
        print(f"| {name} | {np.median(taken):.3f} | {np.median(taken) / ours:.1f} |")
    print(
        f"\npeak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )


def optax_loop(problem, inputs, labels, order: np.ndarray) -> Callable[[], object]:
    """The run as most JAX code does it: one jitted step, called from Python."""
    optimizer = optax.sgd(RATE, MOMENTUM)
    start = problem.init(jax.random.key(0))
    inputs, labels = jnp.asarray(inputs), jnp.asarray(labels)

    @jax.jit
    def step(params, state, index):
        def loss(params):
            return problem.loss(params, (inputs[index][None], labels[index][None]))[0]

        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    def run():
        params, state = start, optimizer.init(start)
        for epoch in order:
            for index in epoch:
                params, state = step(params, state, index)
        return jax.block_until_ready(params)

    return run


def torch_loop(inputs, labels, order: np.ndarray) -> Callable[[], object]:
    """The run as PyTorch code does it."""
    import torch

    inputs, labels = torch.from_numpy(np.array(inputs)), torch.from_numpy(np.array(labels)).long()

    def run():
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
        for epoch in order:
            for index in epoch:
                optimizer.zero_grad()
                rows = slice(index, index + 1)
                torch.nn.functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
                optimizer.step()
        return model

    return run


if __name__ == "__main__":
    main()
