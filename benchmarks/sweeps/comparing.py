"""What peers take for a workload, or plans of `jaxgd.sweep`, as Markdown tables."""

import os
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from workers import PEERS, PRODUCT, Peer, Worker, prepare, worker_of
from workloads import PRODUCT_FLOPS, named, scale

# The options of `jaxgd.plan` that force each alternative; none for the plan that is chosen.
APART: dict[str, Any] = {"merge": False, "generalize": False}
IN_TURN: dict[str, Any] = {"kind": "map", "width": 1}
PLANS: dict[str, dict[str, Any]] = {
    "chosen": {},
    "apart, one after the other": APART | IN_TURN,
    "a loop for each batch size, one after the other": APART | {"merge": True} | IN_TURN,
    "apart, eight at a time": APART | {"kind": "map", "width": 8},
    "a loop for each batch size, eight at a time": APART | {"merge": True, "kind": "map", "width": 8},
    "apart, at once": APART | {"kind": "vmap"},
    "batch sizes merged by 8, one after the other": APART | {"merge": 8} | IN_TURN,
    "batch sizes merged by 64, one after the other": APART | {"merge": 64} | IN_TURN,
    "batch sizes merged by 64, at once": APART | {"merge": 64, "kind": "vmap"},
    "optimizers merged, one after the other": APART | {"generalize": True} | IN_TURN,
    "both merged, by 64, one after the other": {"merge": 64, "generalize": True} | IN_TURN,
}
NEEDED = {"torch": "torch", "torch.func": "torch", "scikit-learn": "sklearn"}


class Measured(NamedTuple):
    """Seconds, CPU seconds and megabytes of every process and call of a peer, for the whole workload."""

    cold: list[float]
    cold_cpu: list[float]
    warm: list[float]
    warm_cpu: list[float]
    megabytes: list[float]
    losses: dict[str, float]


