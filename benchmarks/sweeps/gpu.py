"""Measure `jaxgd.sweep` on a GPU against Optax and PyTorch on the same runs; without one, say so.

    python benchmarks/sweeps/gpu.py [--quick]

The tables are those of `python benchmarks/sweeps`, for workloads that fill a GPU; memory is the device's.
All multiply matrices in TensorFloat-32, which is JAX's default there.
"""

import argparse
import subprocess
import sys
from importlib.util import find_spec

from comparing import NEEDED, compare, growth, rate_of_products

PEERS = ("jaxgd", "expert", "scan", "torch", "torch.func")
QUICK = {"gpu1": ":rates=4:seeds=2:epochs=1:calls=1", "gpu2": ":rates=1000:epochs=2:calls=1"}
FOUND = "import jax; print(jax.default_backend(), jax.devices()[0].device_kind)"


def main() -> None:
    """Print the tables, or that there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small parts of the workloads")
    arguments = parser.parse_args()
    # In a process of its own: one that has looked for a GPU holds memory of it.
    found = subprocess.run([sys.executable, "-c", FOUND], capture_output=True, text=True, check=True).stdout
    backend, _, kind = found.strip().partition(" ")
    if backend != "gpu":
        print(f"JAX finds no GPU here (its default backend is {backend}): nothing was measured")
        return
    print(f"{kind}\n")
    names = [name for name in PEERS if find_spec(NEEDED.get(name, "jax"))]
    parts = {name: name + part * arguments.quick for name, part in QUICK.items()}
    compare(parts["gpu1"], names)
    rate_of_products(parts["gpu1"])
    compare(parts["gpu2"], names)
    growth(parts["gpu2"])


if __name__ == "__main__":
    main()
