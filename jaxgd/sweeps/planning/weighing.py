"""Forms of a sweep weighed against each other: what merging saves, how many lanes fit, and why."""

import dataclasses
import functools
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.machine.devices import free_bytes
from jaxgd.sweeps.engine.programs import compile_for
from jaxgd.sweeps.groups import Group
from jaxgd.sweeps.lanes import Inputs, Sources
from jaxgd.sweeps.planning.costs import Work, compile_seconds, run_seconds, work_of
from jaxgd.sweeps.planning.forms import (
    Form,
    can_merge,
    families,
    is_fixed,
    largest_batch,
    merged,
    only_group,
    sizes_of,
)
from jaxgd.sweeps.planning.plans import PlannedGroup, Recipe
from jaxgd.sweeps.planning.recipes import default_kind, fitting_lanes, fitting_width, num_bytes
from jaxgd.sweeps.runs import Run
from jaxgd.training.trainers import Trainer

# What merging has to save, as a ratio and in seconds: otherwise a lane has the bits of the run alone.
_GAIN, _SAVED_SECONDS = 1.2, 2.0
# How many cores are at work while XLA compiles one program.
_COMPILING_CORES = 1.5
# Lanes at once that may need more than this part of the free memory are measured before there are many.
_MEASURED_PART = 0.1
# What lanes that move at once have to save of the time that they take in turn.
_LEAST_SAVED = 0.05


class Options(NamedTuple):
    """What of the plan is given, not chosen: see `plan`."""

    merge: int | bool | None = None
    kind: str | None = None
    lanes: int | None = None
    generalize: bool | None = None
    width: int | None = None
    clock: bool = True


# One lane at a time, nothing merged: every run has the bits of the jitted run alone.
EXACT = Options(merge=False, kind="map", lanes=1, generalize=False, width=1)


