"""A folder's manifest: which files are the save's, what they must hold, and all of it that is no array.

The files that it names are called by their content and are there before it. It is replaced last, in one
step, so that at any moment a folder holds the earlier save or the later one, whole.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np

from jaxgd.strict_json import read_json
from jaxgd.sweeps.store import format_1, unit_files
from jaxgd.sweeps.store.archives import read_about
from jaxgd.sweeps.store.files import (
    UnreadableError,
    create,
    damage_named,
    open_file,
    path_named,
    sync_folder,
    write_synced,
)

FORMAT, _OLDEST = 3, 2
MANIFEST = "manifest.json"
# What a manifest says of a file: its name, its size in bytes, its sha256.
Entry = Mapping[str, Any]

# How the text of a manifest starts.
_BEGINNING = b'{\n "format": '
_KEYS = {"format", "save", "files", "sha256"}
_DATA = re.compile(r"(dataset|params|unit|checkpoint|data)-[0-9a-f]{16}\.npz|" + unit_files.NAME)
_TEMPORARY = re.compile(r"\.jaxgd-save-[0-9a-f]{32}")


def commit(
    folder: Path,
    content: Mapping[str, Any],
    data: Mapping[str, Mapping[str, np.ndarray]],
    kept: Mapping[str, Entry] = MappingProxyType({}),
) -> dict[str, Entry]:
    """Have the folder hold these arrays, by name, and a manifest with this content; then tidy up.

    A name is "dataset" or "params", or begins with "unit" or "checkpoint", as that of its file then does.

    Args:
        folder: where.
        content: all that is no array.
        data: arrays of each new file.
        kept: what an earlier commit gave for files that stay.

    Returns:
        What the manifest now says of each file.

    Raises:
        OSError: something cannot be written; the folder holds the earlier save.
    """
    earlier = _names(folder)
    try:
        with path_named(folder):
            _check_there(folder, kept)
            entries = {**kept, **{name: _put(folder, name, arrays) for name, arrays in data.items()}}
            sync_folder(folder)
            os.replace(_manifest_beside(folder, content, entries), folder / MANIFEST)
            sync_folder(folder)
    finally:
        _tidy(folder, earlier)
    return entries


def begin_shared(folder: Path, content: Mapping[str, Any]) -> None:
    """Have a folder that is there hold a manifest that stays as it is: whoever is first writes it.

    Raises:
        OSError: it cannot be written.
    """
    with path_named(folder):
        beside = _manifest_beside(folder, {**content, unit_files.SHARED: True}, {})
        try:
            os.link(beside, folder / MANIFEST)
        except FileExistsError:
            pass
        except OSError:  # the file system knows no links
            if not os.path.lexists(folder / MANIFEST):
                os.replace(beside, folder / MANIFEST)
        beside.unlink(missing_ok=True)
        sync_folder(folder)


def put_unit(folder: Path, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Have a shared folder hold the runs of a unit; those of a file that is damaged again.

    Raises:
        OSError: it cannot be written.
    """
    with path_named(folder):
        beside = _temporary(folder)
        write_synced(beside, arrays)
        name = unit_files.name_of(key, _sha256(beside))
        create(folder / name, beside)
        for path in unit_files.of_key(folder, key):
            if path.name != name and unit_files.sha256_in(path.name) != _sha256(path):
                _delete(path)
        sync_folder(folder)


def has_unit(folder: Path, key: str) -> bool:
    """Whether a shared folder has the runs of a unit, and undamaged."""
    with contextlib.suppress(OSError):
        return any(
            unit_files.sha256_in(path.name) == _sha256(path) for path in unit_files.of_key(folder, key)
        )
    return False


