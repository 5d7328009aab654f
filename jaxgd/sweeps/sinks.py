"""Sinks of a sweep: what takes its runs as they end, for the result and for a bar."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxgd.sweeps.blocks import Block, states_of
from jaxgd.sweeps.engine.driver import Ended
from jaxgd.sweeps.engine.timed import UpdateSeconds
from jaxgd.sweeps.planning.plans import Plan, Program
from jaxgd.sweeps.results.dataset import assemble
from jaxgd.sweeps.results.result import SweepResult
from jaxgd.sweeps.runs import Run, measured_in
from jaxgd.training.progress import Progress


class Collected:
    """Results, for a dataset of all of so many runs; at first those that had ended before.

    Attributes:
        blocks: the runs that have ended.
        has_ended: bool[runs], by their places.
    """

    def __init__(self, before: Sequence[Ended], num_runs: int):
        self.blocks: list[Block] = []
        self.has_ended = np.zeros(num_runs, bool)
        self.programs: list[Program] = []
        self.seconds_per_update: dict[int, float] = {}
        self.clock_seconds = 0.0
        for ended in before:
            self.take(ended)

    def take(self, ended: Ended) -> None:
        """Keep what ended."""
        if ended.block is not None:
            self.blocks.append(ended.block)
            self.has_ended[ended.block.places] = True
        self.programs += [ended.took] if ended.took else []
        self.seconds_per_update.update(ended.seconds_per_update)

    def take_seconds(self, timed: UpdateSeconds) -> None:
        """Keep what the updates of a program's runs take."""
        self.seconds_per_update.update(timed.per_update)
        self.clock_seconds += timed.took

    def with_status(self, code: int) -> np.ndarray:
        """The places of runs that have ended so, in order."""
        found = [block.places[block.status == code] for block in self.blocks]
        return np.sort(np.concatenate(found)) if found else np.zeros(0, int)

    def plan(self, followed: Plan, seconds: float) -> Plan:
        """The plan that was followed, with what its programs took; those that have not ended come last."""
        done = {run for program in self.programs for run in program.runs}
        left = [tuple(run for run in program.runs if run not in done) for program in followed.groups]
        pairs = zip(followed.groups, left, strict=True)
        rest = [dataclasses.replace(program, runs=runs) for program, runs in pairs if runs]
        groups = (*self.programs, *rest)
        return dataclasses.replace(followed, groups=groups, seconds=seconds, clock_seconds=self.clock_seconds)

    def result(self, axes: Mapping[str, Sequence[Any]], runs: Sequence[Run], plan: Plan) -> SweepResult:
        """The sweep's result; runs that have not ended are not run."""
        known, per_update = self.seconds_per_update, None
        if known:
            per_update = [known.get(run.index, math.nan) for run in runs]
        num_examples = runs[0].num_examples
        dataset = assemble(axes, num_examples, self.blocks, per_update, plan, measured_in(runs))
        return SweepResult(dataset, plan, axes, states_of(self.blocks, len(runs)))


class Shown:
    """A bar that moves on."""

    def __init__(self, bar: Progress):
        self.bar = bar

    def take(self, ended: Ended) -> None:
        """Show how far the sweep is, and the lowest loss."""
        if ended.took is None:
            num, best = (0, None) if ended.block is None else (len(ended.block), _best(ended.block))
            self.bar.advance(num, ended.examples, best)


def _best(block: Block) -> float | None:
    """The lowest loss that a run ended with: on validation data where there are any."""
    name = next((name for name in ("valid_loss", "train_loss") if name in block.history), None)
    losses = np.zeros(0) if name is None else block.history[name][:, -1]
    losses = losses[~np.isnan(losses)]
    return float(losses.min()) if losses.size else None
