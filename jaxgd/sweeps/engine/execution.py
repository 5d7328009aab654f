"""The engine of a sweep: programs compile in threads, run as they are ready, halved where memory runs out."""

import contextlib
import dataclasses
import importlib
import math
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax

from jaxgd.machine.background import Background, completed
from jaxgd.machine.compiling import with_settings_of_caller
from jaxgd.machine.devices import free_bytes
from jaxgd.machine.host import num_cores
from jaxgd.machine.interrupts import Interrupts
from jaxgd.sweeps.engine.driver import AtWork, Driver, Ended, Snapshot
from jaxgd.sweeps.engine.identity import ProgramIdentity, identity_of
from jaxgd.sweeps.engine.programs import bytes_of, compiled, digest, known, lower
from jaxgd.sweeps.functions.whole_lanes import inputs_of
from jaxgd.sweeps.groups import Group, only_group
from jaxgd.sweeps.lanes.inputs import Inputs
from jaxgd.sweeps.lanes.sources import Sources
from jaxgd.sweeps.planning.planner import Planned
from jaxgd.sweeps.planning.plans import Program, Recipe

# What makes a driver, or raises what compiling its program has raised; its group and its program.
Ready = tuple[Callable[[], Driver], Group, Program]


class Engine:
    """Runs programs, for one caller: it keeps to the settings of JAX under which it was made.

    Attributes:
        devices: on which lanes run.
        sources: what lanes begin with.
        named: whether drivers know the digest of their programs.
    """

    def __init__(self, devices: Sequence[Any], epochs: int, named: bool = False):
        self.devices, self.sources, self.named = devices, Sources(epochs), named
        self.driver = with_settings_of_caller(self._driver)

    def inputs(self, group: Group) -> Inputs:
        """What the program of a group is given."""
        return inputs_of(group, self.sources)

    def _driver(self, group: Group, recipe: Recipe) -> Driver:
        """The driver of a group, its program compiled; in any thread."""
        begun = time.perf_counter()
        inputs = self.inputs(group)
        program = compiled(inputs, recipe, self.devices, self.named)
        return Driver(inputs, recipe, program, time.perf_counter() - begun)

    def identity(self, group: Group, recipe: Recipe) -> ProgramIdentity:
        """What the runs of a group depend on, with nothing compiled."""
        inputs = self.inputs(group)
        return identity_of(inputs, recipe, digest(inputs, recipe, self.devices))

    def bytes_of(self, inputs: Inputs, recipe: Recipe) -> float:
        """Bytes that a program needs on a device, from compiling it; infinite where XLA refuses that."""
        try:
            return bytes_of(lower(inputs, recipe, self.devices).compile())
        except jax.errors.JaxRuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return math.inf

    def run(
        self,
        planned: Planned,
        interrupts: Interrupts,
        begun: Mapping[tuple[int, ...], Snapshot] = MappingProxyType({}),
    ) -> Iterator[Ended]:
        """What ends, as it ends; of each program, or part of one, at last what it took.

        When a signal comes, nothing more is begun; between two calls, whoever iterates has to stop.

        begun: where programs stand that were interrupted, by the places of their runs.
        """
        ready = self._ready(planned, interrupts) or self._compiling(planned, interrupts)
        with contextlib.closing(ready):
            for make, group, program in ready:
                yield from self._in_memory(make, group, program, begun.get(program.runs))

    def _ready(self, planned: Planned, interrupts: Interrupts) -> Generator[Ready, None, None] | None:
        """The programs where all of them are compiled, which then takes no threads; else None."""
        found = [self._known(group, program.recipe) for group, program in planned]
        drivers = [driver for driver in found if driver is not None]
        if len(drivers) < len(found):
            return None
        self._prepare(planned, interrupts)
        pairs = zip(drivers, planned, strict=True)
        return ((lambda driver=driver: driver, *each) for driver, each in pairs if not interrupts)

    def _known(self, group: Group, recipe: Recipe) -> Driver | None:
        """The driver of a group whose program is compiled; None of another."""
        inputs = self.inputs(group)
        program = known(inputs, recipe, self.devices, self.named)
        return None if program is None else Driver(inputs, recipe, program)

    def _compiling(self, planned: Planned, interrupts: Interrupts) -> Generator[Ready, None, None]:
        """The programs as they are compiled, in threads."""
        pool = Background(1 + max(1, min(len(planned), num_cores())))
        try:
            prepared = pool.submit(with_settings_of_caller(self._prepare), planned, interrupts)
            futures = {
                pool.submit(self.driver, group, program.recipe): (group, program)
                for group, program in planned
            }
            for future in completed([prepared], interrupts):
                future.result()
            for future in completed(list(futures), interrupts):
                group, program = futures[future]
                yield future.result, group, program
        finally:
            # Where the sweep ends early, nobody need wait for the program that is compiling.
            pool.shutdown(wait=False, cancel_futures=True)

    def _prepare(self, planned: Planned, interrupts: Interrupts) -> None:
        """While the programs compile: what they are given, and then what the result will be made of.

        Importing that takes Python as long as tracing a program does, which would wait for it.
        """
        every = [self.inputs(group) for group, _ in planned]
        for one, run in [(each, run) for each in every for run in each.group.runs]:
            if not interrupts:
                one.make(run)
        for one in every if not interrupts else ():
            one.check()
        importlib.import_module("xarray")

    def _in_memory(
        self, make: Callable[[], Driver], group: Group, program: Program, snapshot: Snapshot | None = None
    ) -> Iterator[Ended]:
        """What the program's runs bring; those that did not fit into memory again, half as many at once."""
        before = [] if snapshot is None else snapshot.done.tolist()
        done = {group.runs[lane].index for lane in before}
        started, driver = time.perf_counter(), None
        try:
            driver = make()
            started = time.perf_counter()
            for ended in driver.run(program.predicted_run_seconds, snapshot):
                done.update(() if ended.block is None else ended.block.places.tolist())
                yield ended._replace(at_work=AtWork(program, driver))
            yield _took(driver, program, time.perf_counter() - started)
            return
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            left = [run for run in group.runs if run.index not in done]
            smaller = halved(program, self.devices, error)
            smaller = dataclasses.replace(smaller, runs=tuple(run.index for run in left))
            had, has = program.recipe.lanes, smaller.recipe.lanes
            warnings.warn(f"out of memory with {had} lanes on a device: going on with {has}", stacklevel=2)
        if done:
            finished = only_group([run for run in group.runs if run.index in done])
            program = dataclasses.replace(program, runs=tuple(run.index for run in finished.runs))
            if driver is None:  # what had ended before ended in another process
                driver = self.driver(finished, program.recipe.alone)
            yield _took(driver, program, time.perf_counter() - started)
        rest = only_group(left)
        yield from self._in_memory(lambda: self.driver(rest, smaller.recipe), rest, smaller)


def _took(driver: Driver, program: Program, run_seconds: float) -> Ended:
    """The program with what it took."""
    took = dataclasses.replace(program, compile_seconds=driver.compile_seconds, run_seconds=run_seconds)
    return Ended(took=took, at_work=AtWork(program, driver))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "resource_exhausted" in text or "out of memory" in text


def halved(program: Program, devices: Sequence[Any], error: BaseException | None = None) -> Program:
    """The program with half as many lanes, where so many were too many for the memory.

    Raises:
        MemoryError: there was only one.
    """
    recipe = program.recipe
    if recipe.lanes == 1:
        raise MemoryError(
            f"one run of {program.name}, needs about {program.predicted_bytes:,} bytes on each device, "
            f"{free_bytes(devices):,} are free: use a smaller batch size, or micro-batches "
            "(trainer(..., microbatch=...))"
        ) from error
    width = min(recipe.width, recipe.lanes // 2)
    lanes = recipe.lanes // 2 // width * width
    return dataclasses.replace(
        program,
        recipe=recipe._replace(lanes=lanes, width=width),
        reason=f"halved: out of memory with {recipe.lanes} lanes",
        predicted_bytes=program.predicted_bytes // 2,
    )
