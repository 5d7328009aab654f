"""Forms of a run that let more runs share a program: traced batch sizes, merged optimizers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgd.optim.generalized import generalize
from jaxgd.pytrees import Static
from jaxgd.sweeps.groups import Group, group_runs
from jaxgd.sweeps.planning.plans import Recipe
from jaxgd.sweeps.runs import Run
from jaxgd.training.trainers import OneOf, Trainer


def is_fixed(trainer: Trainer) -> bool:
    """Whether the batch size is structure."""
    return isinstance(trainer.batch_size, Static) and not trainer.has_schedule


def can_merge(trainer: Trainer) -> bool:
    """Whether the batch size could be a number: not where a batch is more than its examples."""
    free = not trainer.problem.coupled.value and trainer.problem.augment is None
    return is_fixed(trainer) and free and trainer.microbatch.value is None


def merged(runs: Sequence[Run], recipe: Recipe) -> list[Run]:
    """The runs as a recipe wants them: their batch sizes numbers, or each one of several; one optimizer."""
    sizes = sizes_of(runs) if recipe.branches else None
    return [run._replace(trainer=_merged(run.trainer, recipe, sizes)) for run in runs]


def _merged(trainer: Trainer, recipe: Recipe, sizes: tuple[Any, ...] | None) -> Trainer:
    changes: dict[str, Any] = {}
    if recipe.microbatch is not None:
        size = np.asarray(trainer.examples_per_batch, np.int32)
        changes |= {"batch_size": size, "microbatch": Static(recipe.microbatch)}
    if sizes is not None:
        index = np.asarray(sizes.index(trainer.batch_size.value), np.int32)
        changes["batch_size"] = OneOf(Static(sizes), index)
    if recipe.generalized:
        changes["optimizer"] = generalize(trainer.optimizer)
    return dataclasses.replace(trainer, **changes) if changes else trainer


def sizes_of(runs: Sequence[Run]) -> tuple[Any, ...]:
    """The batch sizes of runs in which they are structure, in one order whichever order the runs have."""
    return tuple(
        sorted({run.trainer.batch_size.value for run in runs}, key=lambda size: (size == "full", size))
    )


def can_generalize(optimizer: Any) -> bool:
    """Whether the optimizer is of the family, and without an option that the merged form lacks."""
    try:
        generalize(optimizer)
    except (TypeError, AttributeError):
        return False
    return True


def families(groups: Sequence[Group], recipe: Recipe) -> list[list[Group]]:
    """The groups that differ in nothing but the batch size (or the optimizer, if merged), together."""

    def stand_in(position, group):
        trainer = _merged(group.first, recipe, None)
        if is_fixed(trainer):
            trainer = dataclasses.replace(trainer, batch_size=Static("any"))
        return Run(position, trainer, 0)

    found = group_runs(stand_in(position, group) for position, group in enumerate(groups))
    return [[groups[run.index] for run in family.runs] for family in found]


def largest_batch(trainer: Trainer) -> int:
    """The batch size as a number; the largest, where there are several."""
    return int(np.max(trainer.examples_per_batch))


def only_group(runs: Sequence[Run]) -> Group:
    """The group of runs that have one structure.

    Raises:
        ValueError: they have more than one.
    """
    groups = group_runs(runs)
    if len(groups) != 1:
        raise ValueError(
            f"a program of the plan would have runs of {len(groups)} structures: the sweep is another"
        )
    return groups[0]
