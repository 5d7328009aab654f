"""The planner: which runs share a program, how many lanes a device holds, and why."""

import collections
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.arguments import as_integer, one_of, whole_number, whole_number_or_none
from jaxgd.machine.devices import device_name, free_bytes
from jaxgd.machine.host import num_cores, versions
from jaxgd.machine.kept import Kept
from jaxgd.optim.generalized import can_generalize, generalize
from jaxgd.pytrees import Static, shape_of
from jaxgd.sweeps.cohorts import Cohort, LeafColumn, Row, cohorts_of
from jaxgd.sweeps.groups import Group, group_runs, largest_batch, only_group, warn_of_closures
from jaxgd.sweeps.lanes.inputs import Inputs
from jaxgd.sweeps.lanes.sources import Sources
from jaxgd.sweeps.planning.constants import core_of
from jaxgd.sweeps.planning.costs import (
    Work,
    compile_seconds,
    default_kind,
    fitting_lanes,
    fitting_width,
    num_bytes,
    pays,
    run_seconds,
    step_bytes,
    work_of,
)
from jaxgd.sweeps.planning.plans import Plan, Program, Recipe
from jaxgd.sweeps.runs import Run
from jaxgd.training.trainers import OneOf, Trainer

# Bytes that a program of these inputs needs on a device.
Measure = Callable[[Inputs, Recipe], float]
Planned = list[tuple[Group, Program]]
# The work of problems, by structure and shapes.
_WORKS = Kept()
# Programs that were chosen, of so many runs, by all that they were chosen by; those of more bytes depend on
# what is free.
_CHOSEN = Kept(2**17, lambda chosen: sum(len(program.runs) for program in chosen))
_KEPT_BYTES = 2**26


class Options(NamedTuple):
    """What of a plan is given, not chosen: see `plan`."""

    merge: int | bool | None = None
    kind: str | None = None
    lanes: int | None = None
    generalize: bool | None = None
    width: int | None = None


# Where fewer convolutions than these would fit side by side, they have so many channels that none is quicker.
_FEW_CONVS = 4

# One lane at a time, nothing merged: every run has the bits of the jitted run alone.
EXACT = Options(merge=False, kind="map", lanes=1, generalize=False, width=1)


def checked_options(merge: Any, kind: Any, lanes: Any, width: Any, generalize: Any, exact: bool) -> Options:
    """The options of a plan.

    Raises:
        ValueError, TypeError: one is out of range, or contradicts `exact`.
    """
    if merge is not None and not isinstance(merge, bool):
        if as_integer(merge) is None:
            raise TypeError(f"merge must be None, True, False or a number of examples, got {merge!r}")
        merge = whole_number("merge", merge, unit=" of examples")
    if kind is not None:
        one_of("kind", kind, ("map", "vmap"))
    lanes, width = whole_number_or_none("lanes", lanes), whole_number_or_none("width", width)
    if (width or 1) > 1 and (kind == "vmap" or (lanes or width) % width):
        raise ValueError(
            f"width must divide lanes, of kind 'map', got width={width}, lanes={lanes}, kind={kind!r}"
        )
    if exact and (merge or kind == "vmap" or generalize or not {lanes, width} <= {None, 1}):
        raise ValueError(
            "exact=True runs one lane at a time, unmerged: it takes no other merge, kind, lanes or width"
        )
    return EXACT if exact else Options(merge, kind, lanes, generalize, width)


def plan_of(
    planned: Planned, num_runs: int, epochs: int, devices: Sequence[Any], followed: Plan | None = None
) -> Plan:
    """The plan that these programs are; `followed` is the one that they were taken from, if any."""
    programs = tuple(program for _, program in planned)
    constants = core_of(devices)._asdict() if followed is None else followed.constants
    return Plan(programs, epochs, device_name(devices), versions(), num_runs, constants=constants)


def replay(saved: Plan, runs: Sequence[Run], devices: Sequence[Any]) -> Planned:
    """The programs of a saved plan with the groups that these runs make.

    Raises:
        ValueError: the plan is one of other runs or of other devices.
    """
    if sorted(index for program in saved.groups for index in program.runs) != list(range(len(runs))):
        raise ValueError(f"plan is one of {saved.num_runs} runs, the sweep has {len(runs)}")
    if any(not _is_for(program, devices) for program in saved.groups):
        raise ValueError(f"plan is one for {saved.device}, the sweep would run on {device_name(devices)}")
    return with_groups(saved.groups, runs)


