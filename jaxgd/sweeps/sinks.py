"""Sinks of a sweep: what takes its runs as they end, for the result and for a bar."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxgd.sweeps.blocks import LaneResults
from jaxgd.sweeps.engine.driver import Ended
from jaxgd.sweeps.engine.timed import Timed
from jaxgd.sweeps.planning.plans import Plan, Program
from jaxgd.sweeps.results.dataset import assemble
from jaxgd.sweeps.results.result import SweepResult
from jaxgd.sweeps.runs import Run, measured_in
from jaxgd.training.progress import Progress


class Collected:
    """Results, for a dataset of all of them; at first those that had ended before."""

    def __init__(self, before: Sequence[Ended] = ()):
        self.results: dict[int, LaneResults] = {}
        self.programs: list[Program] = []
        self.seconds_per_update: dict[int, float] = {}
        self.clock_seconds = 0.0
        for ended in before:
            self.take(ended)

    def take(self, ended: Ended) -> None:
        """Keep what ended."""
        self.results.update((run.index, results) for run, results in ended.runs)
        self.programs += [ended.took] if ended.took else []
        self.seconds_per_update.update(ended.seconds_per_update)

    def take_seconds(self, timed: Timed) -> None:
        """Keep what the updates of a program's runs take."""
        self.seconds_per_update.update(timed.per_update)
        self.clock_seconds += timed.took

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
        results = [self.results.get(run.index) for run in runs]
        known, per_update = self.seconds_per_update, None
        if known:
            per_update = [known.get(run.index, math.nan) for run in runs]
        num_examples = runs[0].trainer.problem.num_examples
        dataset = assemble(axes, num_examples, results, per_update, plan, measured_in(runs))
        states = [None if each is None else (each.params, each.model_state) for each in results]
        return SweepResult(dataset, plan, axes, states)


class Shown:
    """A bar that moves on."""

    def __init__(self, bar: Progress):
        self.bar = bar

    def take(self, ended: Ended) -> None:
        """Show how far the sweep is, and the lowest loss."""
        if ended.took is None:
            self.bar.advance(len(ended.runs), ended.examples, _best([results for _, results in ended.runs]))


def _best(results: Sequence[LaneResults]) -> float | None:
    """The lowest loss that a run ended with: on validation data where there are any."""
    name = "valid_loss" if results and "valid_loss" in results[0].history else "train_loss"
    losses = [float(each.history[name][-1]) for each in results]
    return min((loss for loss in losses if loss == loss), default=None)
