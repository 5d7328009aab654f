"""Files that are there as a whole or not at all, and what is said of one that is damaged."""

import contextlib
import json
import os
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
)


def write_whole(folder: Path, contents: Mapping[str, str | Mapping[str, np.ndarray]]) -> None:
    """Write the files of these names, texts and `.npz`: each beside its place first, then all moved there."""
    with contextlib.ExitStack() as cleanup:
        temporary = {name: _written(folder, name, content, cleanup) for name, content in contents.items()}
        for name, path in temporary.items():
            os.replace(path, folder / name)
    _sync_folder(folder)


def _written(
    folder: Path, name: str, content: str | Mapping[str, np.ndarray], cleanup: contextlib.ExitStack
) -> Path:
    """A temporary file with the content, on disk, which the cleanup takes away if it is still there."""
    path = folder / f".{name}.{uuid.uuid4().hex}"
    cleanup.callback(path.unlink, missing_ok=True)
    with path.open("xb") as file:
        if isinstance(content, str):
            file.write(content.encode())
        else:
            np.savez(file, **content)  # pyright: ignore[reportArgumentType]
        file.flush()
        os.fsync(file.fileno())
    return path


def _sync_folder(folder: Path) -> None:
    """Have the names on disk too, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an `.npz`.

    Raises:
        ValueError: the file is damaged.
    """
    # Opened here: np.load leaves a damaged file open.
    with damage_named(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: the file is damaged.
    """
    with damage_named(path):
        return json.loads(path.read_text(encoding="utf-8"))


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what reading a damaged file raises into one line with its name."""
    try:
        yield
    except FileNotFoundError:
        raise
    except _DAMAGE as error:
        raise ValueError(
            f"{path} is damaged: {' '.join(str(error).split()) or type(error).__name__}"
        ) from error
