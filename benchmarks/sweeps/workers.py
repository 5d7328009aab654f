"""Peers in processes of their own: each started cold, then asked for one warm call at a time.

    python benchmarks/sweeps/workers.py HOME WORKLOAD DATA.npz OPTIONS

is such a process. It prints a line of JSON after its first call, and one for every line that it reads.
"""

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from workloads import final_loss, named, read_data, write_data


class Peer(NamedTuple):
    """Where it is run, and how.

    home: the module and function. is_slow: a few of the runs are run, and the time scaled. options: further
    keyword arguments of the function.
    """

    label: str
    home: str
    is_slow: bool = False
    options: Mapping[str, Any] = MappingProxyType({})


PEERS = {
    "jaxgd": Peer("jaxgd.sweep", "peers:sweep"),
    "expert": Peer("Optax, hand-written vmap per program", "peers:expert_vmap"),
    "scan": Peer("Optax, whole-run scan, one run after another", "peers:optax_scan", True),
    "loop": Peer("Optax, jitted step in a Python loop", "peers:optax_loop", True),
    "torch": Peer("PyTorch loop", "foreign_peers:torch_loop", True),
    "torch.func": Peer("torch.func ensembles", "foreign_peers:torch_ensembles"),
    "scikit-learn": Peer("scikit-learn", "foreign_peers:scikit_learn", True),
}
# Not a peer: what the machine can do.
PRODUCT = Peer("matrix product", "peers:matrix_product")


class Worker:
    """A process that runs one peer. `cold`: the line after its first call, its `seconds` from the start."""

    def __init__(self, arguments: Sequence[str]):
        command = [sys.executable, *arguments]
        environment = {key: value for key, value in os.environ.items() if "COMPILATION_CACHE" not in key}
        # Several processes hold a GPU at once: none may take all of its memory.
        environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.cold = self._line()
        self.cold["seconds"] = time.perf_counter() - begun

    def warm(self) -> dict[str, Any]:
        """The line after one more call."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.process.args)} failed with status {self.process.wait()}")  # pyright: ignore
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def worker_of(peer: Peer, work: str, data: Path) -> Worker:
    """A process that runs a peer on a workload, or a part of one."""
    return Worker([__file__, peer.home, work, str(data), json.dumps(dict(peer.options))])


def prepare(work: str, data: Path) -> None:
    """Write a workload's data, in a process of its own: a child's peak memory is never below its parent's."""
    subprocess.run([sys.executable, __file__, "data", work, str(data)], check=True)


def main() -> None:
    """Be a worker."""
    if sys.argv[1] == "data":
        write_data(Path(sys.argv[3]), named(sys.argv[2]))
        return
    home, name, path, options = sys.argv[1:]
    work = named(name)
    data = read_data(Path(path), work)
    module, function = home.split(":")
    peer = getattr(importlib.import_module(module), function)(work, data, **json.loads(options))
    cpu = 0.0  # the first call's CPU seconds are from the start of the process

    def line():
        nonlocal cpu
        begun, cpu_begun = time.perf_counter(), cpu
        finals = peer()
        seconds, cpu = time.perf_counter() - begun, time.process_time()
        line = {"seconds": seconds, "cpu": cpu - cpu_begun, "megabytes": _peak_megabytes()}
        line["losses"] = {f"{key[0]} {key[1]}": final_loss(data, layers) for key, layers in finals.items()}
        if finals:  # what a peer lacks is taken to cost as much as what it has
            line["seconds"] *= len(work.programs) / len(finals)
            line["cpu"] *= len(work.programs) / len(finals)
        return line

    serve(line)


def serve(line: Callable[[], dict[str, Any]]) -> None:
    """Print what `line` gives, and again for every line that is read."""
    while True:
        print(json.dumps(line()), flush=True)
        if not sys.stdin.readline():
            return


def _peak_megabytes() -> float:
    """The most memory that this process has held: of the GPU if it uses one, else of the host."""
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        return sys.modules["torch"].cuda.max_memory_allocated() / 1024**2
    if "jax" in sys.modules and sys.modules["jax"].default_backend() == "gpu":
        return sys.modules["jax"].devices()[0].memory_stats()["peak_bytes_in_use"] / 1024**2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform == "linux" else 1024**2)


if __name__ == "__main__":
    main()
