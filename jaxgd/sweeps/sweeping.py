"""`sweep`: every point of a grid trained, a program for each group of like trainers; and its plan."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxgd.logs.delivery import Log
from jaxgd.machine.compiling import own_programs
from jaxgd.sweeps.axes import Point, checked_axes
from jaxgd.sweeps.conducting import Ways, conduct, planner_for
from jaxgd.sweeps.engine.execution import Engine
from jaxgd.sweeps.planning.planner import Options, Planned, Planner, checked_options, plan_of
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.results.result import SweepResult
from jaxgd.sweeps.runs import checked_runs, devices_of
from jaxgd.sweeps.workers.manager import WorkExecutor
from jaxgd.training.states import TrainState
from jaxgd.training.trainers import Trainer


def sweep(
    make_trainer: Callable[[Point], Trainer],
    axes: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    epochs: int,
    *,
    progress: bool | Callable[[int, int, str], None] = True,
    plan: Plan | None = None,
    exact: bool = False,
    explain: bool = False,
    clock: bool = False,
    start: TrainState | Callable[[Point], TrainState] | None = None,
    folder: str | os.PathLike | None = None,
    replace: bool = False,
    log: Log | Sequence[Log] = (),
    part: tuple[int, int] | None = None,
    executor: WorkExecutor | None = None,
) -> SweepResult:
    """The result of training at every point of a grid, or of a list of points.

    Trainers of one tree structure are lanes of one program: learning rates, seeds and every other number cost
    no further compile. What changes the structure (the optimizer, the activation, a Python-int batch size)
    makes a program of its own, unless the planner finds it cheaper to merge batch sizes or optimizers;
    programs compile in threads while others run. Lanes are spread over all devices, and one that ends makes
    room for the next. Each seed's initial parameters and epoch orders are made once and shared by its lanes.
    Where trainers have a `batch_spec`, lanes go over groups of the devices of the mesh that is set: those
    along the axes that it names split the batches of one lane.

    What a lane computes depends on its recipe (see `result.plan`) and not on the lanes beside it, their order
    or how the sweep was cut. Between recipes float32 results differ by rounding, which training amplifies.

    Args:
        make_trainer: called with each point, `hp.learning_rate` or `hp["learning_rate"]`, returns a trainer.
        axes: the values of each axis, by name; or a list of points, mappings from names to values, which make
            one axis `point`. The values of an axis may be such points too: their names vary together. `seed`
            s gives a run `jax.random.key(s)`, 0 without that name.
        epochs: 1 or more.
        progress: show a bar once the sweep has taken two seconds; or a function of
            `(runs done, runs in all, text)`.
        plan: one from `jaxgd.plan`, or of an earlier result, to be followed; None to choose.
        exact: give every run the bits of the jitted run alone (on a CPU): one lane at a time, nothing merged.
        explain: print the plan before it is followed, and why it was chosen.
        clock: time updates of each program alone, for the coordinate `seconds`, when all runs have ended. It
            takes about a twentieth of the sweep's time, and a further program where several lanes move at
            once. It changes no other number, and `result.clocked()` does it later.
        start: a state to go on from, such as `fit(...).state`, for all runs, or a function that gives one for
            each point: its parameters, optimizer's and model's state; counts, rules and history begin anew.
        folder: where the sweep is kept as it goes: each program's runs as they end, and from time to time
            where the others stand. The same call on the same folder trains what it lacks, to the same bits:
            the rest of a sweep that was interrupted, or the runs of values that an axis has got since.
        replace: begin anew in that folder, whatever it has.
        log: files, functions and `jaxgd.tensorboard(...)`, one or a list of them. Each gets a row for every
            run as it ends, not for its epochs. All rows have the same keys, in this order: `run`, its place
            in the grid, the last axis varying fastest; each coordinate of the dataset along an axis, under
            its name; `status`; `stopped_at`; `updates` and `examples` that the run took; `epoch`, its last or
            the one whose parameters it kept; and what was measured after that one, `train_loss`,
            `grad_norm`, `valid_loss`, ...: NaN where the run diverged or does not measure it. A file is
            appended to and gets a row as one line of JSON, NaN and infinities as null. A log that raises gets
            no more rows, and a warning says so.
        part: `(number, of)`, such as (2, 4): this process trains the second of 4 parts, into a `folder` that
            the other three write to as well, at the same time or later. No two parts have a run in common,
            and none waits for another. Each writes a file for every unit, some of the runs of one program,
            as it ends; one that was killed is called again, and trains the units that are not there. The
            result has the runs that the folder had when this part began, and its own.
        executor: an engine whose workers train instead of this process: what has `submit(function,
            *arguments)`, whose result has `result()`, `done()` and `cancel()`, such as a
            `ProcessPoolExecutor` that spawns, loky's, submitit's, or Dask's `client.get_executor()`. All
            workers must see the `folder`, where units are kept as for parts: a temporary one on this machine
            if None. Each unit runs on one device. What a worker raises is tried again, three times in all;
            then its runs have the status "failed", and `result.dataset.attrs["failures"]` says why.

    Raises:
        ValueError, TypeError: an empty axis, a value twice, a name that the result uses, a plan for another
            sweep, what is no log, or what `make_trainer` raises; a folder that has another sweep, or that
            another process trains into; before anything compiles.
        OSError: a log or the folder that cannot be written: before anything compiles, or at the end, with
            the folder that the result was saved in instead.
        Interrupted: Ctrl-C or SIGTERM came, which is heard within a second or a call. It is a
            KeyboardInterrupt; its `result` is that of the sweep, with status "not run", NaN and no parameters
            for runs that had not ended. A folder has where they stood.
        WorkerMismatchError: a worker has other versions of jaxgd or jax, or another kind of device.
        MemoryError: not even one lane on each device fits. Where fewer fit than were planned, the sweep goes
            on with half as many, and its plan says so.

    Example:
        >>> import jaxgd
        >>> problem = jaxgd.classification(jaxgd.linear(64, 10), *jaxgd.datasets.load("digits"))
        >>> result = jaxgd.sweep(
        ...     lambda hp: jaxgd.trainer(problem, jaxgd.sgd(hp.learning_rate), hp.batch_size),
        ...     {"batch_size": ["full", 32], "learning_rate": [0.01, 0.1], "seed": [0, 1]},
        ...     epochs=2,
        ... )
        >>> result.dataset.valid_accuracy.dims
        ('batch_size', 'learning_rate', 'seed', 'epoch')
    """
    return run_sweep(
        make_trainer,
        axes,
        epochs,
        progress=progress,
        plan=plan,
        exact=exact,
        explain=explain,
        clock=clock,
        start=start,
        folder=folder,
        replace=replace,
        log=log,
        part=part,
        executor=executor,
    )


def run_sweep(
    make_trainer: Callable[[Point], Trainer],
    axes: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    epochs: int,
    *,
    progress: bool | Callable[[int, int, str], None] = True,
    plan: Plan | None = None,
    exact: bool = False,
    explain: bool = False,
    clock: bool = False,
    start: TrainState | Callable[[Point], TrainState] | None = None,
    folder: str | os.PathLike | None = None,
    replace: bool = False,
    log: Log | Sequence[Log] = (),
    part: tuple[int, int] | None = None,
    executor: WorkExecutor | None = None,
    spec: Mapping[str, Any] | None = None,
) -> SweepResult:
    """The result of `sweep`, of what a file describes where there is a spec."""
    ways = Ways(progress, plan, exact, explain, folder, replace, log, part, clock, executor)

    def make():
        lists = checked_axes(axes)
        runs, length = checked_runs(make_trainer, lists, epochs, start)
        return lists, runs, length, devices_of(runs)

    return conduct(make, Planner, ways, spec, make_trainer)


def plan(
    make_trainer: Callable[[Point], Trainer],
    axes: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    epochs: int,
    *,
    merge: int | bool | None = None,
    kind: str | None = None,
    lanes: int | None = None,
    width: int | None = None,
    generalize: bool | None = None,
    exact: bool = False,
) -> Plan:
    """The plan that `sweep` would follow, which prints as text; nothing is compiled on a CPU.

    Give it to `sweep(..., plan=...)`. What is None here is chosen for the least total time.

    Args:
        make_trainer: as in `sweep`.
        axes: as in `sweep`.
        epochs: as in `sweep`.
        merge: False for a program for each batch size; True for one program with a loop for each, lanes one
            after the other; a number of examples for one program with one loop for all batch sizes of at
            least that many, in micro-batches of it.
        kind: "map", lanes one after the other on each device, or "vmap", all at once.
        lanes: how many a device holds, 1 or more.
        width: how many of those in turn move at once, 1 or more, a divisor of `lanes`. Short steps of small
            models take less time so, and from 2 on a lane has not the bits of the run alone.
        generalize: whether optimizers of the family share a program (see `jaxgd.generalize`).
        exact: every run has the bits of the jitted run alone, on a CPU: one lane at a time, nothing merged.

    Raises:
        ValueError, TypeError: as in `sweep`, and an option out of range.
    """
    options = checked_options(merge, kind, lanes, width, generalize, exact)
    return plan_on(None, make_trainer, axes, epochs, options)[0]


def plan_on(
    devices: Sequence[Any] | None,
    make_trainer: Callable[[Point], Trainer],
    axes: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    epochs: int,
    options: Options,
) -> tuple[Plan, Planned, Engine]:
    """The plan of a sweep on these devices, its programs with their groups, and what compiles them.

    devices: None for those that are here, in groups where batches are split.
    """
    runs, epochs = checked_runs(make_trainer, checked_axes(axes), epochs)
    devices = devices_of(runs) if devices is None else devices
    engine = Engine(devices, epochs)
    with own_programs():
        planned = planner_for(engine, Planner, options).choose(runs)
    return plan_of(planned, len(runs), epochs, devices), planned, engine
