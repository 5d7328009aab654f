"""What travels to a worker: the runs of a unit, their program, and where their arrays are."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.sweeps.cohorts import Cohort, LeafColumn, Row
from jaxgd.sweeps.groups import group_runs
from jaxgd.sweeps.planning.plans import Program
from jaxgd.sweeps.runs import Run
from jaxgd.sweeps.store.archives import about_to
from jaxgd.sweeps.store.arrays import dtype_name, encoded
from jaxgd.sweeps.store.manifest import FORMAT, Entry, put_data
from jaxgd.training.states import Moving

# Arrays of fewer bytes travel with the recipe.
_SMALL = 2**10
_NAME = "array"


class ImportPaths:
    """Folders that modules are imported from. Unpickled, they are searched there too, after all others."""

    def __init__(self, paths: Sequence[str]):
        self.paths = tuple(paths)

    def __reduce__(self):
        return searched, (self.paths,)


def searched(paths: Sequence[str]) -> ImportPaths:
    """The folders, which are searched for modules from now on."""
    sys.path.extend(path for path in paths if path not in sys.path)
    return ImportPaths(paths)


class StoredArray(NamedTuple):
    """An array that lies in the sweep's folder, in the file of this entry; whether it was one of JAX."""

    entry: Entry
    dtype: str
    of_jax: bool


class LikeRuns(NamedTuple):
    """Runs of one structure.

    trainer: the first one's, numbers instead of its leaves. columns: of the leaves of all. places, seeds: of
    each run. starts: distinct ones. start_of: which of them each run has, -1 for none.
    """

    trainer: Any
    columns: list[LeafColumn]
    places: list[int]
    seeds: list[int]
    starts: list[Moving]
    start_of: list[int]


class UnitRecipe(NamedTuple):
    """What a worker needs to train a unit; it is in the order in which it has to be unpickled.

    paths: folders of modules. versions, device: what the sweep was planned with and for. settings: of JAX.
    cache: the folder of compiled programs, None for the worker's own. folder: of the sweep. key: of the unit.
    """

    paths: ImportPaths
    versions: Mapping[str, str]
    device: str
    settings: Mapping[str, Any]
    cache: str | None
    folder: str
    key: str
    epochs: int
    program: Program
    runs: list[LikeRuns]


class Scattered:
    """Puts arrays into the folder of a sweep, each once."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._stored: dict[int, tuple[Any, StoredArray]] = {}  # holding an array keeps its id taken

    def like_runs(self, runs: Sequence[Run]) -> list[LikeRuns]:
        """The runs as they travel.

        Raises:
            OSError: the folder cannot be written.
        """
        return [self._of_group(group.runs, group.cohort) for group in group_runs(runs)]

    def _of_group(self, runs: Sequence[Run], cohort: Cohort) -> LikeRuns:
        starts: dict[int, tuple[int, Moving]] = {}
        start_of = [
            -1 if run.start is None else starts.setdefault(id(run.start), (len(starts), run.start))[0]
            for run in runs
        ]
        return LikeRuns(
            trainer=jax.tree.unflatten(cohort.structure, range(len(cohort.columns))),
            columns=[self._travelling(column) for column in cohort.columns],
            places=[run.index for run in runs],
            seeds=[run.seed for run in runs],
            starts=[start for _, start in starts.values()],
            start_of=start_of,
        )

    def _travelling(self, column: LeafColumn) -> LeafColumn:
        """The column with the places of large arrays instead of these."""
        if column.places is None:
            return column
        values = [
            self._put(value) if getattr(value, "nbytes", 0) >= _SMALL else value for value in column.values
        ]
        return LeafColumn(values, column.places, values[0])

    def _put(self, array: Any) -> StoredArray:
        if id(array) not in self._stored:
            on_host = np.asarray(array)
            entry = put_data(self.folder, about_to({_NAME: encoded(on_host)}, {"format": FORMAT}))
            stored = StoredArray(entry, dtype_name(on_host), isinstance(array, jax.Array))
            self._stored[id(array)] = array, stored
        return self._stored[id(array)][1]


def names_of_data(about: Any) -> Iterator[str]:
    """The names of the arrays in a file of one."""
    yield _NAME


def runs_of(parts: Sequence[LikeRuns], load: Any) -> list[Run]:
    """The runs that have travelled; `load` gives the array of a `StoredArray`."""
    found = []
    for part in parts:
        columns = [_arrived(column, load) for column in part.columns]
        cohort = Cohort(jax.tree.structure(part.trainer), columns, len(part.places))
        for row, (place, seed, start) in enumerate(zip(part.places, part.seeds, part.start_of, strict=True)):
            found.append(Run(place, Row(cohort, row), seed, None if start < 0 else part.starts[start]))
    return sorted(found, key=lambda run: run.index)


def _arrived(column: LeafColumn, load: Any) -> LeafColumn:
    if column.places is None:
        return column
    values = [load(value) if isinstance(value, StoredArray) else value for value in column.values]
    return LeafColumn(values, column.places, values[0])
