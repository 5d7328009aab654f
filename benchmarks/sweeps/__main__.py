"""Measure `jaxgd.sweep` against Optax, PyTorch, torch.func and scikit-learn on the same grids of runs.

    python benchmarks/sweeps [--quick] [--workloads 1 2 3] [--peers jaxgd expert ...]
    python benchmarks/sweeps --planner
    python benchmarks/sweeps --random N --seed S [--turns T]

Prints Markdown tables as it goes. Every peer is a process of its own: cold is from its start to the results
of all runs, nothing compiled before; warm is a further call in it, the peers taking turns. Nobody validates;
all have the same initial parameters and see the examples in the same order. A peer that is said to be scaled
ran a few of the runs. PyTorch and scikit-learn are measured where they are installed.

With --random, N specs that nobody tuned for are drawn, of bounded work, and run by jaxgd.sweep, by an
expert's vmap for each batch size and by one jitted run after another, all with validation after each epoch.
A ratio is the median over the turns, with the lowest and the highest; above 1 jaxgd takes less.
"""

import argparse
import os
from importlib.metadata import version
from importlib.util import find_spec

from comparing import NEEDED, compare, compare_plans, growth, rate_of_products
from drawn_comparing import compare_drawn
from workers import PEERS

QUICK = {
    "1": ":batch_sizes=32,128:rates=2:seeds=2:epochs=2:rounds=1:calls=1",
    "2": ":batch_sizes=512:optimizers=momentum:rates=2:seeds=1:epochs=1:calls=1",
    "3": ":rates=100:calls=1",
}
PLANNED = ("short", "long", "large")
QUICK_PEERS = ("jaxgd", "expert")  # of workloads 2 and 3


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small parts of the workloads: about a minute")
    parser.add_argument("--workloads", nargs="+", default=["1", "2", "3"], help="or parts, as 1:rounds=1")
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--planner", action="store_true", help="the plan chosen against others, forced")
    parser.add_argument("--random", type=int, metavar="N", help="so many specs that nobody tuned for")
    parser.add_argument("--seed", type=int, default=0, help="of the random specs")
    parser.add_argument("--turns", type=int, default=1, help="how often each random spec is measured")
    arguments = parser.parse_args()
    names = [name for name in arguments.peers if find_spec(NEEDED.get(name, "jax"))]
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "optax"))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {versions}\n")
    if arguments.random is not None:
        compare_drawn(arguments.seed, arguments.random, arguments.turns)
        return
    if arguments.planner:
        for workload in PLANNED:
            compare_plans(workload + ":rates=1:epochs=1:calls=1" * arguments.quick)
        return
    for workload in arguments.workloads:
        first = workload.partition(":")[0]
        part = workload + (QUICK[first] if arguments.quick else "")
        is_part = arguments.quick and first != "1"
        compare(part, [name for name in names if name in QUICK_PEERS or not is_part])
        if first == "2":
            rate_of_products(part)
        if first == "3":
            growth(part)


if __name__ == "__main__":
    main()
