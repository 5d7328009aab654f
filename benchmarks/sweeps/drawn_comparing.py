"""Random specs: what jaxgd.sweep takes beside an expert's vmap and one jitted run after another."""

import itertools
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import drawn
from drawn_workers import drawn_worker, prepare_digits

SIDES = ("jaxgd", "vmap", "scan")
PEERS, WHENS, KINDS = SIDES[1:], ("cold", "warm"), ("compile", "run")
CALLS = 3  # warm calls of a process, of which the quickest counts


class Turn(NamedTuple):
    """What each side took in one turn: the line of its first call, and of its quickest further one."""

    cold: Mapping[str, Mapping[str, Any]]
    warm: Mapping[str, Mapping[str, Any]]

    def ratio(self, peer: str, when: str) -> float:
        """A peer's seconds by jaxgd's, cold or warm."""
        lines = getattr(self, when)
        return lines[peer]["seconds"] / lines["jaxgd"]["seconds"]

    def foretold(self, kind: str) -> float:
        """Predicted seconds by those taken, to compile (cold) or to run (warm)."""
        plan = (self.cold if kind == "compile" else self.warm)["jaxgd"]["plan"]
        return plan[f"predicted_{kind}_seconds"] / plan[f"{kind}_seconds"]


def compare_drawn(seed: int, num: int, turns: int) -> None:
    """Print a row for each of the first specs of a seed, and their geometric means."""
    print(f"Seed {seed}, {turns} turns; load {os.getloadavg()[0]:.1f}\n\n" + "\n".join(_head()), flush=True)
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        digits = Path(folder, "digits.npz")
        prepare_digits(digits)
        for number, spec in enumerate(itertools.islice(drawn.draw(seed), num), 1):
            measured.append([_turn(spec, digits, turn, f"spec {number}/{num}") for turn in range(turns)])
            print(_row(f"{number}. {spec}", spec, measured[-1]), flush=True)
    print(_means(measured) + "\n", flush=True)


def _turn(spec: drawn.Spec, digits: Path, number: int, text: str) -> Turn:
    """One turn: all sides start cold, then are called in turns; every other turn in the opposite order."""
    print(f"{text}, turn {number + 1}", file=sys.stderr, flush=True)
    order = SIDES if number % 2 == 0 else SIDES[::-1]
    with ExitStack() as stack:
        workers = {side: stack.enter_context(drawn_worker(side, spec, digits)) for side in order}
        calls = [{side: worker.warm() for side, worker in workers.items()} for _ in range(CALLS)]
    warm = {side: min((call[side] for call in calls), key=lambda line: line["seconds"]) for side in SIDES}
    return Turn({side: worker.cold for side, worker in workers.items()}, warm)


def _head() -> list[str]:
    ratios = [f"{peer} / jaxgd, {when}" for peer in PEERS for when in WHENS]
    phases = [f"jaxgd {when}: host, compile, program, clock, %" for when in WHENS]
    titles = ["spec", "lanes", "jaxgd cold, s", "warm, s", *ratios, *phases]
    titles += [*(f"{kind}: predicted / taken" for kind in KINDS), "loss differs by"]
    return ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]


def _row(name: str, spec: drawn.Spec, turns: Sequence[Turn]) -> str:
    cells = [name, str(spec.num_lanes)]
    for when in WHENS:
        cells.append(f"{statistics.median(getattr(turn, when)['jaxgd']['seconds'] for turn in turns):.3g}")
    for peer, when in itertools.product(PEERS, WHENS):
        ratios = [turn.ratio(peer, when) for turn in turns]
        cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    cells += [_phases([getattr(turn, when)["jaxgd"]["phases"] for turn in turns]) for when in WHENS]
    cells += [f"{statistics.median(turn.foretold(kind) for turn in turns):.2f}" for kind in KINDS]
    return "| " + " | ".join([*cells, f"{_difference(turns[0]):.0e}"]) + " |"


def _phases(phases: Sequence[Mapping[str, float]]) -> str:
    """Parts of the seconds, over all turns."""
    total = sum(sum(each.values()) for each in phases)
    names = ("host", "compile", "program", "clock")
    return ", ".join(f"{sum(each[name] for each in phases) / total:.0%}"[:-1] for name in names)


def _difference(turn: Turn) -> float:
    """By what part the validation losses after an epoch differ from vmap's, the median of the runs."""
    pairs = zip(turn.cold["jaxgd"]["losses"], turn.cold["vmap"]["losses"], strict=True)
    return statistics.median(abs(ours - theirs) / theirs for ours, theirs in pairs if math.isfinite(ours))


def _means(measured: Sequence[Sequence[Turn]]) -> str:
    """The geometric means over specs; of predictions, how far they are off in either direction."""
    cells = ["geometric mean (lowest, highest)", "", "", ""]
    for peer, when in itertools.product(PEERS, WHENS):
        ratios = [statistics.median(turn.ratio(peer, when) for turn in turns) for turns in measured]
        cells.append(f"{_geometric(ratios):.2f} ({min(ratios):.2f}, {max(ratios):.2f})")
    cells += ["", ""]
    for kind in KINDS:
        ratios = [statistics.median(turn.foretold(kind) for turn in turns) for turns in measured]
        cells.append(f"{_geometric(ratios):.2f}, off by {_geometric(max(r, 1 / r) for r in ratios):.2f}")
    return "| " + " | ".join([*cells, ""]) + " |"


def _geometric(ratios: Iterable[float]) -> float:
    return statistics.geometric_mean(ratios)