def compare(workload: str, names: Sequence[str]) -> None:
    """Print what every peer takes for a workload."""
    work = named(workload)
    print(
        f"Workload {workload}: {work.dataset}, {work.examples} examples, layers {work.layers}, batch sizes "
        f"{work.batch_sizes}, {work.optimizers}, {len(work.rates)} rates, {len(work.seeds)} seeds, "
        f"{work.epochs} epochs: {work.num_runs} runs; load {os.getloadavg()[0]:.1f}\n"
    )
    print(
        "| | warm, s | times jaxgd | of CPU, s | cold, s | times jaxgd | of CPU, s | peak, MB | GFLOP/s "
        "| final loss differs by |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    measured = measure(workload, {name: PEERS[name] for name in names})
    ours = measured.get("jaxgd", next(iter(measured.values())))
    warm, cold = statistics.median(ours.warm), statistics.median(ours.cold)
    for name, seen in measured.items():
        seconds, first = statistics.median(seen.warm), statistics.median(seen.cold)
        pairs = [(ours.losses[key], loss) for key, loss in seen.losses.items()]
        differs = max(abs(a - b) / a for a, b in pairs)
        print(
            f"| {PEERS[name].label}{' (scaled)' * PEERS[name].is_slow} | {seconds:.3g} "
            f"| {seconds / warm:.2f} | {statistics.median(seen.warm_cpu):.3g} | {first:.3g} "
            f"| {first / cold:.2f} | {statistics.median(seen.cold_cpu):.3g} | {max(seen.megabytes):.0f} "
            f"| {work.flops / seconds / 1e9:.3g} | {differs:.1e} |",
            flush=True,
        )
    print()


def rate_of_products(workload: str) -> None:
    """Print the GFLOP/s of `jaxgd.sweep` at each batch size beside those of one large matrix product."""
    print("| batch size | warm, s | GFLOP/s | of a matrix product's |\n|---|---|---|---|")
    for size in named(workload).batch_sizes:
        part = f"{workload}:batch_sizes={size}"
        measured = measure(part, {"jaxgd": PEERS["jaxgd"], "product": PRODUCT})
        product = PRODUCT_FLOPS / statistics.median(measured["product"].warm) / 1e9
        seconds = statistics.median(measured["jaxgd"].warm)
        reached = named(part).flops / seconds / 1e9
        print(
            f"| {size} | {seconds:.3g} | {reached:.1f} | {reached / product:.0%} of {product:.0f} |",
            flush=True,
        )
    print()


def compare_plans(workload: str) -> None:
    """Print what `jaxgd.sweep` takes by the plan that it chooses, and by others."""
    work = named(workload)
    lanes = len(work.rates) * len(work.seeds)  # of a batch size and optimizer
    plans = {name: options for name, options in PLANS.items() if options.get("width", 1) <= lanes}
    print(f"Workload {workload}: {work.num_runs} runs; load {os.getloadavg()[0]:.1f}\n")
    print("| plan | cold, s | of CPU, s | warm, s | of CPU, s | chosen / this |\n|---|---|---|---|---|---|")
    measured = measure(
        workload,
        {name: PEERS["jaxgd"]._replace(options={"forced": options}) for name, options in plans.items()},
    )
    totals = []
    for name, seen in measured.items():
        medians = [statistics.median(s) for s in (seen.cold, seen.cold_cpu, seen.warm, seen.warm_cpu)]
        totals.append(medians[0] + medians[2])
        texts = " | ".join(f"{value:.3g}" for value in medians)
        print(f"| {name} | {texts} | {totals[0] / totals[-1]:.2f} |", flush=True)
    print(f"\nThe plan chosen takes {totals[0] / min(totals):.2f} times what the best takes.\n")


def growth(workload: str) -> None:
    """Print seconds and memory of `jaxgd.sweep` at all lanes of a workload and at a tenth of them."""
    print("| lanes | warm, s | ratio | cold, s | peak, MB |\n|---|---|---|---|---|")
    before, num = None, len(named(workload).rates)
    for rates in (num // 10, num):
        part = f"{workload}:rates={rates}"
        seen = measure(part, {"jaxgd": PEERS["jaxgd"]})["jaxgd"]
        seconds = statistics.median(seen.warm)
        ratio = "" if before is None else f"{seconds / before:.1f}"
        print(
            f"| {named(part).num_runs} | {seconds:.3g} | {ratio} | {statistics.median(seen.cold):.3g} "
            f"| {max(seen.megabytes):.0f} |",
            flush=True,
        )
        before = seconds
    print()


def measure(workload: str, peers: dict[str, Peer]) -> dict[str, Measured]:
    """What each peer took: in every round all start cold, one after the other, then take turns warm."""
    work = named(workload)
    measured = {name: Measured([], [], [], [], [], {}) for name in peers}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data.npz")
        prepare(workload, data)
        for _ in range(work.rounds):
            with ExitStack() as stack:
                workers = {
                    name: stack.enter_context(worker_of(peer, part_of(workload, peer), data))
                    for name, peer in peers.items()
                }
                for _ in range(work.calls):
                    for name, worker in workers.items():
                        add_warm(measured[name], worker, factor(workload, peers[name]))
                for name, worker in workers.items():
                    add_cold(measured[name], worker, factor(workload, peers[name]))
    return measured


def part_of(workload: str, peer: Peer) -> str:
    """The name of the part of a workload that a peer runs."""
    return workload + named(workload).few * peer.is_slow


def factor(workload: str, peer: Peer) -> float:
    """How many times the part that a peer runs the whole workload is."""
    return scale(named(workload), named(part_of(workload, peer)))


def add_warm(seen: Measured, worker: Worker, times: float) -> None:
    line = worker.warm()
    seen.warm.append(line["seconds"] * times)
    seen.warm_cpu.append(line["cpu"] * times)
    seen.megabytes.append(line["megabytes"])
    seen.losses.update(line["losses"])


def add_cold(seen: Measured, worker: Worker, times: float) -> None:
    """A part compiles as much as the whole; what the whole runs beyond the part, it runs warm."""
    rest = 1 - 1 / times
    seen.cold.append(worker.cold["seconds"] + statistics.median(seen.warm) * rest)
    seen.cold_cpu.append(worker.cold["cpu"] + statistics.median(seen.warm_cpu) * rest)
