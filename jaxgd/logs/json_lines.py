"""Rows as lines of JSON in a file: each whole or not at all."""

import contextlib
import json
import math
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxgd.logs.destination import Destination, Row

_STRICT = json.JSONEncoder(allow_nan=False, default=str)
# A row is shorter than this.
_TAIL = 2**20
# How the rows of a sweep and of a run begin.
_STARTS = (b'{"run": ', b'{"epoch": ')


class JsonLines(Destination):
    """A file that gets each row as a line of strict JSON; NaN and the infinities are null.

    A line is one write at the file's end, under a lock where the system has one: two processes may write to
    one file. A line that a full disk cuts off is taken back. One that a killed process has left is removed
    when the file is opened again.

    Args:
        path: of a file, which is made if missing. One that is there must hold lines of JSON.
        overwrite: empty it first, rather than to append.

    Raises:
        ValueError: no name of a file, or one that holds something else; it stays as it is.
        OSError: a folder, or a file that cannot be written.
    """

    def __init__(self, path: str | os.PathLike, overwrite: bool = False):
        self.path, self.overwrite = Path(path), overwrite
        if not os.fspath(path) or "\0" in os.fspath(path):
            raise ValueError(f"log is {os.fspath(path)!r}; the name of a file is needed")
        with self._refused():
            _check_place(self.path)
            if self.path.is_file():
                _whole_size(self.path)

    def __str__(self):
        return repr(str(self.path))

    @contextlib.contextmanager
    def _refused(self) -> Iterator[None]:
        """Have an error say which log it is about."""
        try:
            yield
        except _NoRowsError:
            raise ValueError(f"log is {self}, which holds no lines of JSON and is not written to") from None
        except OSError as error:
            raise type(error)(f"log is {self}, which cannot be written: {error.strerror or error}") from None

    def open(self) -> None:
        """Open the file, without what a killed process has left of a line.

        Raises:
            ValueError, OSError: as when it was made.
        """
        with self._refused():
            self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            self._is_file = stat.S_ISREG(os.fstat(self._handle).st_mode)
            with self._locked():
                if self._is_file:
                    self._make_whole()

    def _make_whole(self) -> None:
        if self.overwrite:
            os.ftruncate(self._handle, 0)
            return
        size, ending = _whole_size(self.path)
        os.ftruncate(self._handle, size)
        os.write(self._handle, ending)

    def write(self, rows: Sequence[Row]) -> None:
        """Append the rows, and have them on disk.

        Raises:
            OSError: the disk is full, above all; what was written of the row is taken back.
        """
        with self._locked():
            for row in rows:
                self._append(_line(row))
        if self._is_file:
            os.fsync(self._handle)

    def _append(self, line: bytes) -> None:
        rest = line
        try:
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        except BaseException:
            if self._is_file and len(rest) < len(line):
                size = os.fstat(self._handle).st_size
                os.ftruncate(self._handle, size - (len(line) - len(rest)))
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from the file's end, where the system can."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(ImportError, OSError):
                import fcntl

                fcntl.flock(self._handle, fcntl.LOCK_EX)
                stack.callback(fcntl.flock, self._handle, fcntl.LOCK_UN)
            yield


def _line(row: Row) -> bytes:
    """The row as strict JSON. What is no value of JSON's is its text."""
    return _STRICT.encode({name: _finite(value) for name, value in row.items()}).encode() + b"\n"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


class _NoRowsError(Exception):
    """A file holds something else than rows."""


def _check_place(path: Path) -> None:
    """Raise OSError unless there can be a file there, without making one."""
    if path.is_dir():
        raise IsADirectoryError("it is a folder")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(path.parent)!r}")
    existing = path if path.exists() else path.parent
    if not os.access(existing, os.W_OK):
        raise PermissionError(f"{str(existing)!r} is read-only")


def _whole_size(path: Path) -> tuple[int, bytes]:
    """`(size, ending)`: how much of a file are whole lines, and what its last one lacks of an end.

    Raises:
        _NoRowsError: its last line is neither JSON nor the beginning of a row.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        *lines, last = file.read().split(b"\n")
    if lines and not _is_object(lines[-1]):
        raise _NoRowsError
    if not last or _is_object(last):
        return size, b"\n" if last else b""
    if not any(last.startswith(start[: len(last)]) for start in _STARTS):
        raise _NoRowsError
    return size - len(last), b""


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
