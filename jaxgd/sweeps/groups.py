"""From points to lanes: the trainer of every point, and groups of trainers that share a program."""

import itertools
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.pytrees import Static
from jaxgd.sweeps.cohorts import Cohort, LeafColumn, Row, cohorts_of
from jaxgd.sweeps.runs import Run
from jaxgd.training.trainers import OneOf, Trainer

# So many programs that differ in what one function holds are warned of.
_MANY = 4


class Group(NamedTuple):
    """Runs whose trainers have one tree structure, so that one program serves them all.

    runs: its runs. cohort: their trainers. shared: leaves that are the same array in every run, by position
    among the leaves. columns: the other leaves, with an entry for each run.
    """

    runs: list[Run]
    cohort: Cohort
    shared: dict[int, Any]
    columns: list[LeafColumn]

    @property
    def structure(self) -> Any:
        """The tree structure of a trainer."""
        return self.cohort.structure

    @property
    def first(self) -> Trainer:
        """The trainer of its first run: in structure and in what all share, that of each."""
        return self.cohort.first

    @property
    def num_examples(self) -> int:
        """The number of training examples."""
        return self.first.problem.num_examples

    @property
    def lanes(self) -> Iterator[list[Any]]:
        """The leaves of each run that are not shared."""
        return ([column[place] for column in self.columns] for place in range(len(self.runs)))

    def column(self, part: Callable[[Trainer], Any]) -> LeafColumn:
        """The column of the first leaf in a part of the trainers."""
        return jax.tree.leaves(part(self.cohort.whole))[0]

    @property
    def batch_sizes(self) -> list[int]:
        """The batch size of each run as a number, see `largest_batch`."""
        rows, places = self.cohort.distinct(lambda trainer: trainer.batch_size)
        sizes = [largest_batch(self.cohort.tree(row)) for row in rows.tolist()]
        return [sizes[place] for place in places.tolist()]

    @property
    def place_of_choice(self) -> int | None:
        """Where among a lane's leaves its index among several batch sizes is; None where it has none."""
        places = self.trainer(range(len(self.columns)), [None] * len(self.shared))
        return places.batch_size.index if isinstance(places.batch_size, OneOf) else None

    def trainer(self, lane: Sequence[Any], shared: Sequence[Any]) -> Trainer:
        """The trainer with these lane leaves and these shared leaves."""
        leaves: list[Any] = list(lane)
        for position, leaf in zip(self.shared, shared, strict=True):
            leaves.insert(position, leaf)
        return jax.tree.unflatten(self.structure, leaves)


def steps_per_epoch(trainer: Trainer) -> float:
    """How many gradients an epoch takes."""
    micro = trainer.microbatch.value
    size = float(np.min(trainer.examples_per_batch)) if micro is None else micro
    return trainer.problem.num_examples / size


def group_runs(runs: Iterable[Run]) -> list[Group]:
    """The groups, in the order of their first runs."""
    runs = list(runs)
    rows = [run.row for run in runs]
    programs: dict[Any, int] = {}
    program_of = {id(one): programs.setdefault(one.key, len(programs)) for one in cohorts_of(rows)}
    members: dict[Any, list[tuple[Run, Row]]] = {}
    for run, row in zip(runs, rows, strict=True):
        key = program_of[id(row.cohort)], run.start is None
        members.setdefault(key, []).append((run if run.made is row else run._replace(made=row), row))
    return [_group(each) for each in members.values()]


def _group(members: Sequence[tuple[Run, Row]]) -> Group:
    cohort = _together([row for _, row in members])
    shared = {place: column.values[0] for place, column in enumerate(cohort.columns) if column.is_shared}
    columns = [column for place, column in enumerate(cohort.columns) if place not in shared]
    return Group([run for run, _ in members], cohort, shared, columns)


def _together(rows: Sequence[Row]) -> Cohort:
    """Rows of cohorts of one key as one cohort, in their order."""
    cohorts = cohorts_of(rows)
    begins = itertools.accumulate((cohort.length for cohort in cohorts), initial=0)
    begin_of = dict(zip(map(id, cohorts), begins, strict=False))
    whole = cohorts[0] if len(cohorts) == 1 else Cohort.joined(cohorts)
    return whole.take([begin_of[id(cohort)] + place for cohort, place in rows])


def warn_of_closures(groups: Sequence[Group]) -> None:
    """Warn if many groups differ in nothing but what one function holds: those values could be arguments."""
    if len(groups) < _MANY:
        return
    functions = [_functions(group.first) for group in groups]
    places = {place for row in functions for place in row}
    for place in places:
        codes = {row[place].__code__ for row in functions if place in row}
        held = {Static(row[place]) for row in functions if place in row}
        if len(held) >= _MANY and len(codes) == 1:
            code = codes.pop()
            warnings.warn(
                f"{len(held)} programs differ only in what the function {code.co_name} "
                f"({code.co_filename}, line {code.co_firstlineno}) holds: make the value a number of the "
                "optimizer, or bind it with jax.tree_util.Partial, and they are one",
                stacklevel=4,
            )


def _functions(trainer: Trainer) -> dict[str, types.FunctionType]:
    """The functions that are structure of a trainer, by their path."""
    nodes = jax.tree_util.tree_flatten_with_path(trainer, is_leaf=lambda node: isinstance(node, Static))[0]
    return {
        jax.tree_util.keystr(path): node.value
        for path, node in nodes
        if isinstance(node, Static) and isinstance(node.value, types.FunctionType)
    }


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
