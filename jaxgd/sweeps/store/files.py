"""Files that are there as a whole or not at all, and what is said of one that is damaged."""

import contextlib
import errno
import filecmp
import os
import stat
import tokenize
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path

import numpy as np

# What reading a damaged or a hostile file raises.
_DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    OSError,
    MemoryError,
    RecursionError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
)


class UnreadableError(ValueError):
    """A file cannot be read as what was saved; the text names it and says why."""


def write_whole(path: Path, text: str) -> None:
    """Write a text file as a whole or not at all; a link in its place is replaced, not followed.

    What UTF-8 cannot hold is written as its escape: a file's name may have bytes that are no UTF-8.

    Raises:
        OSError: it cannot be written, with its path; what was there before is as it was.
    """
    beside = path.with_name(f".jaxgd-page-{uuid.uuid4().hex}")
    try:
        with path_named(path):
            write_synced(beside, text.encode("utf-8", "backslashreplace"))
            os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_synced(path: Path, content: bytes | Mapping[str, np.ndarray]) -> None:
    """Write a new file, or the arrays of a new `.npz`, and have it on disk."""
    with path.open("xb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            np.savez(file, **content)  # pyright: ignore[reportArgumentType]
        file.flush()
        os.fsync(file.fileno())


def create(path: Path, beside: Path) -> None:
    """Give a new file, which lies beside it, the name that is made of its content; it is gone from there.

    Whoever is first creates it: a file of this content that another process has put there stays, so that
    several may write into a folder and need no lock. One that is damaged is replaced.

    Raises:
        OSError: it cannot be written.
    """
    try:
        os.link(beside, path)
    except OSError:  # it is there, or the file system knows no links
        if not _is_file_like(path, beside):
            os.replace(beside, path)
    beside.unlink(missing_ok=True)


def _is_file_like(path: Path, other: Path) -> bool:
    """Whether there is a file of the other's content, and no link to one."""
    with contextlib.suppress(OSError):
        return stat.S_ISREG(path.lstat().st_mode) and filecmp.cmp(path, other, shallow=False)
    return False


def open_file(path: Path) -> BufferedReader:
    """The file, open for reading.

    Raises:
        FileNotFoundError: there is none, or something else that might never end.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "there is no such file", str(path))
    return path.open("rb")


def sync_folder(folder: Path) -> None:
    """Have the names on disk too, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process or thread is in this context for the folder, where the system can lock."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, ImportError):
            import fcntl

            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def path_named(path: Path) -> Iterator[None]:
    """Have an OSError name the file that the user knows: that of a full disk names none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def damage_of(error: Exception) -> str:
    """What reading a file has raised, as a line that names the file."""
    return f"{error.filename} is missing" if isinstance(error, FileNotFoundError) else str(error)


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what reading a damaged file raises into one line with its name."""
    try:
        yield
    except FileNotFoundError:
        raise
    except _DAMAGE as error:
        raise UnreadableError(
            f"{path} is damaged: {' '.join(str(error).split()) or type(error).__name__}"
        ) from error
