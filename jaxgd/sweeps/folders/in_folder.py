"""A sweep with a folder to be kept in: opened, and when it cannot be written, saved somewhere else."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from jaxgd.sweeps.engine.execution import Engine
from jaxgd.sweeps.folders.going_on import Asked, Begun, go_on, sweep_in
from jaxgd.sweeps.folders.joining import join
from jaxgd.sweeps.folders.keeper import Keeper
from jaxgd.sweeps.folders.shared_keeper import SharedKeeper
from jaxgd.sweeps.planning.cutting import SweepPart
from jaxgd.sweeps.planning.planner import Planned
from jaxgd.sweeps.results.result import SweepResult
from jaxgd.sweeps.runs import Run
from jaxgd.sweeps.store.files import path_named
from jaxgd.sweeps.store.folder import folder_of
from jaxgd.sweeps.store.lock import only_writer
from jaxgd.sweeps.store.manifest import check_free
from jaxgd.sweeps.store.unit_files import is_shared


class Sharing(NamedTuple):
    """A process among those that write to a folder: which part is its own, and how many the units do for."""

    part: SweepPart
    num_parts: int


class NotKeptError(OSError):
    """A sweep is done, and its folder could not be written to the end; `result` is what it gave."""

    result: SweepResult


@contextlib.contextmanager
def kept_in(
    folder: str | os.PathLike,
    replace: bool,
    asked: Asked,
    engine: Engine,
    choose: Callable[[Sequence[Run]], Planned],
    sharing: Sharing | None = None,
) -> Iterator[Begun]:
    """The sweep as the folder has it, what is left of it put down there; nobody else writes meanwhile.

    sharing: with whom this process shares the folder, where it is to be shared.

    Raises:
        ValueError: no name of a folder, or as `go_on` and `join`.
        FileExistsError: the folder has a `manifest.json` that is not of a sweep.
        FolderInUseError: another process trains into it.
        OSError: it cannot be written.
    """
    path = folder_of(folder)
    check_free(path)
    with path_named(path):
        path.mkdir(parents=True, exist_ok=True)
    if sharing is None and not replace and is_shared(sweep_in(path)):
        sharing = Sharing(SweepPart(1, 1), 1)
    if sharing is not None:
        yield join(path, asked, engine, choose, *sharing)
        return
    with only_writer(path):
        begun = go_on(path, replace, asked, engine, choose)
        assert begun.keeper is not None
        begun.keeper.begin()
        yield begun


def save_elsewhere(result: SweepResult, keeper: Keeper | SharedKeeper) -> NotKeptError:
    """The error that says where a result is, whose keeper could not write its folder."""
    error = keeper.error or OSError()
    why = f"{error.filename or keeper.folder} cannot be written: {error.strerror or error}"
    try:
        other = tempfile.mkdtemp(prefix="jaxgd-sweep-")
        result.save(other)
        text = f"{why}; the result was saved in {other}, which jaxgd.load reads"
    except (OSError, TypeError):
        text = f"{why}; there is no other place for the result either: free some space, and run it again"
    found = NotKeptError(text)
    found.result = result
    return found
