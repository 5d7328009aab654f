"""A folder of arrays and text that is there whole or not at all; it reads those of every earlier format."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgd.sweeps.store import format_1
from jaxgd.sweeps.store.archives import read_archive
from jaxgd.sweeps.store.arrays import dataset_names, state_names
from jaxgd.sweeps.store.files import alone_in, damage_named
from jaxgd.sweeps.store.manifest import MANIFEST, check_format, check_free, commit, opened, read_manifest


def write(folder: Path, content: Mapping[str, Any], archives: Mapping[str, Any]) -> None:
    """Put archives and what a manifest says of them into a folder, made if missing, in one commit.

    Whatever stops it, the folder holds the earlier content or this one, whole. Other files there stay.

    Raises:
        FileExistsError: the folder has a `manifest.json` that is not of a saved sweep; nothing is written.
        OSError: the folder cannot be written.
    """
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        commit(folder, content, archives)


class Parts(NamedTuple):
    """What a folder holds, and the files that say it."""

    dataset: tuple[Path, Mapping[str, np.ndarray], Any]
    params: tuple[Path, Mapping[str, np.ndarray], Any]
    plan: tuple[Path, Any]
    axes: tuple[Path, Any]
    spec: tuple[Path, Any]


def read(folder: Path) -> Parts:
    """Everything that a folder holds.

    Raises:
        FileNotFoundError: there is no saved sweep.
        ValueError: a file is missing, damaged, from another save or from a newer version.
    """
    while True:
        manifest = _manifest(folder)
        try:
            parts = _read(folder, manifest)
            # Without a manifest, nothing says whether a spec belongs to the save or was just deleted.
            if manifest is not None or _manifest(folder) is None:
                return parts
        except FileNotFoundError as error:
            # A save that has ended meanwhile deletes the files of the one before.
            if _manifest(folder) != manifest:
                continue
            missing = Path(error.filename).name
            if missing == format_1.DATASET:
                raise FileNotFoundError(
                    f"{str(folder)!r} has no {MANIFEST}: no sweep was saved there"
                ) from None
            raise ValueError(f"{str(folder)!r} is not complete: {missing} is missing") from None


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
        if format_1.is_own(folder / format_1.DATASET):
            return None
        raise


def _read(folder: Path, manifest: Mapping[str, Any] | None) -> Parts:
    """Everything that a folder holds: what its manifest names, or without one a save of format 1."""
    if manifest is None:
        return _read_format_1(folder)
    path = folder / MANIFEST
    with damage_named(path):
        entries = [manifest["files"][kind] for kind in ("dataset", "params")]
        described = [(path, manifest[name]) for name in ("plan", "axes", "spec")]
    names: list[Callable[[Any], Iterable[str]]] = [dataset_names, state_names]
    data = []
    for entry, names_of in zip(entries, names, strict=True):
        with opened(folder, entry) as file:
            data.append((folder / entry["name"], *read_archive(file, names_of)))
    return Parts(*data, *described)


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
    return Parts((path, arrays, about), states, plan, axes, spec)
