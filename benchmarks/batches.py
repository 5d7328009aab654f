"""What it costs to train on batches that come one after the other, beside `fit` on data in memory.

    python benchmarks/batches.py                  # seconds, in turns
    python benchmarks/batches.py --memory         # 1 GB from a memmap, and how far memory grows

Prints Markdown tables.
"""

import argparse
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

import jaxgd

MODELS = {"MLP 784-64-10": [784, 64, 10], "MLP 784-256-10": [784, 256, 10]}
SIZES = (64, 256, 1024)
KEY = jax.random.key(0)


def examples(num: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and classes of nobody's digits."""
    random = np.random.default_rng(0)
    return random.normal(size=(num, 784)).astype(np.float32), random.integers(0, 10, num).astype(np.int32)


def own_memory() -> int:
    """Bytes of this process that are no file's, on Linux."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


def loaders(data: tuple[np.ndarray, np.ndarray], size: int) -> dict[str, Callable]:
    """What makes each loader of the data."""
    import torch
    from torch.utils import data as torch_data

    dataset = torch_data.TensorDataset(torch.tensor(data[0]), torch.tensor(data[1]))
    return {
        "jaxgd.datasets.batches": lambda: jaxgd.datasets.batches(data, size, KEY),
        "a list": lambda: list(jaxgd.datasets.batches(data, size, KEY)),
        "torch, DataLoader": lambda: torch_data.DataLoader(dataset, size, shuffle=True),
    }


def seconds_of(run: Callable) -> float:
    """What a run takes."""
    started = time.perf_counter()
    jax.block_until_ready(run().state.params)
    return time.perf_counter() - started


def print_seconds(turns: int, num: int = 8192, epochs: int = 10) -> None:
    """Seconds of `fit` and of `train` on each loader, in turns: each a ratio, the median over turns."""
    data = examples(num)
    print(f"{num:,} examples, Adam, {epochs} epochs; medians of {turns} turns, compiled.\n")
    print("| model | batch size | fit, s | loader | times fit | the loader alone, s |")
    print("|---|---|---|---|---|---|")
    for name, sizes in MODELS.items():
        for size in SIZES:
            model = jaxgd.mlp(sizes)
            memory, stream = (
                jaxgd.trainer(jaxgd.classification(model, train), jaxgd.adam(1e-3), size)
                for train in (data, None)
            )
            makes = loaders(data, size)
            runs: dict[str, Callable] = {"fit": lambda memory=memory: jaxgd.fit(memory, KEY, epochs)}
            for loader, make in makes.items():
                runs[loader] = functools.partial(
                    jaxgd.train, stream, KEY, epochs, batches=make(), progress=False
                )
            found = {run: [] for run in runs}
            for turn in range(turns + 1):
                for run, function in runs.items():
                    taken = seconds_of(function)
                    if turn:  # the first compiles
                        found[run].append(taken)
            for loader, make in makes.items():
                started = time.perf_counter()
                for _ in range(epochs):
                    for _ in make():
                        pass
                alone = time.perf_counter() - started
                ratio = np.median(np.divide(found[loader], found["fit"]))
                fit = np.median(found["fit"])
                print(f"| {name} | {size} | {fit:.3f} | {loader} | {ratio:.2f} | {alone:.3f} |", flush=True)


def print_memory(num_bytes: int = 2**30, size: int = 256) -> None:
    """How far the memory of this process grows that is no file's, while it trains on so many bytes."""
    num = num_bytes // (784 * 4)
    with tempfile.TemporaryDirectory() as folder:
        pixels = np.lib.format.open_memmap(f"{folder}/pixels.npy", "w+", np.float32, (num, 784))
        for begin in range(0, num, 10_000):
            pixels[begin : begin + 10_000] = examples(min(10_000, num - begin))[0]
        pixels.flush()
        pixels = np.load(f"{folder}/pixels.npy", mmap_mode="r")
        labels = (np.arange(num) % 10).astype(np.int32)
        trainer = jaxgd.trainer(jaxgd.classification(jaxgd.mlp([784, 64, 10]), None), jaxgd.adam(1e-3), size)
        jaxgd.train(trainer, KEY, 1, batches=[(pixels[:size], labels[:size])], progress=False)  # compiled
        before, most = own_memory(), [0]

        def watched():
            for batch in jaxgd.datasets.batches((pixels, labels), size, KEY):
                most[0] = max(most[0], own_memory())
                yield batch

        started = time.perf_counter()
        jaxgd.train(trainer, KEY, 1, batches=watched(), progress=False)
        print(
            f"{pixels.nbytes / 2**30:.2f} GiB in {num:,} examples, batches of {size}: "
            f"{(most[0] - before) / 2**20:.0f} MiB more memory, {time.perf_counter() - started:.1f} s"
        )


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description="training on batches that come one after the other")
    parser.add_argument("--memory", action="store_true", help="1 GB from a memmap")
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    print_memory() if arguments.memory else print_seconds(arguments.turns)


if __name__ == "__main__":
    main()
