"""A sink that puts down each program as it ends, and where those under way stand."""

import dataclasses
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxgd.sweeps.engine.driver import AtWork, Ended
from jaxgd.sweeps.engine.identity import ProgramIdentity, identity_of
from jaxgd.sweeps.engine.timed import UpdateSeconds
from jaxgd.sweeps.folders.checkpoints import checkpoint_arrays
from jaxgd.sweeps.planning.plans import Program
from jaxgd.sweeps.results.records import Record, Unit
from jaxgd.sweeps.results.units import runs_archive, runs_names, with_seconds
from jaxgd.sweeps.store.archives import about_to
from jaxgd.sweeps.store.files import damage_of
from jaxgd.sweeps.store.folder import read_file, write
from jaxgd.sweeps.store.manifest import FORMAT, Entry

# A checkpoint is written after so many seconds, and no sooner than so many times as the last one took.
_EVERY, _COST = 5.0, 30.0


class Keeper:
    """Keeps a sweep in a folder as it goes.

    What cannot be written is kept in memory and tried again with the next: `error` is what the system said
    last, None once everything is down.

    Attributes:
        record: the sweep as the folder's manifest describes it, or will.
        seconds: spent in here.
    """

    def __init__(
        self,
        folder: Path,
        record: Record,
        entries: Mapping[str, Entry],
        before: Sequence[Ended],
        identify: Callable[[Program], ProgramIdentity],
    ):
        self.folder, self.record, self.error = folder, record, None
        self._identify = identify
        self.seconds, self._last_cost = 0.0, 0.0
        self._entries, self._pending = dict(entries), {}
        self._ended = [each.block for each in before if each.took is None and each.block is not None]
        self._written = time.perf_counter()
        self._at_work: AtWork | None = None
        self._is_open = False

    def begin(self) -> None:
        """Put down what is to be trained. Where nothing is, the folder stays as it is.

        Raises:
            OSError: the folder cannot be written.
        """
        if not all(unit.is_done for unit in self.record.units):
            self._commit()
            self._is_open = True

    def take(self, ended: Ended) -> None:
        """Put down a program that has ended, or from time to time where it stands."""
        begun = time.perf_counter()
        self._at_work = ended.at_work
        self._ended += [] if ended.block is None else [ended.block]
        if ended.took is not None:
            self._keep_ended(ended)
            self._at_work = None
        elif begun - self._written > max(_EVERY, _COST * self._last_cost):
            self._keep_checkpoint()
        else:
            return
        self._try_to_commit()
        self._last_cost = time.perf_counter() - begun
        self.seconds += self._last_cost

    def close(self, seconds: float = 0.0) -> None:
        """Put down where the program under way stands, and what the sweep took this time."""
        if not self._is_open:
            return
        self._spend(seconds, 0.0)
        if self._at_work is not None:
            self._keep_checkpoint()
        self._try_to_commit()
        if self.error is not None:  # there is no later time
            self._try_to_commit()

    def put_seconds(self, timed: UpdateSeconds) -> None:
        """Put down what the updates of a program's runs take, all of which have ended and lie in a file."""
        begun = time.perf_counter()
        unit = next(each for each in self.record.units if each.program.runs == timed.program.runs)
        self._spend(timed.took, timed.took)
        if self.error is not None:  # the file is not there yet
            self._try_to_commit()
        if self.error is None and unit.file is not None:
            self._keep_seconds(unit, [timed.per_update[run] for run in unit.runs])
            self._try_to_commit()
        self.seconds += time.perf_counter() - begun

    def _keep_seconds(self, unit: Unit, per_update: Sequence[float]) -> None:
        """The unit with a file that has these seconds besides."""
        assert unit.file is not None
        try:
            _, arrays, about = read_file(self.folder, {"files": self._entries}, unit.file, runs_names)
        except (ValueError, FileNotFoundError) as error:
            warnings.warn(f"{damage_of(error)}: what its updates take is not kept", stacklevel=4)
            return
        self._forget(unit)
        name = self._free_name("unit")
        self._pending[name] = about_to(*with_seconds(arrays, about, per_update))
        self._set(unit, unit._replace(file=name, checkpoint=None))

    def _spend(self, seconds: float, clock_seconds: float) -> None:
        """Add to what the sweep took."""
        plan = self.record.plan
        spent = (plan.seconds or 0.0) + seconds, (plan.clock_seconds or 0.0) + clock_seconds
        self.record = self.record._replace(
            plan=dataclasses.replace(plan, seconds=spent[0], clock_seconds=spent[1])
        )

    def _keep_ended(self, ended: Ended) -> None:
        """The runs of a program that has ended, instead of what there was of it."""
        assert ended.took is not None
        assert ended.at_work is not None
        unit = self._unit(ended.at_work)
        self._forget(unit)
        done = unit._replace(program=ended.took, runs=ended.took.runs, checkpoint=None)
        self._set(unit, self._with_file(done))
        self._ended = [block for block in self._ended if not np.isin(block.places, unit.program.runs).any()]

    def _keep_checkpoint(self) -> None:
        """The runs that have ended of the program under way, and where the others stand."""
        at_work = self._at_work
        assert at_work is not None
        unit = self._unit(at_work)
        try:
            snapshot = at_work.driver.snapshot()
        except (RuntimeError, AttributeError):  # interrupted within a call: its slots are gone
            return
        runs = tuple(at_work.driver.group.runs[lane].index for lane in snapshot.done)
        self._forget(unit)
        name = self._free_name("checkpoint")
        arrays, about = checkpoint_arrays(snapshot)
        self._pending[name] = about_to(arrays, {"format": FORMAT, **about})
        self._set(unit, self._with_file(unit._replace(runs=runs, checkpoint=name, file=None)))

    def _with_file(self, unit: Unit) -> Unit:
        """The unit with a file of its runs that have ended."""
        if not unit.runs:
            return unit
        name = self._free_name("unit")
        self._pending[name] = runs_archive(self._ended, unit.runs)
        return unit._replace(file=name)

    def _unit(self, at_work: AtWork) -> Unit:
        """The unit of a program at work, which may come out of another, for which memory was too small."""
        program = at_work.program
        unit = next(each for each in self.record.units if set(program.runs) <= set(each.program.runs))
        if unit.program.runs != program.runs or unit.program.recipe != program.recipe:
            unit = self._split(unit, program)
        if unit.identity is None:
            driver = at_work.driver
            assert driver.digest is not None
            identity = identity_of(driver.inputs, program.recipe, driver.digest)._asdict()
            self._set(unit, named := unit._replace(identity=identity))
            return named
        return unit

    def _split(self, unit: Unit, program: Program) -> Unit:
        """A unit for a program of some of the unit's runs, and one for its other runs."""
        self._forget(unit)
        made = Unit(program, self._identify(program)._asdict())  # its driver moves others besides
        rest = tuple(run for run in unit.program.runs if run not in program.runs)
        others = [Unit(dataclasses.replace(unit.program, runs=rest))] if rest else []
        self._set(unit, made, *others)
        return made

    def _set(self, unit: Unit, *instead: Unit) -> None:
        place = self.record.units.index(unit)
        units = self.record.units
        self.record = self.record._replace(units=(*units[:place], *instead, *units[place + 1 :]))

    def _forget(self, unit: Unit) -> None:
        """Let go of the unit's files; they stay on disk until the next commit."""
        for name in filter(None, (unit.file, unit.checkpoint)):
            self._entries.pop(name, None)
            self._pending.pop(name, None)

    def _free_name(self, kind: str) -> str:
        taken = {*self._entries, *self._pending}
        return next(name for number in range(len(taken) + 1) if (name := f"{kind} {number}") not in taken)

    def _try_to_commit(self) -> None:
        """Commit, or warn once that it cannot be done."""
        try:
            self._commit()
        except OSError as error:
            if self.error is None:
                tell_of_unwritten(self.folder, error)
            self.error = error

    def _commit(self) -> None:
        self._entries = write(self.folder, self.record.content(), self._pending, self._entries)
        self._pending, self.error = {}, None
        self._written = time.perf_counter()


def tell_of_unwritten(folder: Path, error: OSError) -> None:
    """Warn that a sweep goes on though its folder cannot be written now."""
    warnings.warn(
        f"{error.filename or folder} cannot be written ({error.strerror}): the sweep goes on, and tries "
        "again when more has ended",
        stacklevel=4,
    )