class Weigher:
    """Weighs forms of a sweep's groups against each other."""

    def __init__(self, devices: Sequence[Any], sources: Sources, options: Options):
        self.devices, self.sources, self.options = devices, sources, options
        self.kind = options.kind or default_kind(devices)
        if options.merge is True and self.kind != "map":
            raise ValueError("merge=True, a loop for each batch size, needs lanes in turn, kind='map'")
        if (options.width or 1) > 1 and self.kind != "map":
            raise ValueError("width, of lanes in turn, needs kind='map'")
        self._works: dict[Any, Work] = {}
        self._texts: dict[int, str] = {}

    def seconds(self, planned: Sequence[PlannedGroup]) -> float:
        """Predicted seconds of a sweep with nothing compiled and of another one after it.

        The cores share compiling and running. What is compiled already does not count: the same sweep has to
        give the same numbers again.
        """
        cores = os.cpu_count() or 1
        compiles = [each.predicted_compile_seconds for each in planned]
        running = sum(each.predicted_run_seconds for each in planned)
        work = _COMPILING_CORES * sum(compiles) + running * len(self.devices)
        cold = max(max(compiles), min(compiles) + running, work / max(cores, len(self.devices)))
        return cold + running

    def best(self, groups: Sequence[Group], is_generalized: bool) -> list[PlannedGroup]:
        """The cheapest form of each family of groups, all together."""
        found = families(groups, is_generalized)
        return [planned for family in found for planned in self._best_of(family, is_generalized)]

    def _best_of(self, family: Sequence[Group], is_generalized: bool) -> list[PlannedGroup]:
        """The groups, which differ in batch size at most, in the cheapest of the forms that are open."""
        sizes, first = sorted(set(map(largest_of_group, family))), family[0].runs[0].trainer
        form = functools.partial(self._form, family, is_generalized)
        if len(sizes) == 1 or not is_fixed(first):
            return _explained(form(False), "nothing to merge")
        if self.options.merge is not None and (isinstance(self.options.merge, bool) or can_merge(first)):
            return _explained(form(self.options.merge), "as asked for")
        # With a loop for each batch size a lane has the bits that it has apart, so nothing speaks against it.
        alike = [form(False), form(True)] if self.kind == "map" else [form(False)]
        forms = alike + [form(size) for size in sizes[:-1] if can_merge(first)]
        times = [self.seconds(each) for each in forms]
        best, least = int(np.argmin(times)), int(np.argmin(times[: len(alike)]))
        best = best if pays(times[least], times[best]) else least
        names = ["apart", "a loop for each batch size", "batch sizes merged"][:: 1 if len(alike) == 2 else 2]
        named = zip(names, [*times[: len(alike)], min(times[len(alike) :], default=math.inf)], strict=True)
        texts = ", ".join(f"{name} {seconds:.2g} s" for name, seconds in named if seconds < math.inf)
        return _explained(forms[best], f"a cold and a warm sweep take {texts}")

    def _form(self, family: Sequence[Group], is_generalized: bool, merge: int | bool) -> list[PlannedGroup]:
        """One program as `merge` says, see `plan`, and each batch size that is not in it in its own."""
        parts: dict[Any, list[Group]] = {}
        for group in family:
            size = largest_of_group(group)
            is_merged = merge is not False and size >= merge
            parts.setdefault("merged" if is_merged else (size, group.structure), []).append(group)
        if is_generalized:  # of one size, all optimizers
            parts = _by_size(parts)
        return [self._planned(part, is_generalized, merge) for part in parts.values()]

    def _planned(self, part: Sequence[Group], is_generalized: bool, merge: int | bool) -> PlannedGroup:
        runs, sizes = [run for group in part for run in group.runs], sorted(set(map(largest_of_group, part)))
        form = Form(is_generalized=is_generalized)
        if len(sizes) > 1 and merge is True:
            form = form._replace(sizes=sizes_of([group.runs[0] for group in part]))
        elif len(sizes) > 1:
            form = form._replace(microbatch=merge)
        if form == Form():
            group = part[0]
        else:  # what is the same in all runs is told from the first and the last of each group
            ends = [run for group in part for run in (group.runs[0], group.runs[-1])]
            group = only_group([merged(run, form) for run in ends])
        inputs = Inputs(group, self.sources)
        work = self._work(group.runs[0])
        lane_bytes = _lane_bytes(inputs)
        lanes = self._lanes(inputs, len(runs), lane_bytes)
        running, width = self._seconds_and_width(part, form, work, lanes)
        recipe = Recipe(
            kind=self.kind,
            lanes=max(width, lanes // width * width),
            devices=len(self.devices),
            microbatch=form.microbatch,
            generalized=form.is_generalized,
            branches=form.sizes is not None,
            width=width,
        )
        if self.kind == "vmap" and self.options.lanes is None:
            recipe = self._measured(recipe, inputs, len(runs), lane_bytes)
        return PlannedGroup(
            optimizer=self._names(part),
            batch_size=", ".join(map(str, sizes)),
            runs=tuple(sorted(run.index for run in runs)),
            recipe=recipe,
            reason="",
            predicted_compile_seconds=compile_seconds(work, form),
            predicted_run_seconds=running,
            predicted_bytes=int(lane_bytes * recipe.lanes + num_bytes(inputs.shared)),
        )

    def _seconds_and_width(
        self, part: Sequence[Group], form: Form, work: Work, lanes: int
    ) -> tuple[float, int]:
        """Predicted seconds of the groups as one program, and how many lanes in turn it moves at once.

        Early stopping and budgets end lanes here and there, so that those beside them would wait. Timing
        updates alone takes a further program, which has to be paid for.
        """
        trainers = [merged(group.runs[0], form).trainer for group in part]
        seconds = functools.partial(self._run_seconds, part, trainers, work)
        if self.options.width is not None:
            return seconds(self.options.width), self.options.width
        width, first = fitting_width(work.bytes), part[0].runs[0].trainer
        is_open = self.kind == "map" and is_fixed(first) and not first.rules and form.microbatch is None
        if not is_open or width > lanes or self.options.lanes is not None:
            return seconds(1), 1
        alone, at_once = seconds(1), seconds(width)
        clock = compile_seconds(work, form) if self.options.clock else 0
        saved = alone - at_once  # in a cold sweep, and again in a warm one
        is_better = saved >= max(clock / 2, _LEAST_SAVED * alone)
        return (at_once, width) if is_better else (alone, 1)

    def _run_seconds(
        self, part: Sequence[Group], trainers: Sequence[Trainer], work: Work, width: int
    ) -> float:
        """Predicted seconds of groups; where a device moves several lanes at once, empty places cost too."""
        total = 0.0
        for group, trainer in zip(part, trainers, strict=True):
            is_generalized = trainer.optimizer is not group.runs[0].trainer.optimizer
            one = run_seconds(work, trainer, self.sources.epochs, is_generalized, width > 1)
            step = width * len(self.devices)
            lanes = len(group.runs) if width == 1 else -(-len(group.runs) // step) * step
            total += lanes * one / len(self.devices)
        return total

    def _names(self, part: Sequence[Group]) -> str:
        """The optimizer's text, or the names of several without their numbers."""
        firsts = [self._text(group.runs[0]) for group in part]
        if all(self._text(run) == firsts[0] for group in part for run in group.runs):
            return firsts[0]
        return ", ".join(dict.fromkeys(text.split("(")[0] for text in firsts))

    def _text(self, run: Run) -> str:
        if run.index not in self._texts:
            self._texts[run.index] = repr(run.trainer.optimizer)
        return self._texts[run.index]

    def _work(self, run: Run) -> Work:
        leaves, structure = jax.tree.flatten(run.trainer.problem)
        key = structure, tuple(map(np.shape, leaves))
        if key not in self._works:
            self._works[key] = work_of(run.trainer, self.sources.shapes(run)[1])
        return self._works[key]

    def _lanes(self, inputs: Inputs, num_lanes: int, lane_bytes: float, fixed: float | None = None) -> int:
        """How many lanes a device holds."""
        fixed = num_bytes(inputs.shared) if fixed is None else fixed
        return self.options.lanes or fitting_lanes(self.kind, num_lanes, self.devices, lane_bytes, fixed)

    def _measured(self, recipe: Recipe, inputs: Inputs, num_lanes: int, lane_bytes: int) -> Recipe:
        """The recipe with as many lanes as compiled programs say, if they may need much of the memory."""
        free = free_bytes(self.devices)
        if not free or recipe.lanes * lane_bytes <= _MEASURED_PART * free:
            return recipe
        return recipe._replace(lanes=self._lanes(inputs, num_lanes, *self._measured_bytes(inputs, recipe)))

    def _measured_bytes(self, inputs: Inputs, recipe: Recipe) -> tuple[float, float]:
        """Bytes of a lane and of what all share, from programs of one lane and of two."""
        one, two = (
            _program_bytes(compile_for(inputs, recipe._replace(lanes=lanes), self.devices))
            for lanes in (1, 2)
        )
        return two - one, max(0, 2 * one - two)


def _explained(form: Sequence[PlannedGroup], reason: str) -> list[PlannedGroup]:
    return [dataclasses.replace(planned, reason=reason) for planned in form]


def _by_size(parts: Mapping[Any, Sequence[Group]]) -> dict[Any, list[Group]]:
    """Parts of one batch size together, whatever their optimizers."""
    together: dict[Any, list[Group]] = {}
    for key, part in parts.items():
        together.setdefault(key if key == "merged" else key[0], []).extend(part)
    return together


def _lane_bytes(inputs: Inputs) -> int:
    """Bytes that a lane needs: inputs, its parameters and states twice over, and an update's temporaries."""
    one = inputs.shapes(1)
    return num_bytes(one) + 7 * num_bytes(one.params)


def _program_bytes(program: Any) -> int:
    """Memory that a program needs on a device."""
    memory = program.memory_analysis()
    kept = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    return kept + memory.temp_size_in_bytes


def pays(apart: float, merged: float) -> bool:
    """Whether merging saves enough."""
    return merged * _GAIN <= apart and merged + _SAVED_SECONDS <= apart


def largest_of_group(group: Group) -> int:
    """Its batch size."""
    return largest_batch(group.runs[0].trainer)