def put_data(folder: Path, arrays: Mapping[str, np.ndarray]) -> Entry:
    """What there is to say of a new file with these arrays, which workers read.

    Raises:
        OSError: it cannot be written.
    """
    with path_named(folder):
        return _put(folder, "data", arrays)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest_beside(folder: Path, content: Mapping[str, Any], entries: Mapping[str, Entry]) -> Path:
    """A temporary file with a manifest of this content."""
    head = {"format": FORMAT, "save": uuid.uuid4().hex}
    whole = {**head, **json.loads(json.dumps(content)), "files": entries}
    text = json.dumps({**whole, "sha256": _digest(whole)}, indent=1)
    beside = _temporary(folder)
    write_synced(beside, text.encode())
    return beside


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What the folder's manifest says, None without one; of a shared folder with the units that are there.

    Raises:
        ValueError: it is damaged, of something else, or of a newer version.
    """
    path = folder / MANIFEST
    try:
        with damage_named(path), open_file(path) as file:
            manifest = read_json(file.read(), allow_nan=True)
            if not _is_own(manifest):
                raise ValueError("it is no manifest of a saved sweep")
    except FileNotFoundError:
        return None
    check_format(path, manifest["format"], FORMAT, _OLDEST)
    with damage_named(path):
        if manifest.pop("sha256") != _digest(manifest):
            raise ValueError("it does not hold what was saved")
        for entry in manifest["files"].values():
            _check_entry(entry)
        return unit_files.joined(folder, manifest) if unit_files.is_shared(manifest) else manifest


def _check_entry(entry: Entry) -> None:
    if not _DATA.fullmatch(entry["name"]):
        raise ValueError("it names a file that is none of a save")
    if type(entry["size"]) is not int or not isinstance(entry["sha256"], str):
        raise ValueError(f"it has no size or no sha256 of {entry['name']}")


def check_format(path: Path, version: Any, known: int, oldest: int | None = None) -> None:
    """Raise UnreadableError unless the number of a format is the known one, or from the oldest to it."""
    if type(version) is not int or version < (known if oldest is None else oldest):
        raise UnreadableError(f"{path} is damaged: its format is {version!r}")
    if version > known:
        raise UnreadableError(
            f"{path} has format {version}, and this version of jaxgd knows {known}: update jaxgd"
        )


@contextlib.contextmanager
def opened(folder: Path, entry: Entry) -> Iterator[IO[bytes]]:
    """A file that a manifest names, open at its start, after its size and content were checked.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: it does not hold what was saved.
    """
    path = folder / entry["name"]
    with damage_named(path), open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size != entry["size"]:
            raise ValueError(f"it has {size} bytes, and {entry['size']} were saved")
        if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
            raise ValueError("it does not hold what was saved")
        file.seek(0)
        yield file


def check_free(folder: Path) -> None:
    """Raise FileExistsError if a save into the folder would replace a file that is not of an earlier one."""
    path = folder / MANIFEST
    if not os.path.lexists(path):
        return
    with contextlib.suppress(OSError, ValueError), damage_named(path), open_file(path) as file:
        content = file.read()
        if content.startswith(_BEGINNING) or _is_own(read_json(content, allow_nan=True)):
            return  # it may be damaged further on
    raise FileExistsError(f"{path} is not of a saved sweep, and is not replaced; choose another folder")


def _is_own(manifest: Any) -> bool:
    return isinstance(manifest, dict) and manifest.keys() >= _KEYS and isinstance(manifest["files"], dict)


def _digest(manifest: Mapping[str, Any]) -> str:
    """The SHA-256 of what a manifest says, however its lines are broken."""
    return hashlib.sha256(json.dumps(manifest).encode()).hexdigest()


def _check_there(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Raise FileNotFoundError if a file that an earlier commit has written is gone."""
    gone = [entry["name"] for entry in entries.values() if not (folder / entry["name"]).is_file()]
    if gone:
        raise FileNotFoundError(errno.ENOENT, f"{gone[0]} has been deleted")


def _put(folder: Path, name: str, arrays: Mapping[str, np.ndarray]) -> Entry:
    """Write a file that is named by its content; gives what the manifest says of it."""
    beside = _temporary(folder)
    write_synced(beside, arrays)
    digest, size = _sha256(beside), beside.stat().st_size
    called = f"{name.partition(' ')[0]}-{digest[:16]}.npz"
    create(folder / called, beside)
    return {"name": called, "size": size, "sha256": digest}


def _temporary(folder: Path) -> Path:
    return folder / f".jaxgd-save-{uuid.uuid4().hex}"


def _names(folder: Path) -> set[str]:
    """The files that the folder's manifest names, none where it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        manifest = read_manifest(folder)
        return {entry["name"] for entry in manifest["files"].values()} if manifest else set()
    return set()


def _tidy(folder: Path, earlier: set[str]) -> None:
    """Delete what saves have left: temporary files, and files of saves that are not the folder's any more.

    What the folder's save is, the disk says: a save that failed leaves its earlier one alone, whenever it
    was stopped. A file that cannot be deleted is left to the next save.
    """
    with contextlib.suppress(OSError, ValueError):
        names = [path.name for path in folder.iterdir()]
        temporary = [name for name in names if _TEMPORARY.fullmatch(name) or format_1.is_temporary(name)]
        for name in temporary:
            _delete(folder / name)
        manifest = read_manifest(folder)
        kept = {entry["name"] for entry in manifest["files"].values()} if manifest else set()
        for name in names:
            path = folder / name
            if _DATA.fullmatch(name):
                is_old = name not in kept and (name in earlier or _describes_itself(path))
            else:
                is_old = manifest is not None and format_1.is_own(path)
            if is_old:
                _delete(path)


def _describes_itself(path: Path) -> bool:
    with contextlib.suppress(ValueError, OSError), damage_named(path), open_file(path) as file:
        return _OLDEST <= read_about(file)["format"] <= FORMAT
    return False


def _delete(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
