"""What it costs that a sweep is trained by several processes, beside one process with all cores.

    python benchmarks/machines.py --dask           # workload 1 on two workers of a Dask cluster, warm
    python benchmarks/machines.py --parts 4        # a sweep of about a minute, as so many parts at a time

Prints Markdown tables. Compiled programs are kept, so that neither side compiles one in what is timed; the
start of processes and their imports are not counted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

import jaxgd

RATES = np.geomspace(1e-4, 5e-3, 8).tolist()
# Workload 1 of benchmarks/sweeps, and a longer one.
WORKLOADS = {
    "workload 1": {"batch_size": [1, 8, 32, 128, 1024], "learning_rate": RATES, "seed": list(range(4))},
    "a minute": {"batch_size": [1, 8, 64], "learning_rate": RATES, "seed": list(range(16))},
}
LAYERS = {"workload 1": [64, 64, 10], "a minute": [64, 128, 64, 10]}
EPOCHS = {"workload 1": 10, "a minute": 45}


def train(name: str, **options) -> float:
    """Seconds of a sweep."""
    (inputs, labels), valid, _ = jaxgd.datasets.load("digits")
    problem = jaxgd.classification(jaxgd.mlp(LAYERS[name]), (inputs[:1024], labels[:1024]), valid)
    started = time.perf_counter()
    jaxgd.sweep(
        lambda hp: jaxgd.trainer(problem, jaxgd.momentum(hp.learning_rate), hp.batch_size),
        WORKLOADS[name],
        EPOCHS[name],
        progress=False,
        **options,
    )
    return time.perf_counter() - started


def of_cores() -> None:
    """A device for each core, and programs kept on disk."""
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    jaxgd.enable_compilation_cache()


def print_dask(turns: int) -> None:
    """Seconds in this process and on two workers, in turns, each warm."""
    from distributed import Client, LocalCluster

    of_cores()
    name, seconds = "workload 1", {"in process": [], "Dask": []}
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        for turn in range(turns + 1):
            times = {"in process": train(name), "Dask": train(name, executor=client.get_executor())}
            for side, taken in times.items():
                seconds[side] += [taken] if turn else []
    _print(name, seconds)


def print_parts(turns: int, num: int) -> None:
    """Seconds of one process, and of so many at a time until the last of them has ended, in turns."""
    name, seconds = "a minute", {"in process": [], f"{num} parts": []}
    for turn in range(turns + 1):
        with tempfile.TemporaryDirectory() as folder:
            times = {"in process": _at_once(name, folder, 1), f"{num} parts": _at_once(name, folder, num)}
        for side, taken in times.items():
            seconds[side] += [taken] if turn else []
    _print(name, seconds)


def _at_once(name: str, folder: str, num: int) -> float:
    """From the moment at which all of so many processes are ready to that at which the last one has ended."""
    out = Path(folder, f"{num}")
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, "--child", json.dumps([name, str(out), part + 1, num])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in range(num)
    ]
    for process in processes:
        process.stdout.readline()  # it is ready
    started = time.perf_counter()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
    return time.perf_counter() - started


def child(name: str, folder: str, part: int, of: int) -> None:
    """A process of `_at_once`: imports, says that it is ready, waits, and trains."""
    of_cores()
    jax.devices()
    import xarray  # noqa: F401

    print("ready", flush=True)
    sys.stdin.readline()
    train(name, folder=folder, part=(part, of) if of > 1 else None)


def _print(name: str, seconds: dict[str, list[float]]) -> None:
    (one, first), (other, second) = seconds.items()
    ratios = [b / a for a, b in zip(first, second, strict=True)]
    print(f"| {name} | {one}, s | {other}, s | ratio (lowest to highest) |\n|---|---|---|---|")
    row = f"{statistics.median(first):.2f} | {statistics.median(second):.2f}"
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"| {len(first)} turns | {row} | {spread} |")


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dask", action="store_true")
    parser.add_argument("--parts", type=int)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
    if options.dask:
        print_dask(options.turns)
    if options.parts:
        print_parts(options.turns, options.parts)


if __name__ == "__main__":
    main()
