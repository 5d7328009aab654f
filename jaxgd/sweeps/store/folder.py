"""A folder of arrays and text that is there whole or not at all; it reads those of every earlier format."""

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jaxgd.sweeps.store import format_1
from jaxgd.sweeps.store.archives import read_archive
from jaxgd.sweeps.store.arrays import dataset_names, state_names
from jaxgd.sweeps.store.files import alone_in, damage_named
from jaxgd.sweeps.store.manifest import (
    MANIFEST,
    Entry,
    check_format,
    check_free,
    commit,
    opened,
    read_manifest,
)

T = TypeVar("T")


def write(
    folder: Path,
    content: Mapping[str, Any],
    archives: Mapping[str, Any],
    kept: Mapping[str, Entry] = MappingProxyType({}),
) -> dict[str, Entry]:
    """Put archives and what a manifest says of them into a folder, made if missing, in one commit.

    Whatever stops it, the folder holds the earlier content or this one, whole. Other files there stay, and
    those `kept`; what the manifest now says of each file is returned, to be kept the next time.

    Raises:
        FileExistsError: the folder has a `manifest.json` that is not of a saved sweep; nothing is written.
        OSError: the folder cannot be written.
    """
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        return commit(folder, content, archives, kept)


class Parts(NamedTuple):
    """What a folder holds, and the files that say it."""

    dataset: tuple[Path, Mapping[str, np.ndarray], Any]
    params: tuple[Path, Mapping[str, np.ndarray], Any]
    plan: tuple[Path, Any]
    axes: tuple[Path, Any]
    spec: tuple[Path, Any]
    data: tuple[Path, Any]


def read(folder: Path, manifest: Mapping[str, Any] | None) -> Parts:
    """Everything that a folder with a saved result holds: see `whole`, which gives its manifest.

    Raises:
        ValueError: a file is damaged, from another save or from a newer version.
    """
    parts = _read(folder, manifest)
    # Without a manifest, nothing says whether a spec belongs to the save or was just deleted.
    if manifest is None and _manifest(folder) is not None:
        raise FileNotFoundError(errno.ENOENT, "a later save has replaced it", str(folder / format_1.DATASET))
    return parts


def whole(folder: Path, read: Callable[[Mapping[str, Any] | None], T]) -> T:
    """What `read` gives for the folder's manifest (None for a save of format 1), which it reads files by.

    Where a writer has replaced the manifest meanwhile, and deleted files of the one before, it reads again.

    Raises:
        FileNotFoundError: there is no saved sweep.
        ValueError: a file is missing, damaged, from another save or from a newer version.
    """
    while True:
        manifest = _manifest(folder)
        try:
            return read(manifest)
        except FileNotFoundError as error:
            if _manifest(folder) != manifest:
                continue
            if error.filename is None:  # a reader within has said it
                raise
            missing = Path(error.filename).name
            if missing == format_1.DATASET:
                raise FileNotFoundError(
                    f"{str(folder)!r} has no {MANIFEST}: no sweep was saved there"
                ) from None
            raise ValueError(f"{str(folder)!r} is not complete: {missing} is missing") from None


def read_file(
    folder: Path, manifest: Mapping[str, Any], name: str, names_of: Callable[[Any], Iterable[str]]
) -> tuple[Path, dict[str, np.ndarray], Any]:
    """`(path, arrays, about)` of a file that a manifest names so.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: it is damaged.
    """
    with damage_named(folder / MANIFEST):
        entry = manifest["files"][name]
        path = folder / entry["name"]
    with opened(folder, entry) as file:
        return path, *read_archive(file, names_of)


def has_saved_result(folder: Path) -> bool:
    """Whether the folder holds a save of format 1, which has no manifest."""
    return format_1.is_own(folder / format_1.DATASET)


def folder_of(name: str | os.PathLike) -> Path:
    """The folder of that name.

    Raises:
        ValueError: no folder can have it.
    """
    text = os.fspath(name)
    if not text or "\0" in text:
        raise ValueError(f"folder is {text!r}; the name of a folder is needed")
    return Path(text)


def _manifest(folder: Path) -> dict[str, Any] | None:
    """The folder's manifest; None where a save of format 1 lies beside a file of that name."""
    try:
        return read_manifest(folder)
    except ValueError:
        if has_saved_result(folder):
            return None
        raise


def _read(folder: Path, manifest: Mapping[str, Any] | None) -> Parts:
    """Everything that a folder holds: what its manifest names, or without one a save of format 1."""
    if manifest is None:
        return _read_format_1(folder)
    path = folder / MANIFEST
    with damage_named(path):
        described = [(path, manifest[name]) for name in ("plan", "axes", "spec")]
        described.append((path, manifest.get("data", [])))
    dataset = read_file(folder, manifest, "dataset", dataset_names)
    return Parts(dataset, read_file(folder, manifest, "params", state_names), *described)


def _read_format_1(folder: Path) -> Parts:
    path, params = folder / format_1.DATASET, folder / format_1.PARAMS
    arrays, about = format_1.read_data(path, None, dataset_names)
    check_format(path, about.get("format"), 1)
    save = about["save"]
    plan = folder / format_1.PLAN, format_1.read_text(folder / format_1.PLAN, save)
    spec = folder / format_1.SPEC, None
    if spec[0].exists():
        spec = spec[0], format_1.read_text(spec[0], save)
    with damage_named(path):
        axes = path, about["axes"]
    states = params, *format_1.read_data(params, save, state_names)
    return Parts((path, arrays, about), states, plan, axes, spec, (path, []))
