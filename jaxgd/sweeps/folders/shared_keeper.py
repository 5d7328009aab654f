"""A sink that puts each unit of a sweep into a folder to which other processes write as well."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxgd.sweeps.engine.driver import Ended
from jaxgd.sweeps.engine.timed import UpdateSeconds
from jaxgd.sweeps.folders.keeper import tell_of_unwritten
from jaxgd.sweeps.planning.plans import Program
from jaxgd.sweeps.results.records import Record
from jaxgd.sweeps.results.units import runs_archive
from jaxgd.sweeps.store.manifest import has_unit, put_unit


class SharedKeeper:
    """Keeps the units of a sweep that this process trains, each when all of its runs have ended.

    What cannot be written is kept in memory and tried again with the next: `error` is what the system said
    last, None once everything is down. A unit that another process has put down is left as it is.

    Attributes:
        record: the sweep as the folder's manifest describes it, with what its programs took.
    """

    def __init__(self, folder: Path, record: Record, before: Sequence[Ended]):
        self.folder, self.record, self.error = folder, record, None
        self._ended = [each.block for each in before if each.took is None and each.block is not None]
        self._pending: dict[str, Mapping[str, np.ndarray]] = {}

    def begin(self) -> None:
        """Nothing: what is to be trained has been put down by whoever was first."""

    def take(self, ended: Ended) -> None:
        """Put down a unit of which all runs have ended."""
        self._ended += [] if ended.block is None else [ended.block]
        if ended.took is None or not self._is_whole(ended.took):
            return
        unit = next(unit for unit in self.record.units if set(ended.took.runs) <= set(unit.program.runs))
        place = self.record.units.index(unit)
        done = unit._replace(program=_took(unit.program, ended.took), runs=unit.program.runs)
        units = self.record.units
        self.record = self.record._replace(units=(*units[:place], done, *units[place + 1 :]))
        if not has_unit(self.folder, unit.key):
            self._pending[unit.key] = runs_archive(self._ended, unit.program.runs)
        self._ended = [block for block in self._ended if not np.isin(block.places, unit.program.runs).any()]
        self._try_to_put()

    def close(self, seconds: float = 0.0) -> None:
        """Try once more to put down what could not be written; what the sweep took in all nobody knows."""
        if self.error is not None:
            self._try_to_put()

    def put_seconds(self, timed: UpdateSeconds) -> None:
        """Nothing: what updates take is measured by whoever has the result, see `SweepResult.clocked`."""

    def _is_whole(self, took: Program) -> bool:
        """Whether all runs of the unit have ended: where memory ran out it comes in several programs."""
        ended = {place for block in self._ended for place in block.places.tolist()}
        return any(
            set(took.runs) <= set(unit.program.runs) <= ended
            for unit in self.record.units
            if not unit.is_done
        )

    def _try_to_put(self) -> None:
        try:
            for key in list(self._pending):
                put_unit(self.folder, key, self._pending[key])
                del self._pending[key]
        except OSError as error:
            if self.error is None:
                tell_of_unwritten(self.folder, error)
            self.error = error
        else:
            self.error = None


def _took(program: Program, part: Program) -> Program:
    """The program of a unit with what the last of its parts took."""
    return dataclasses.replace(
        program, compile_seconds=part.compile_seconds, run_seconds=part.run_seconds, reason=part.reason
    )
