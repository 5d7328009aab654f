"""Forms of a run that let more runs share a program: traced batch sizes, merged optimizers."""

import dataclasses
from collections.abc import Sequence

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


def can_generalize(trainer: Trainer) -> bool:
    """Whether the optimizer is of the family."""
    try:
        generalize(trainer.optimizer)
    except (TypeError, AttributeError):
        return False
    return True


def families(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs that differ in nothing but numbers and the batch size, together; others alone in their group."""
    mergeable = [can_merge(run.trainer) for run in runs]
    stand_ins = [merged(run, 1, False) if can else run for run, can in zip(runs, mergeable, strict=True)]
    by_index = {run.index: run for run in runs}
    return [[by_index[run.index] for run in group.runs] for group in group_runs(stand_ins)]


def batch_sizes(runs: Sequence[Run]) -> list[int]:
    """The batch sizes of runs whose batch sizes are numbers, each once, ascending."""
    return sorted({int(np.max(run.trainer.examples_per_batch)) for run in runs})


def only_group(runs: Sequence[Run]) -> Group:
    """The group of runs that have one structure.

    Raises:
        ValueError: they have more than one.
    """
    groups = group_runs(runs)
    if len(groups) != 1:
        raise ValueError(f"a program of the plan would have runs of {len(groups)} structures: the sweep is another")
    return groups[0]
