"""Forms of a run that let more runs share a program: traced batch sizes, merged optimizers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxgd.optim.generalized import generalize
from jaxgd.optim.static import Static
from jaxgd.sweeps.groups import Group, Run, group_runs
from jaxgd.training.trainers import Trainer


def can_merge(trainer: Trainer) -> bool:
    """Whether the batch size could be a leaf: not where a batch is more than its examples."""
    is_plain = isinstance(trainer.batch_size, Static) and not trainer.has_schedule
    free = not trainer.problem.coupled.value and trainer.problem.augment is None
    return is_plain and free and trainer.microbatch.value is None


def merged(run: Run, microbatch: int | None, is_generalized: bool) -> Run:
    """The run with its batch size as a leaf, and with its optimizer merged, as asked for."""
    trainer = run.trainer
    if microbatch is not None:
        size = np.asarray(trainer.examples_per_batch, np.int32)
        trainer = dataclasses.replace(trainer, batch_size=size, microbatch=Static(microbatch))
    if is_generalized:
        trainer = dataclasses.replace(trainer, optimizer=generalize(trainer.optimizer))
    return run._replace(trainer=trainer)


def can_generalize(optimizer: Any) -> bool:
    """Whether the optimizer is of the family, and without an option that the merged form lacks."""
    try:
        generalize(optimizer)
    except (TypeError, AttributeError):
        return False
    return True


def families(groups: Sequence[Group], is_generalized: bool) -> list[list[Group]]:
    """The groups that would be one if the batch size were a leaf (and optimizers merged), together."""

    def stand_in(position, group):
        microbatch = 1 if can_merge(group.runs[0].trainer) else None
        return merged(group.runs[0], microbatch, is_generalized)._replace(index=position)

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
