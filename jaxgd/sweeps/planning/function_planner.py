"""The planner of a person's own function: how many runs a device holds, and how many move at once."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from jaxgd.machine.devices import free_bytes
from jaxgd.sweeps.functions.whole_lanes import FunctionInputs
from jaxgd.sweeps.groups import Group, group_runs
from jaxgd.sweeps.lanes.sources import Sources
from jaxgd.sweeps.planning.constants import core_of
from jaxgd.sweeps.planning.costs import default_kind, fitting_lanes, num_bytes
from jaxgd.sweeps.planning.function_costs import (
    FunctionWork,
    function_compile_seconds,
    function_seconds,
    function_work,
)
from jaxgd.sweeps.planning.planner import Measure, Options, Planned, with_groups
from jaxgd.sweeps.planning.plans import Program, Recipe
from jaxgd.sweeps.runs import Run


class FunctionPlanner:
    """Chooses the programs of a sweep of a function: one for each structure, since nothing can be merged.

    measure: bytes that a compiled program needs, asked where lanes move at once on a device whose memory is
    known; infinite for one that does not fit.
    """

    def __init__(self, devices: Sequence[Any], sources: Sources, measure: Measure, options: Options):
        self.devices, self.sources, self.measure, self.options = devices, sources, measure, options
        self.core = core_of(devices)
        self.plain = Recipe(options.kind or default_kind(devices), 1, len(devices))

    def choose(self, runs: Sequence[Run]) -> Planned:
        """The programs, the longest first, so that others compile while they run."""
        groups = group_runs(runs)
        chosen = sorted(map(self._program, groups), key=lambda each: -each.predicted_run_seconds)
        return with_groups(chosen, runs, {tuple(run.index for run in group.runs): group for group in groups})

    def _program(self, group: Group) -> Program:
        inputs, num = FunctionInputs(group, self.sources), len(group.runs)
        work = function_work(inputs.traced)
        recipe = self.plain._replace(devices=min(self.plain.devices, num))
        lane_bytes = num_bytes(inputs.shapes(1)) + work.returned
        if recipe.kind == "vmap":
            lane_bytes, recipe, reason = self._at_once(inputs, recipe, work, lane_bytes, num)
        else:
            lanes = self._lanes(recipe, num, lane_bytes, 0)
            width, reason = self._width(work, recipe, lanes, num)
            recipe = recipe._replace(lanes=max(width, lanes // width * width), width=width)
        rounds = -(-num // (recipe.devices * recipe.width)) * recipe.width
        return Program(
            optimizer=repr(group.first),
            batch_size="",
            runs=tuple(run.index for run in group.runs),
            recipe=recipe,
            reason=reason,
            predicted_compile_seconds=function_compile_seconds(work, self.core),
            predicted_run_seconds=rounds * function_seconds(work, recipe.width, self.core),
            predicted_bytes=int(lane_bytes * recipe.lanes),
        )

    def _lanes(self, recipe: Recipe, num: int, lane_bytes: float, fixed: float) -> int:
        """How many lanes a device holds."""
        given = self.options.lanes
        return given or fitting_lanes(recipe.kind, num, self.devices, lane_bytes, fixed, self.core)

    def _width(self, work: FunctionWork, recipe: Recipe, lanes: int, num: int) -> tuple[int, str]:
        """How many lanes in turn move at once, and why."""
        if self.options.width is not None:
            return self.options.width, "as asked for"
        if work.has_branches:
            return 1, "it has branches of its own"

        def seconds(width):
            together = -(-num // (width * recipe.devices)) * width
            return together * function_seconds(work, width, self.core)

        best = min(self._open_widths(work, lanes), key=seconds)
        if seconds(1) - seconds(best) < self.core.width_saved * seconds(1):
            return 1, "several at a time would take no less"
        return best, f"a device takes {seconds(1):.2g} s one by one, {seconds(best):.2g} s {best} at a time"

    def _open_widths(self, work: FunctionWork, lanes: int) -> Iterator[int]:
        """Powers of two, as long as what the lanes' loops carry stays in the cache."""
        most = min(self.core.width, lanes, max(1, int(self.core.width_bytes / max(work.carried, 1))))
        return (2**power for power in range(most.bit_length()))

    def _at_once(
        self, inputs: FunctionInputs, recipe: Recipe, work: FunctionWork, lane_bytes: float, num: int
    ) -> tuple[float, Recipe, str]:
        """Bytes of a lane, the recipe of all lanes that fit at once, and why so many.

        What the loops within take nobody can tell from shapes: programs of one lane and of two are compiled.
        """
        lanes, fixed, reason = self._lanes(recipe, num, lane_bytes + work.carried, 0), 0.0, "from shapes"
        if free_bytes(self.devices) and lanes > 1 and self.options.lanes is None:
            one, two = (self.measure(inputs, recipe._replace(lanes=count)) for count in (1, 2))
            reason = "as many as fit, by programs of one lane and two"
            if math.isinf(two):
                return one, recipe, reason
            lane_bytes, fixed = two - one, max(0.0, 2 * one - two)
            lanes = self._lanes(recipe, num, lane_bytes, fixed)
        return lane_bytes, recipe._replace(lanes=lanes), reason
