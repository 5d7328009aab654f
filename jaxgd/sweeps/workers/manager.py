"""Who hands the units of a sweep to an engine's workers, and reads what they have put down."""

import dataclasses
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from threading import Event
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from jaxgd.machine.compiling import setting, settings_of_caller
from jaxgd.machine.devices import device_name
from jaxgd.machine.host import versions
from jaxgd.machine.interrupts import Interrupts
from jaxgd.sweeps.blocks import Block
from jaxgd.sweeps.engine.driver import Ended
from jaxgd.sweeps.engine.execution import Engine
from jaxgd.sweeps.folders.shared_keeper import SharedKeeper
from jaxgd.sweeps.groups import Group
from jaxgd.sweeps.planning.planner import Planned
from jaxgd.sweeps.planning.plans import Program
from jaxgd.sweeps.results.records import Unit, saved_runs
from jaxgd.sweeps.runs import Run, measured_in
from jaxgd.sweeps.store.manifest import read_manifest
from jaxgd.sweeps.workers.recipes import ImportPaths, Scattered, UnitRecipe
from jaxgd.sweeps.workers.unit import Trained, WorkerMismatchError, prepare_unit, train_unit
from jaxgd.training.carrying import COUNTS
from jaxgd.training.states import STATUS_WORDS

_TRIES = 3
# Seconds between two looks at what is done, at first and at last, where nothing calls back.
_SOON, _LATE = 0.01, 0.5


@runtime_checkable
class WorkFuture(Protocol):
    """What `submit` gives: of `concurrent.futures`, Dask, loky or submitit."""

    def result(self) -> Any:
        """What the call has given; raises what it has raised."""
        ...

    def done(self) -> bool:
        """Whether it has ended."""
        ...

    def cancel(self) -> Any:
        """Do not begin it."""
        ...


@runtime_checkable
class WorkExecutor(Protocol):
    """An engine with workers that see one folder."""

    def submit(self, function: Any, /, *arguments: Any) -> WorkFuture:
        """Have a worker call a function that can be imported."""
        ...


def checked_executor(executor: Any) -> WorkExecutor:
    """The executor.

    Raises:
        TypeError: it has no `submit`.
        ValueError: its processes would be copies of this one, in which JAX's threads would be missing.
    """
    if not callable(getattr(executor, "submit", None)) or isinstance(executor, type):
        raise TypeError(
            "executor must have submit(function, *arguments), as those of concurrent.futures or Dask's "
            f"client.get_executor(), got {executor!r}"
        )
    context = getattr(executor, "_mp_context", None)  # of a ProcessPoolExecutor
    if context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "executor forks this process, whose threads of JAX its workers would lack: use "
            'ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))'
        )
    return executor


def num_workers(executor: Any) -> int:
    """How many workers an executor has, as far as it says so; two, where it does not."""
    threads_of = getattr(getattr(executor, "_client", None), "nthreads", None)  # of Dask
    if callable(threads_of):
        found: Any = threads_of()
        return max(1, sum(found.values()))
    return getattr(executor, "_max_workers", None) or 2


class _Task(NamedTuple):
    """A unit that is to be trained, or at first only compiled. tries: how often it was asked for."""

    recipe: UnitRecipe
    group: Group
    unit: Unit
    tries: int = 0


