"""With whom a process shares a sweep: the part or the executor that is asked for, and their folder."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from jaxgd.machine.devices import DeviceGroup
from jaxgd.sweeps.folders.in_folder import Sharing
from jaxgd.sweeps.planning.cutting import SweepPart, checked_part
from jaxgd.sweeps.workers.manager import checked_executor, num_workers


def sharing_of(part: Any, executor: Any, folder: Any, replace: bool, clock: bool) -> Sharing | None:
    """Which part of a folder that is shared this process trains; None of one that it has to itself.

    Raises:
        ValueError, TypeError: options that do not go together.
    """
    if part is None and executor is None:
        return None
    name = "part" if executor is None else "executor"
    if part is not None and executor is not None:
        raise ValueError("a sweep takes part or executor, not both: an executor's workers take all parts")
    if replace:
        raise ValueError(
            f"replace=True would take away what others write: with {name}, delete the folder yourself"
        )
    if clock:
        raise ValueError(
            f"clock=True needs the whole sweep in one process: with {name}, use result.clocked()"
        )
    if executor is not None:
        return Sharing(SweepPart(1, 1), num_workers(checked_executor(executor)))
    if folder is None:
        raise ValueError("part needs folder=, where the parts of the sweep come together")
    assert part is not None
    own = checked_part(part)
    return Sharing(own, own.of)


def worker_devices(devices: Sequence[Any]) -> Sequence[Any]:
    """The device of a worker, of those that a sweep would go over here.

    Raises:
        ValueError: each of them is a group.
    """
    if isinstance(devices[0], DeviceGroup):
        raise ValueError(
            "batch_spec splits each batch over devices of this process, and a worker of executor= trains on "
            "one device: leave one of them out"
        )
    return devices[:1]


@contextlib.contextmanager
def folder_for(folder: Any, executor: Any) -> Iterator[Any]:
    """The folder of a sweep; of one with workers a temporary one where none is given."""
    if executor is None or folder is not None:
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="jaxgd-workers-") as made:
            yield made
