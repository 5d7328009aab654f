"""What takes the lanes of a sweep as they end."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxgd.sweeps.engine.driver import Ended
from jaxgd.sweeps.planning.plans import Plan, Program
from jaxgd.sweeps.results.dataset import LaneResults, assemble
from jaxgd.sweeps.results.result import SweepResult
from jaxgd.sweeps.runs import Run
from jaxgd.training.progress import Progress


class Collected:
    """Results, for a dataset of all of them."""

    def __init__(self):
        self.results: dict[int, LaneResults] = {}
        self.programs: list[Program] = []
        self.seconds_per_update: dict[int, float] = {}
        self.clock_seconds = 0.0

    def take(self, ended: Ended) -> None:
        """Keep what ended."""
        self.results.update((run.index, results) for run, results in ended.runs)
        self.programs += [ended.took] if ended.took else []
        self.seconds_per_update.update(ended.seconds_per_update)
        self.clock_seconds += ended.clock_seconds

    def result(
        self, axes: Mapping[str, Sequence[Any]], runs: Sequence[Run], plan: Plan, seconds: float
    ) -> SweepResult:
        """The sweep's result, when every run has ended."""
        plan = dataclasses.replace(
            plan, groups=tuple(self.programs), seconds=seconds, clock_seconds=self.clock_seconds
        )
        results = [self.results[run.index] for run in runs]
        per_update = [self.seconds_per_update[run.index] for run in runs] if self.seconds_per_update else None
        dataset = assemble(axes, runs, results, per_update, plan)
        return SweepResult(dataset, plan, axes, [(each.params, each.model_state) for each in results])


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
