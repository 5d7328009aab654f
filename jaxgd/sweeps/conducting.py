"""A sweep from its runs to its result: planned, trained, kept in its folder, and told about."""

import contextlib
import dataclasses
import functools
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jaxgd.logs.delivery import Delivery, Log
from jaxgd.machine.compiling import own_programs
from jaxgd.machine.devices import device_name, num_devices
from jaxgd.machine.host import num_cores, versions
from jaxgd.machine.interrupts import Interrupts, deferred_interrupts
from jaxgd.sweeps.axes import Point, points
from jaxgd.sweeps.engine.execution import Engine
from jaxgd.sweeps.engine.timed import timed_programs
from jaxgd.sweeps.folders.going_on import Asked, Begun, data_of
from jaxgd.sweeps.folders.in_folder import Sharing, kept_in, save_elsewhere
from jaxgd.sweeps.folders.keeper import Keeper
from jaxgd.sweeps.folders.shared_keeper import SharedKeeper
from jaxgd.sweeps.functions.whole_lanes import inputs_of
from jaxgd.sweeps.logged import Logged
from jaxgd.sweeps.planning.function_planner import FunctionPlanner
from jaxgd.sweeps.planning.planner import EXACT, Options, Planned, Planner, plan_of, replay
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.results.result import SweepResult
from jaxgd.sweeps.runs import Run
from jaxgd.sweeps.sinks import Collected, Shown
from jaxgd.sweeps.workers.manager import Workers, WorkExecutor
from jaxgd.sweeps.workers.sharing import folder_for, sharing_of, worker_devices
from jaxgd.training.progress import Progress
from jaxgd.training.states import DIVERGED
from jaxgd.training.trainers import Trainer

# Seconds from which on a sweep was long enough to say how it would have been shorter.
_LONG = 30
MakePlanner = type[Planner] | type[FunctionPlanner]
# The axes, the run of every point, the length of their histories, and the devices that runs go over.
Made = tuple[Mapping[str, Sequence[Any]], Sequence[Run], int, Sequence[Any]]


class Ways(NamedTuple):
    """How a sweep is done, whatever its runs are: see `sweep`."""

    progress: bool | Callable[[int, int, str], None] = True
    plan: Plan | None = None
    exact: bool = False
    explain: bool = False
    folder: str | os.PathLike | None = None
    replace: bool = False
    log: Log | Sequence[Log] = ()
    part: tuple[int, int] | None = None
    clock: bool = False
    executor: WorkExecutor | None = None


def conduct(
    make: Callable[[], Made],
    planner: MakePlanner,
    ways: Ways,
    spec: Mapping[str, Any] | None = None,
    make_trainer: Callable[[Point], Trainer] | None = None,
) -> SweepResult:
    """The result of a sweep.

    Args:
        make: gives its axes, checked, its runs, and what these go over.
        planner: what chooses the programs of such runs.
        ways: how it is done.
        spec: what a file describes, where there is one.
        make_trainer: what made the runs, where they are trainers.

    Raises:
        ValueError, TypeError, OSError, Interrupted, MemoryError: as `sweep` says.
    """
    began = time.perf_counter()
    folder, executor, plan = ways.folder, ways.executor, ways.plan
    sharing = sharing_of(ways.part, executor, folder, ways.replace, ways.clock)
    logs = Delivery(ways.log)
    lists, runs, epochs, devices = make()
    logged = Logged(logs, lists, runs)
    devices = devices if executor is None else worker_devices(devices)
    engine = Engine(devices, epochs, named=folder is not None)
    choose = functools.partial(_planned, engine, planner, plan=plan, exact=ways.exact)
    asked = Asked(lists, runs, spec, ways.exact, plan, ways.clock)
    with (
        own_programs() as checks,
        logs,
        deferred_interrupts() as interrupts,
        folder_for(folder, executor) as kept,
        _begun(kept, ways.replace, asked, engine, choose, sharing) as begun,
    ):
        followed = plan_of(begun.planned, len(runs), epochs, engine.devices, plan)
        keeper = begun.keeper
        if ways.explain:
            print(followed, file=sys.stderr)  # noqa: T201
        found = Collected(begun.ended, len(runs))
        if ways.progress:
            _tell_of_ended(begun, len(runs))
        workers = None
        if executor is not None:
            assert isinstance(keeper, SharedKeeper)
            workers = Workers(executor, engine, keeper, runs)
        _train(engine if workers is None else workers, begun, found, logged, ways.progress, interrupts)
        if ways.clock:
            _time(engine, runs, found, keeper, interrupts)
        seconds = time.perf_counter() - began
        followed = found.plan(followed, seconds) if keeper is None else keeper.record.whole_plan
        data = _data_of(runs, spec) if keeper is None else keeper.record.data
        result = found.result(lists, runs, followed)
        result = dataclasses.replace(result, spec=spec, data_sha256=data, make_trainer=make_trainer)
        if workers is not None and workers.failures:
            result.dataset.attrs["failures"] = workers.failures
        lost = None if keeper is None or keeper.error is None else save_elsewhere(result, keeper)
        if interrupts:
            where = "; .result holds them" if folder is None else f" and are kept in {kept}"
            text = f"interrupted: {found.has_ended.sum()} of {len(runs)} runs ended{where}"
            raise interrupts.interrupted(result, str(lost or text))
        if lost is not None:
            raise lost
    if ways.progress is True and executor is None and seconds > _LONG:
        _tell_of_idle_cores(engine.devices, sum(len(group.runs) for group, _ in begun.planned))
    if any(checks):
        alone = "give that trainer to jaxgd.fit" if make_trainer else "call the function by itself"
        _tell_of_divergence(lists, found, alone)
    return result


