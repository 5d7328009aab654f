"""The runs of a sweep: what `make_trainer` gives for each point of the axes."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from jaxgd.machine.compiling import own_programs
from jaxgd.machine.meshes import lane_devices
from jaxgd.sweeps.axes import Point, columns, differ, points, values_of
from jaxgd.sweeps.cohorts import Cohort, Row, cohorts_of
from jaxgd.sweeps.making.combinations import make_rows
from jaxgd.training.carrying import COUNTS
from jaxgd.training.fitting import check_epochs, fresh_run
from jaxgd.training.starts import check_start
from jaxgd.training.states import Moving, TrainState, moving_part
from jaxgd.training.trainers import Trainer, check_mesh, measured_names


class Run(NamedTuple):
    """One lane: its place in the grid, its trainer, its seed, and what it goes on from.

    made: the trainer, or the row of a cohort that is one. start: parameters, optimizer's and model's state on
    the host, None for a run from initial parameters.
    """

    index: int
    made: Trainer | Row
    seed: int
    start: Moving | None = None

    @property
    def trainer(self) -> Trainer:
        """The trainer, put together again where it is a row: what many runs need is in the columns."""
        return self.made.tree if isinstance(self.made, Row) else self.made

    @property
    def row(self) -> Row:
        """Its trainer as the row of a cohort."""
        return self.made if isinstance(self.made, Row) else row_of(self.made)

    @property
    def num_examples(self) -> int | None:
        """The number of training examples, which is what a batch size of "full" is; None if nobody knows."""
        return self.alike.problem.num_examples

    @property
    def measured(self) -> list[str]:
        """The names of what it measures."""
        return measured_names(self.alike)

    @property
    def like(self) -> Any:
        """What tells the classes of its parameters."""
        return self.alike.problem

    @property
    def alike(self) -> Any:
        """A trainer of the same structure, at hand."""
        return self.made.cohort.first if isinstance(self.made, Row) else self.made


def row_of(trainer: Trainer) -> Row:
    """A trainer as the only one of a cohort."""
    leaves, structure = jax.tree.flatten(trainer)
    return Row(Cohort.of(structure, [leaves]), 0)


def make_runs(make_trainer: Callable[[Point], Trainer], grid: Sequence[Point]) -> list[Run]:
    """The run of every point. Arrays of equal content become one array, so data made anew is held once.

    Raises:
        TypeError: `make_trainer` returns something else than a trainer.
        ValueError: state that functions of a trainer read was changed after it was made.
        Exception: what it raises, with the point at which it did.
    """
    rows = make_rows(make_trainer, grid)
    seeds = [int(values_of(point).get("seed", 0)) for point in grid]
    runs = [Run(index, row, seed) for index, (row, seed) in enumerate(zip(rows, seeds, strict=True))]
    _warn_of_unread(grid, runs)
    return runs


# What a person calls the axis `seed`.
_LIKE_SEED = ("key", "keys", "random_seed", "random_state", "rng", "rngs", "seeds")


def _warn_of_unread(grid: Sequence[Point], runs: Sequence[Run]) -> None:
    """Warn of names that make_trainer never looked at and that change nothing."""
    read = set().union(*(point.read for point in grid)) | {"seed"}
    for name in set(grid[0]) - read:
        other = next(
            (run for point, run in zip(grid, runs, strict=True) if differ(point, grid[0], name)), None
        )
        if other and other.row.cohort.structure == runs[0].row.cohort.structure:
            hint = "; the axis of seeds is called 'seed'" if name in _LIKE_SEED else ""
            warnings.warn(
                f"make_trainer never uses axis {name!r}: the runs along it are all the same{hint}",
                stacklevel=5,
            )


def measured_in(runs: Sequence[Run]) -> list[str]:
    """The names of what the runs measure, each once."""
    firsts = {id(run.row.cohort): run for run in reversed(runs)}
    return list(dict.fromkeys(name for run in reversed(firsts.values()) for name in run.measured))


def check_names(axes: Mapping[str, Sequence[Any]], trainer: Trainer) -> None:
    """Raise ValueError if an axis is named like a variable of the result, or names one batch size twice."""
    taken = {"epoch", "status", "stopped_at", "kept_epoch", "seconds", *COUNTS, *measured_names(trainer)}
    for name in {*axes, *columns(axes)}:
        if name in taken:
            raise ValueError(f"axis {name!r} has the name of a result variable; call it something else")
    sizes, num = axes.get("batch_size", ()), trainer.problem.num_examples
    if any(isinstance(size, str) for size in sizes) and num in sizes:
        raise ValueError(f"axis 'batch_size' has values twice: 'full' is {num} examples")


def checked_runs(
    make_trainer: Callable, axes: Mapping[str, Sequence[Any]], epochs: Any, start: Any = None
) -> tuple[list[Run], int]:
    """The run of every point of checked axes, and the epochs; names and length checked against each other."""
    grid = points(axes)
    runs = make_runs(make_trainer, grid)
    check_names(axes, runs[0].trainer)
    cohorts = cohorts_of(run.row for run in runs)
    for one in cohorts:
        check_mesh(one.first)
    epochs = max(check_epochs(epochs, one.first.problem.num_examples) for one in cohorts)
    return runs if start is None else _with_starts(runs, grid, start, epochs), epochs


def devices_of(runs: Iterable[Run]) -> Sequence[Any]:
    """What the runs go over: all devices, or groups of them where their batches are split.

    Raises:
        ValueError: as in `lane_devices`.
    """
    return lane_devices({one.first.batch_spec.value for one in cohorts_of(run.row for run in runs)})


def _with_starts(runs: Sequence[Run], grid: Sequence[Point], start: Any, epochs: int) -> list[Run]:
    """The runs with what each goes on from: one state for all, or what a function gives for each point."""
    found: dict[Any, Any] = {}  # by cohort and state; holding the states keeps their ids taken
    made = []
    for run, point in zip(runs, grid, strict=True):
        state = start(point) if callable(start) else start
        key = id(run.row.cohort), id(state)
        if key not in found:
            found[key] = state, _checked_start(run, state, point, epochs)
        made.append(run._replace(start=found[key][1]))
    return made


def _checked_start(run: Run, state: Any, point: Point, epochs: int) -> Moving:
    if not isinstance(state, TrainState):
        raise TypeError(
            "start must be a state, such as fit(...).state, or a function that gives one for each point, got "
            f"{type(state).__name__} at {point}"
        )
    key = jax.random.key(run.seed)
    try:
        with own_programs():
            check_start(state, run.trainer, key, fresh_run(run.trainer, key, epochs))
    except ValueError as error:
        raise ValueError(f"{error} (from start at {point})") from None
    return jax.device_get(moving_part(state)._replace(rules=()))
