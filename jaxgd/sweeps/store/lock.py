"""A folder that one process writes to at a time."""

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from jaxgd.strict_json import read_json
from jaxgd.sweeps.store.files import open_file, write_whole

_LOCK, _OWNER = ".jaxgd-lock", ".jaxgd-owner"
# Seconds that an owner has to say its name, and bytes that it may say.
_MOMENT, _LONGEST = 1.0, 10_000


class FolderInUseError(ValueError):
    """Another process writes to the folder; its text names it."""


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Be the one process that trains into the folder, which is there. A process that ends frees it.

    Raises:
        FolderInUseError: another one is, with its process number and host.
        OSError: it cannot be written, or has no locks.
    """
    for name in (_LOCK, _OWNER):
        if (folder / name).is_symlink():  # a folder of somebody else does not choose what is written to
            (folder / name).unlink()
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise FolderInUseError(f"{folder} is in use: {_owner(folder)} trains into it") from None
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(folder)) from error
    except NotImplementedError:
        raise OSError(errno.ENOLCK, "its file system has no locks", str(folder)) from None
    try:
        me = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
        with contextlib.suppress(OSError):  # it is only told; the lock is what holds
            write_whole(folder / _OWNER, me)
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / _OWNER).unlink()
        lock.release()


def _owner(folder: Path) -> str:
    """The process that has the lock, in words; one that has just begun is given a moment to say so."""
    until = time.monotonic() + _MOMENT
    while True:
        with (
            contextlib.suppress(OSError, ValueError, KeyError, TypeError),
            open_file(folder / _OWNER) as file,
        ):
            owner = read_json(file.read(_LONGEST))
            return f"process {int(owner['pid'])} on {str(owner['host'])[:100]}"
        if time.monotonic() > until:
            return "another process"
        time.sleep(0.02)