def _data_of(runs: Sequence[Run], spec: Mapping[str, Any] | None) -> Sequence[str]:
    """The SHA-256 of the data where a spec names them: whoever loads the result may have them again."""
    return () if spec is None else data_of(runs)


@contextlib.contextmanager
def _begun(
    folder: str | os.PathLike | None,
    replace: bool,
    asked: Asked,
    engine: Engine,
    choose: Callable,
    sharing: Sharing | None,
) -> Iterator[Begun]:
    """What there is of the sweep, and what is left: everything, without a folder."""
    if folder is None:
        yield Begun([], choose(asked.runs), {})
    else:
        with kept_in(folder, replace, asked, engine, choose, sharing) as begun:
            yield begun


def _train(
    engine: Engine | Workers,
    begun: Begun,
    found: Collected,
    logged: Logged,
    progress: Any,
    interrupts: Interrupts,
) -> None:
    """Train what is left, until a signal comes, and have sinks take what ends."""
    began = time.perf_counter()
    groups = [group for group, _ in begun.planned]
    left = [int((~found.has_ended[[run.index for run in group.runs]]).sum()) for group in groups]
    every = [inputs_of(group, engine.sources) for group in groups]
    examples = sum(each.num * each.epochs * num for each, num in zip(every, left, strict=True))
    idle = "" if isinstance(engine, Workers) else _idle_cores(engine.devices, sum(left))
    counted = [each.counted for each in every[:1]]
    done = int(found.has_ended.sum())
    with Progress(progress, max(1, done + sum(left)), examples, "runs", idle, *counted, done=done) as shown:
        sinks = [sink for sink in (begun.keeper, found, Shown(shown), logged) if sink is not None]
        events = engine.run(begun.planned, interrupts, begun.snapshots)
        try:
            for ended in events:
                for sink in sinks:
                    sink.take(ended)
                if interrupts:
                    break
        finally:  # before the programs let go of their slots
            if begun.keeper is not None:
                begun.keeper.close(time.perf_counter() - began)


def _time(
    engine: Engine,
    runs: Sequence[Run],
    found: Collected,
    keeper: Keeper | SharedKeeper | None,
    interrupts: Interrupts,
) -> None:
    """Time updates of each program alone that was not timed yet, until a signal comes."""
    known = found.seconds_per_update
    programs = [program for program in found.programs if not known.keys() >= set(program.runs)]
    for timed in timed_programs(engine, programs, runs, interrupts):
        found.take_seconds(timed)
        if keeper is not None:
            keeper.put_seconds(timed)


def _tell_of_ended(begun: Begun, num_runs: int) -> None:
    """Say how much the folder has."""
    ended = sum(len(each.block) for each in begun.ended if each.block is not None)
    if begun.keeper is not None and ended:
        left = sum(len(group.runs) for group, _ in begun.planned)
        what = "the others are trained" if ended < num_runs else "nothing is left to train"
        if isinstance(begun.keeper, SharedKeeper) and left < num_runs - ended:
            what = f"{left} of the others are trained here"
        print(f"{begun.keeper.folder} has {ended} of {num_runs} runs: {what}", file=sys.stderr)  # noqa: T201


def _planned(
    engine: Engine, planner: MakePlanner, runs: Sequence[Run], plan: Plan | None, exact: bool
) -> Planned:
    """The programs of a sweep: those of a plan that is given, or chosen ones."""
    if plan is None:
        return planner_for(engine, planner, EXACT if exact else Options()).choose(runs)
    if not isinstance(plan, Plan):
        raise TypeError(f"plan must be a jaxgd.plan(...), got {plan!r}")
    if exact:
        raise ValueError("exact=True makes a plan of its own: give one of plan and exact")
    if plan.epochs != engine.sources.epochs:
        raise ValueError(f"plan is one of {plan.epochs} epochs, the sweep has {engine.sources.epochs}")
    now = (device_name(engine.devices), versions())
    if (plan.device, dict(plan.versions)) != now:
        warnings.warn(
            f"the plan was made on {plan.device} with {dict(plan.versions)}, this is {now[0]} with {now[1]}: "
            "results may differ in their last bits",
            stacklevel=3,
        )
    return replay(plan, runs, engine.devices)


def planner_for(engine: Engine, planner: MakePlanner, options: Options) -> Any:
    """The planner of an engine's programs."""
    return planner(engine.devices, engine.sources, engine.bytes_of, options)


def _tell_of_divergence(axes: Mapping[str, Sequence[Any]], found: Collected, alone: str) -> None:
    """Warn of runs that JAX was told to stop at: a sweep goes on and marks them, whatever is set.

    alone: how one is run alone.
    """
    diverged = found.with_status(DIVERGED)
    if len(diverged):
        warnings.warn(
            f"{len(diverged)} of {found.has_ended.sum()} runs diverged, the first at "
            f"{points(axes)[diverged[0]]}: "
            f"to see where, {alone} while jax_debug_nans or jax_debug_infs is set",
            stacklevel=3,
        )


def _idle_cores(devices: Sequence[Any], num_runs: int) -> str:
    """Such as "on 1 of 2 cores", where JAX has fewer devices of a CPU than it could have; else nothing."""
    cores = num_cores()
    num = num_devices(devices)
    is_idle = devices[0].platform == "cpu" and num < min(cores, num_runs)
    return f"on {num} of {cores} cores" if is_idle else ""


def _tell_of_idle_cores(devices: Sequence[Any], num_runs: int) -> None:
    """Say what would have been faster: a note, since nothing is wrong with the result."""
    if idle := _idle_cores(devices, num_runs):
        setting = f'jax.config.update("jax_num_cpu_devices", {num_cores()})'
        print(f"the sweep ran {idle}; with all: {setting} before the first use of JAX", file=sys.stderr)  # noqa: T201
