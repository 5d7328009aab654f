"""Units: a plan's programs cut into parts that any process can train, to the same bits; and dealt out."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxgd.arguments import whole_number
from jaxgd.sweeps.groups import group_runs
from jaxgd.sweeps.planning.plans import Program, Recipe
from jaxgd.sweeps.runs import Run

# A unit of fewer seconds would be mostly what a program costs to begin.
_LEAST_SECONDS = 0.25
# How many units each part of a sweep should have, so that all end at about one time; and how many there
# should be in all, where they are long enough, for processes that join later.
_UNITS, _IN_ALL = 4, 32


class SweepPart(NamedTuple):
    """Which part of a sweep a process trains: `number`, from 1, of so many (`of`)."""

    number: int
    of: int


def checked_part(part: tuple[int, int]) -> SweepPart:
    """The part.

    Raises:
        ValueError, TypeError: it is no pair of whole numbers, or there is no such part.
    """
    if not isinstance(part, tuple) or len(part) != 2:
        raise TypeError(f"part must be (number, of), such as (2, 4) for the second of 4 parts, got {part!r}")
    number, of = whole_number("number of a part", part[0]), whole_number("of, a number of parts,", part[1])
    if number > of:
        raise ValueError(f"part is {part}: the number of a part must be from 1 to {of}")
    return SweepPart(number, of)


def cut_all(
    programs: Sequence[Program], runs: Sequence[Run], num_parts: int, is_given: bool
) -> list[Program]:
    """The programs of a sweep that so many processes share, in units.

    is_given: whether the recipes are to be followed as they are. Otherwise fewer lanes move at once where
    there would be fewer units than processes.
    """
    whole = sum(program.predicted_run_seconds for program in programs)
    most = max(whole / max(_UNITS * num_parts, _IN_ALL), _LEAST_SECONDS)
    units = []
    for program in programs:
        if not is_given:
            program = _narrowed(program, runs, max(whole / num_parts, _LEAST_SECONDS))
        units += cut(program, runs, most)
    return units


def _narrowed(program: Program, runs: Sequence[Run], most_seconds: float) -> Program:
    """The program with as many lanes at once as let it be cut into parts of so many seconds, if any do."""
    recipe, wanted = program.recipe, _num_parts(program, most_seconds)
    for width in range(recipe.width, 0, -1):
        if recipe.width % width == 0:
            shares = recipe.shares_batches and width > 1
            narrow = recipe._replace(width=width, shares_batches=shares)
            program = dataclasses.replace(program, recipe=narrow)
            if _most_parts(_cells_of(program, runs), narrow) >= wanted:
                break
    return program


def _num_parts(program: Program, most_seconds: float) -> int:
    return math.ceil(program.predicted_run_seconds / most_seconds)


def cut(program: Program, runs: Sequence[Run], most_seconds: float) -> list[Program]:
    """The program as several of the same recipe, each of some of its runs and about so many seconds.

    Runs that move at once stay together, and each part has some of every batch size: all of them are one
    compiled program. Such as 40 rates of 16 seeds at batch sizes 8 and 64, ten of one seed at once, in 4
    parts: each has 16 of the 64 tens of either size.

    Args:
        program: of a plan.
        runs: of the sweep, its own among them.
        most_seconds: that a part should take, by what is predicted. What moves at once may take longer.
    """
    cells = _cells_of(program, runs)
    num = max(1, min(_num_parts(program, most_seconds), _most_parts(cells, program.recipe)))
    parts = []
    for part in range(num):
        taken = [each[len(each) * part // num : len(each) * (part + 1) // num] for each in cells]
        places = sorted(run.index for run in itertools.chain(*itertools.chain(*taken)))
        seconds = program.predicted_run_seconds * len(places) / len(program.runs)
        parts.append(dataclasses.replace(program, runs=tuple(places), predicted_run_seconds=seconds))
    return parts


def _cells_of(program: Program, runs: Sequence[Run]) -> list[list[list[Run]]]:
    """Of each structure the runs that move at once, together."""
    own = set(program.runs)
    groups = group_runs(run for run in runs if run.index in own)
    return [_cells(group.runs, program.recipe) for group in groups]


def _most_parts(cells: Sequence[Sequence[Sequence[Run]]], recipe: Recipe) -> int:
    """Into how many parts a program can be cut that leave no device empty."""
    if recipe.kind == "map":
        return min(len(each) // recipe.devices for each in cells)
    # At once, an empty place costs as much as another.
    num = sum(len(cell) for each in cells for cell in each)
    return min(num // recipe.slots, *map(len, cells))


def _cells(runs: Sequence[Run], recipe: Recipe) -> list[list[Run]]:
    """Runs of one structure, those together that move at once: of one seed where they share their batches."""
    if recipe.shares_batches:
        runs = sorted(runs, key=lambda run: run.seed)
    return [list(runs[place : place + recipe.width]) for place in range(0, len(runs), recipe.width)]


def dealt(seconds: Mapping[str, float], part: SweepPart) -> set[str]:
    """The keys of the units that a part trains, whatever a folder has of them: of each so many seconds.

    The longest first, each to the part that has least: no two parts have one in common, and whoever deals
    deals alike.
    """
    sums, own = [0.0] * part.of, set()
    for key in sorted(seconds, key=lambda key: (-seconds[key], key)):
        least = sums.index(min(sums))
        sums[least] += max(seconds[key], 1e-9)
        if least == part.number - 1:
            own.add(key)
    return own