class Workers:
    """Trains the units of a sweep on an executor's workers, as an `Engine` does in this process.

    The first unit of each program is compiled by one worker before the others are asked for, which then find
    the compiled program on disk. What a unit raises is warned of and tried again, three times in all.

    Attributes:
        failures: of units that were given up, the places of their runs and the error's text.
        sources: what runs begin with.
    """

    def __init__(self, executor: WorkExecutor, engine: Engine, keeper: SharedKeeper, runs: Sequence[Run]):
        self.executor, self.engine, self.keeper, self.sources = executor, engine, keeper, engine.sources
        self.failures: list[dict[str, Any]] = []
        self._runs = {run.index: run for run in runs}
        self._scattered = Scattered(keeper.folder)
        self._versions, self._settings = versions(), settings_of_caller()
        self._some_are_done = Event()

    def run(
        self, planned: Planned, interrupts: Interrupts, begun: Mapping = MappingProxyType({})
    ) -> Iterator[Ended]:
        """What ends, as it ends; see `Engine.run`. When a signal comes, nothing more is begun.

        Raises:
            WorkerMismatchError: a worker has other versions, or another kind of device.
        """
        units = {unit.program.runs: unit for unit in self.keeper.record.units}
        waiting: dict[Any, list[_Task]] = {}
        for group, program in planned:
            unit = units[program.runs]
            task = _Task(self._recipe(group, program, unit), group, unit)
            waiting.setdefault((unit.identity or {})["program"], []).append(task)
        compiling = {self._submit(prepare_unit, tasks[0]): tasks for tasks in waiting.values()}
        running: dict[Any, _Task] = {}
        pause = _SOON
        try:
            while (compiling or running) and not interrupts:
                self._some_are_done.clear()
                done = [future for future in (*compiling, *running) if future.done()]
                pause = _SOON if done else min(2 * pause, _LATE)
                for future in done:
                    if future in compiling:
                        _raise_mismatch(future)
                        running |= {self._submit(train_unit, task): task for task in compiling.pop(future)}
                    else:
                        task = running.pop(future)
                        ended, again = self._ended(future, task)
                        yield from ended
                        running |= {} if again is None else {self._submit(train_unit, again): again}
                if not done:
                    self._some_are_done.wait(pause)
        finally:
            for future in (*compiling, *running):
                future.cancel()

    def _recipe(self, group: Group, program: Program, unit: Unit) -> UnitRecipe:
        return UnitRecipe(
            paths=ImportPaths([path for path in sys.path if path]),
            versions=self._versions,
            device=device_name(self.engine.devices[:1]),
            settings=self._settings,
            cache=setting("jax_compilation_cache_dir"),
            folder=str(self.keeper.folder.resolve()),
            key=unit.key,
            epochs=self.engine.sources.epochs,
            program=program,
            runs=self._scattered.like_runs([self._runs[place] for place in program.runs]),
        )

    def _submit(self, function: Any, task: _Task) -> WorkFuture:
        try:
            future = self.executor.submit(function, task.recipe)
        except Exception as error:  # a pool whose processes are gone
            return _Raised(error)
        call_back: Any = getattr(future, "add_done_callback", None)  # of `concurrent.futures`, Dask and loky
        if call_back is not None:
            call_back(lambda _: self._some_are_done.set())
        return future

    def _ended(self, future: WorkFuture, task: _Task) -> tuple[list[Ended], _Task | None]:
        """What a unit has brought, and the unit once more where it is to be tried again."""
        try:
            return self._read(task, future.result()), None
        except WorkerMismatchError:
            raise
        except Exception as error:
            tries, runs = task.tries + 1, list(task.recipe.program.runs)
            text = " ".join(f"{type(error).__name__}: {error}".split())
            what = f"a unit of {len(runs)} runs has failed ({text})"
            if tries < _TRIES:
                warnings.warn(f"{what}: it is tried again", stacklevel=4)
                return [], task._replace(tries=tries)
            warnings.warn(f"{what} {_TRIES} times: its runs are marked as failed", stacklevel=4)
            self.failures.append({"runs": runs, "error": text})
            return [Ended(self._failed(task), self._examples(task))], None

    def _read(self, task: _Task, trained: Trained) -> list[Ended]:
        manifest = read_manifest(self.keeper.folder)
        assert manifest is not None
        program = task.recipe.program
        unit = task.unit._replace(runs=program.runs, file=f"unit {task.unit.key}")
        if unit.file not in manifest["files"]:
            raise FileNotFoundError(f"{trained.where} has put no file for it into {self.keeper.folder}")
        saved = saved_runs(self.keeper.folder, manifest, unit, task.group.first.problem)
        assert saved is not None
        took = dataclasses.replace(
            program, compile_seconds=trained.compile_seconds, run_seconds=trained.run_seconds
        )
        return [Ended(saved.block, self._examples(task)), Ended(took=took)]

    def _examples(self, task: _Task) -> int:
        return len(task.recipe.program.runs) * task.group.num_examples * task.recipe.epochs

    def _failed(self, task: _Task) -> Block:
        """Runs that have failed: NaN, and nothing counted."""
        places = np.array(task.recipe.program.runs)
        shape = len(places), task.recipe.epochs
        history = {name: np.full(shape, np.nan, np.float32) for name in measured_in(task.group.runs)}
        history |= {name: np.zeros(shape, np.int32) for name in COUNTS}
        code, never = np.full(len(places), STATUS_WORDS.index("failed")), np.full(len(places), -1)
        return Block(places, history, code, never, kept_epoch=None, states=[None] * len(places))


class _Raised:
    """The future of a call that could not even be asked for."""

    def __init__(self, error: Exception):
        self._error = error

    def result(self) -> Any:
        raise self._error

    def done(self) -> bool:
        return True

    def cancel(self) -> bool:
        return False


def _raise_mismatch(future: WorkFuture) -> None:
    """Raise what a worker has raised that is not like this process; of anything else, say nothing yet."""
    try:
        future.result()
    except WorkerMismatchError:
        raise
    except Exception:  # compiling is tried again with training, which tells of it
        return