def _is_for(program: Program, devices: Sequence[Any]) -> bool:
    """Whether a program uses all of these devices, as many as it has runs, or one, as a worker's does."""
    num = program.recipe.devices
    return num in (1, len(devices)) or len(program.runs) <= num < len(devices)


def with_groups(
    programs: Sequence[Program],
    runs: Sequence[Run],
    made: Mapping[tuple[int, ...], Group] = MappingProxyType({}),
) -> Planned:
    """Each program with its group; `made` are those of the runs as they are, by their places."""
    by_index = {run.index: run for run in runs}

    def group_of(program):
        if not program.recipe.is_merged and program.runs in made:
            return made[program.runs]
        return only_group(merged([by_index[index] for index in program.runs], program.recipe))

    return [(group_of(program), program) for program in programs]


class Planner:
    """Chooses the programs of a sweep.

    measure: bytes that a compiled program needs, asked where lanes at once may not fit; infinite for one that
    does not.

    Attributes:
        core: the constants of the machine, measured ones where there are any.
    """

    def __init__(self, devices: Sequence[Any], sources: Sources, measure: Measure, options: Options):
        self.devices, self.sources, self.measure, self.options = devices, sources, measure, options
        self.core = core_of(devices)
        kind = options.kind or default_kind(devices)
        if options.merge is True and kind != "map":
            raise ValueError("merge=True, a loop for each batch size, needs lanes in turn, kind='map'")
        if (options.width or 1) > 1 and kind != "map":
            raise ValueError("width, of lanes in turn, needs kind='map'")
        self.plain = Recipe(kind, 1, len(devices))

    def choose(self, runs: Sequence[Run]) -> Planned:
        """The programs, the longest first, so that others compile while they run."""
        groups = group_runs(runs)
        warn_of_closures(groups)
        chosen = self._chosen(groups) if any(run.start for run in runs) else self._chosen_before(groups)
        made = {tuple(run.index for run in group.runs): group for group in groups}
        return with_groups(chosen, runs, made)

    def _chosen_before(self, groups: Sequence[Group]) -> list[Program]:
        """The programs of earlier groups that differ in the optimizers' numbers at most; else chosen now."""
        key = self._key(groups)
        if alike := _CHOSEN.find(key):
            return [self._renamed(each, groups) for each in alike]
        chosen = self._chosen(groups)
        if max(each.predicted_bytes for each in chosen) <= _KEPT_BYTES:
            _CHOSEN.put(key, chosen)
        return chosen

    def _key(self, groups: Sequence[Group]) -> Any:
        """What programs are chosen by: everything but the numbers of optimizers."""
        parts = tuple(
            (
                group.cohort.key,
                tuple(group.shared),
                tuple((run.index, run.seed) for run in group.runs),
                None if is_fixed(group.first) else tuple(group.batch_sizes),
            )
            for group in groups
        )
        machine = (*self.devices, self.core, num_cores(), jax.dtypes.canonicalize_dtype(float))
        return parts, self.plain, self.options, self.sources.epochs, self.sources.max_orders, machine

    def _renamed(self, program: Program, groups: Sequence[Group]) -> Program:
        """A program of earlier runs with the optimizers of these."""
        runs = frozenset(program.runs)
        part = [group for group in groups if group.runs[0].index in runs]
        return dataclasses.replace(program, optimizer=self._names(part))

    def _chosen(self, groups: Sequence[Group]) -> list[Program]:
        """The programs of these groups, the longest first."""
        options = self.options
        chosen = self._best(groups, self.plain)
        is_open = options.generalize is not False and len(groups) > len(set(map(_size, groups)))
        # Merged optimizers have states of their own, which no start fits.
        is_family = all(can_generalize(each.first.optimizer) and not each.runs[0].start for each in groups)
        if options.generalize and not is_family:
            raise ValueError(
                "generalize=True needs optimizers of the family, without masks or dtypes of their own, "
                "and runs without a start"
            )
        if options.generalize or (is_open and is_family):
            together = self._best(groups, self.plain._replace(generalized=True))
            apart, merging = self._seconds(chosen), self._seconds(together)
            if options.generalize or pays(apart, merging, self.core):
                both = _seconds_text(apart), _seconds_text(merging)
                why = "; {} with optimizers apart, {} with them merged".format(*both)
                chosen = [dataclasses.replace(each, reason=each.reason + why) for each in together]
        return sorted(chosen, key=lambda program: program.predicted_run_seconds, reverse=True)

    def _seconds(self, programs: Sequence[Program]) -> float:
        """Predicted seconds of a sweep with nothing compiled and of another one after it.

        The cores share compiling and running. What is compiled already does not count: the same sweep has to
        give the same numbers again. Such as two programs that compile in 2 s and run in 1 s each, on two
        devices of two cores: the work is 1.5 * 4 + 2 * 2 = 10 s of a core, 5 s on two; no less than the
        longest compile, 2 s, nor than a compile and all runs, 4 s. So 5 s cold, 2 s warm: 7 s.
        """
        compiles = [each.predicted_compile_seconds for each in programs]
        running = sum(each.predicted_run_seconds for each in programs)
        busy = sum(each.predicted_run_seconds * each.recipe.devices for each in programs)
        work = self.core.compiling * sum(compiles) + busy
        cores = max(num_cores(), len(self.devices))
        return max(max(compiles), min(compiles) + running, work / cores) + running

    def _best(self, groups: Sequence[Group], recipe: Recipe) -> list[Program]:
        """The cheapest form of each family of groups, all together."""
        return [each for family in families(groups, recipe) for each in self._best_of(family, recipe)]

    def _best_of(self, family: Sequence[Group], recipe: Recipe) -> list[Program]:
        """The groups, which differ in batch size at most, in the cheapest of the forms that are open."""
        sizes, first, asked = sorted(set(map(_size, family))), family[0].first, self.options.merge
        form = functools.partial(self._form, family, recipe)
        if len(sizes) == 1 or not is_fixed(first):
            return _explained(form(False), "nothing to merge")
        if asked is not None and (isinstance(asked, bool) or can_merge(first)):
            return _explained(form(asked), "as asked for")
        # With a loop for each batch size a lane has the bits that it has apart, so nothing speaks against it.
        alike = [("apart", form(False))]
        if recipe.kind == "map":
            alike.append(("with a loop for each batch size", form(True)))
        others = [("with batch sizes merged", form(size)) for size in sizes[:-1] if can_merge(first)]
        timed = [(self._seconds(programs), name, programs) for name, programs in alike + others]
        by_seconds = functools.partial(min, key=lambda each: each[0])
        best, safe = by_seconds(timed), by_seconds(timed[: len(alike)])
        best = best if pays(safe[0], best[0], self.core) else safe
        least = {name: by_seconds([e for e in timed if e[1] == name])[0] for _, name, _ in timed}
        texts = ", ".join(f"{_seconds_text(seconds)} {name}" for name, seconds in least.items())
        return _explained(best[2], f"a cold sweep and a warm one together: {texts}")

    def _form(self, family: Sequence[Group], recipe: Recipe, merge: int | bool) -> list[Program]:
        """One program as `merge` says, see `plan`, and each batch size that is not in it in its own."""
        parts: dict[Any, list[Group]] = {}
        for group in family:
            size = _size(group)
            key = size if recipe.generalized else (size, group.structure)
            parts.setdefault("merged" if merge is not False and size >= merge else key, []).append(group)
        return [self._program(part, recipe, merge) for part in parts.values()]

    def _program(self, part: Sequence[Group], recipe: Recipe, merge: int | bool) -> Program:
        sizes = sorted(set(map(_size, part)))
        if len(sizes) > 1:
            recipe = (
                recipe._replace(branches=True) if merge is True else recipe._replace(microbatch=int(merge))
            )
        # What is the same in all runs is told from the first and the last of each group.
        ends = [run for group in part for run in (group.runs[0], group.runs[-1])]
        group = only_group(merged(ends, recipe)) if recipe.is_merged else part[0]
        runs = [run for group in part for run in group.runs]
        recipe = recipe._replace(devices=min(recipe.devices, len(runs)))
        inputs, work = Inputs(group, self.sources), self._work(group.runs[0])
        lane_bytes = _lane_bytes(inputs)
        if recipe.kind == "vmap":  # in turn, there is one step's memory for all lanes
            lane_bytes += int(step_bytes(work, part[0].first, recipe.microbatch))
        lanes = self._lanes(inputs, len(runs), lane_bytes, num_bytes(inputs.shared))
        compiling = compile_seconds(work, recipe, len(sizes) if recipe.branches else 1, self.core)
        running, width = self._seconds_and_width(part, recipe, work, lanes)
        recipe = recipe._replace(lanes=max(width, lanes // width * width), width=width)
        if recipe.kind == "vmap" and self.options.lanes is None:
            recipe = self._measured(recipe, inputs, len(runs), lane_bytes)
        recipe = self._sharing(part, recipe)
        return Program(
            optimizer=self._names(part),
            batch_size=", ".join(map(str, sizes)),
            runs=tuple(sorted(run.index for run in runs)),
            recipe=recipe,
            reason="",
            predicted_compile_seconds=compiling,
            predicted_run_seconds=running,
            predicted_bytes=int(lane_bytes * recipe.lanes + num_bytes(inputs.shared)),
        )

    def _sharing(self, part: Sequence[Group], recipe: Recipe) -> Recipe:
        """The recipe, with lanes of one seed side by side where they can share their batches.

        40 rates of each of 16 seeds: lanes in eights share them, and of 60 lanes at once each 20. No place is
        left empty: a width that they do not come out even with stays what it is, or becomes less.
        """
        if recipe.is_alone:
            return recipe
        alike = _alike(part, recipe)
        width = math.gcd(alike, recipe.lanes)
        if recipe.kind == "map":
            width = _sharing_width(alike, recipe.width)
            if width < recipe.width and self.options.width is not None:
                return recipe
        if width == 1:
            return recipe
        return recipe._replace(lanes=recipe.lanes // width * width, width=width, shares_batches=True)

    def _seconds_and_width(
        self, part: Sequence[Group], recipe: Recipe, work: Work, lanes: int
    ) -> tuple[float, int]:
        """Predicted seconds of the groups as one program, and how many lanes in turn it moves at once.

        Convolutions of several lanes at once take no less time than one after the other, and twice as long to
        compile: but for those of shared batches, which are one of more channels. Early stopping and budgets
        end lanes here and there, so that those beside them would wait.
        """
        trainers = [run.trainer for run in merged([group.runs[0] for group in part], recipe)]
        seconds = functools.partial(self._run_seconds, part, trainers, recipe, work)
        if self.options.width is not None:
            return seconds(self.options.width), self.options.width
        alone = seconds(1), 1
        if recipe.kind != "map" or not _is_plain(part[0].first, recipe) or self.options.lanes is not None:
            return alone
        timed = [
            (seconds(width, sharing), width)
            for width, sharing in self._open_widths(part, recipe, work)
            if 1 < width <= lanes
        ]
        best = min(timed, default=alone)
        return best if alone[0] - best[0] >= self.core.width_saved * alone[0] else alone

    def _open_widths(self, part: Sequence[Group], recipe: Recipe, work: Work) -> Iterator[tuple[int, int]]:
        """How many lanes could move at once, and how many of them would share their batches.

        Such as 2 rates of 20 seeds on two devices: 16, of which the second call of each device would have 12
        places for nothing; and 2, which share their batches, where there are as many lanes as 16 on each. Not
        10, which leave none empty: a sweep of other seeds would be another program.
        """
        most, alike = fitting_width(work, self.core), _alike(part, recipe)
        sharing = _largest_part(alike, most)
        if not work.convs:
            yield most, _sharing_width(alike, most)
            if min(len(group.runs) for group in part) >= most * recipe.devices:
                yield sharing, sharing
        elif work.convs == 1 and most >= _FEW_CONVS:
            yield sharing, sharing

    def _run_seconds(
        self,
        part: Sequence[Group],
        trainers: Sequence[Any],
        recipe: Recipe,
        work: Work,
        width: int,
        sharing: int = 1,
    ) -> float:
        """Predicted seconds of groups; where a device moves several lanes at once, empty places cost too.

        Such as 20 lanes in eights on two devices: each call of a device moves 8, so 32 places are paid for.
        Of 3 lanes one after the other, a device moves 2.
        """
        width = sharing if sharing > 1 else width
        total, lanes, step = 0.0, 0, width * recipe.devices
        for group, trainer in zip(part, trainers, strict=True):
            num = len(group.runs) if width == 1 else -(-len(group.runs) // step) * step
            one = run_seconds(work, trainer, self.sources.epochs, recipe, width, sharing, self.core)
            total, lanes = total + num * one, lanes + num
        return total / lanes * -(-lanes // recipe.devices)

    def _names(self, part: Sequence[Group]) -> str:
        """The optimizer's text, or the names of several without their numbers."""
        firsts = [repr(group.first.optimizer) for group in part]
        others = (text for group in part for text in _later_texts(group.cohort))
        if all(text == firsts[0] for text in itertools.chain(firsts[1:], others)):
            return firsts[0]
        return ", ".join(dict.fromkeys(text.split("(")[0] for text in firsts))

    def _work(self, run: Run) -> Work:
        trainer, params = run.trainer, self.sources.shapes(run)[1]
        key = shape_of((trainer.problem, trainer.optimizer, params))
        return _WORKS.get(key, lambda: work_of(trainer, params))

    def _lanes(self, inputs: Inputs, num_lanes: int, lane_bytes: float, fixed: float) -> int:
        """How many lanes a device holds."""
        kind = self.plain.kind
        return self.options.lanes or fitting_lanes(
            kind, num_lanes, self.devices, lane_bytes, fixed, self.core
        )

    def _measured(self, recipe: Recipe, inputs: Inputs, num_lanes: int, lane_bytes: int) -> Recipe:
        """The recipe with as many lanes as programs of one lane and of two say, if memory may be short."""
        free = free_bytes(self.devices)
        if not free or recipe.lanes * lane_bytes <= self.core.measured * free:
            return recipe
        one, two = (self.measure(inputs, recipe._replace(lanes=lanes)) for lanes in (1, 2))
        if math.isinf(two):
            return recipe._replace(lanes=1)
        return recipe._replace(lanes=self._lanes(inputs, num_lanes, two - one, max(0, 2 * one - two)))


def _is_plain(first: Trainer, recipe: Recipe) -> bool:
    """Whether each step of such a trainer is an update by so many examples, until the last epoch ends."""
    return is_fixed(first) and not first.rules and recipe.microbatch is None


def _alike(part: Sequence[Group], recipe: Recipe) -> int:
    """How many lanes of one seed can share their batches with none left over; 1 if none can."""
    first = part[0].first
    if not _is_plain(first, recipe) or first.order_sampling == "sequential":
        return 1
    counts = collections.Counter((place, run.seed) for place, group in enumerate(part) for run in group.runs)
    return math.gcd(*counts.values())


def _sharing_width(alike: int, most: int) -> int:
    """How many lanes in turn share their batches where so many at most move at once; 1 if too few would."""
    width = _largest_part(alike, most)
    return width if width >= most / 4 else 1


def _largest_part(number: int, most: int) -> int:
    """The largest of its parts that leaves nothing over and is no larger than the other number."""
    return max(n for n in range(1, most + 1) if number % n == 0)


def _explained(programs: Sequence[Program], reason: str) -> list[Program]:
    return [dataclasses.replace(program, reason=reason) for program in programs]


def _seconds_text(seconds: float) -> str:
    """Such as "1.7 s" and "160 s"."""
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _lane_bytes(inputs: Inputs) -> int:
    """Bytes that a lane needs: inputs, its parameters and states twice over, and an update's temporaries."""
    one = inputs.shapes(1)
    return num_bytes(one) + 7 * num_bytes(one.params)


def _size(group: Group) -> int:
    """The group's batch size."""
    return largest_batch(group.first)


def is_fixed(trainer: Trainer) -> bool:
    """Whether the batch size is structure."""
    return isinstance(trainer.batch_size, Static) and not trainer.has_schedule


def can_merge(trainer: Trainer) -> bool:
    """Whether the batch size could be a number: not where a batch is more than its examples, or is split."""
    free = not trainer.problem.coupled.value and trainer.problem.augment is None
    is_whole = trainer.microbatch.value is None and trainer.batch_spec.value is None
    return is_fixed(trainer) and free and is_whole


def merged(runs: Sequence[Run], recipe: Recipe) -> list[Run]:
    """The runs as a recipe wants them: their batch sizes numbers, or each one of several; one optimizer."""
    sizes = sizes_of(runs) if recipe.branches else None
    rows, members = [run.row for run in runs], collections.defaultdict(list)
    for position, row in enumerate(rows):
        members[id(row.cohort)].append(position)
    made = list(runs)
    for positions in members.values():
        cohort = rows[positions[0]].cohort.take([rows[position].place for position in positions])
        cohort = _merged_cohort(cohort, recipe, sizes)
        for place, position in enumerate(positions):
            made[position] = runs[position]._replace(made=Row(cohort, place))
    return made


def _merged_cohort(cohort: Cohort, recipe: Recipe, sizes: tuple[Any, ...] | None) -> Cohort:
    """What `_merged` makes of each trainer of a cohort."""
    changes: dict[str, Any] = jax.tree.map(
        lambda leaf: LeafColumn.constant(leaf, cohort.length), _batches(cohort.first, recipe, sizes)
    )
    if recipe.generalized:
        changes["optimizer"] = _generalized(cohort)
    columns, structure = jax.tree.flatten(dataclasses.replace(cohort.whole, **changes))
    return Cohort(structure, columns, cohort.length)


def _generalized(cohort: Cohort) -> Any:
    """The merged optimizers of a cohort's trainers, each made once, as a tree of columns."""
    rows, places = cohort.distinct(lambda trainer: trainer.optimizer)
    made = [jax.tree.flatten(generalize(cohort.tree(row).optimizer)) for row in rows.tolist()]
    return Cohort.of(made[0][1], [leaves for leaves, _ in made]).take(places.tolist()).whole


def _merged(trainer: Trainer, recipe: Recipe, sizes: tuple[Any, ...] | None) -> Trainer:
    changes = _batches(trainer, recipe, sizes)
    if recipe.generalized:
        changes["optimizer"] = generalize(trainer.optimizer)
    return dataclasses.replace(trainer, **changes) if changes else trainer


def _batches(trainer: Trainer, recipe: Recipe, sizes: tuple[Any, ...] | None) -> dict[str, Any]:
    """What a recipe makes of how a trainer's batches are made."""
    changes: dict[str, Any] = {}
    if recipe.microbatch is not None:
        size = np.asarray(trainer.examples_per_batch, np.int32)
        changes |= {"batch_size": size, "microbatch": Static(recipe.microbatch)}
    if sizes is not None:
        index = np.asarray(sizes.index(trainer.batch_size.value), np.int32)
        changes["batch_size"] = OneOf(Static(sizes), index)
    return changes


def sizes_of(runs: Sequence[Run]) -> tuple[Any, ...]:
    """The batch sizes of runs in which they are structure, in one order whichever order the runs have."""
    found = {cohort.first.batch_size.value for cohort in cohorts_of(run.row for run in runs)}
    return tuple(sorted(found, key=lambda size: (size == "full", size)))


def _later_texts(cohort: Cohort) -> Iterator[str]:
    """What the optimizers of a cohort are called, each of them once, but the first."""
    rows, _ = cohort.distinct(lambda trainer: trainer.optimizer)
    return (repr(cohort.tree(row).optimizer) for row in rows.tolist() if row)


def families(groups: Sequence[Group], recipe: Recipe) -> list[list[Group]]:
    """The groups that differ in nothing but the batch size (or the optimizer, if merged), together."""

    def stand_in(position, group):
        trainer = _merged(group.first, recipe, None)
        if is_fixed(trainer):
            trainer = dataclasses.replace(trainer, batch_size=Static("any"))
        return Run(position, trainer, 0)

    found = group_runs(stand_in(position, group) for position, group in enumerate(groups))
    return [[groups[run.index] for run in family.runs] for family in found]
