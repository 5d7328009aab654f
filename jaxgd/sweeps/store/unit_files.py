"""Folders that several processes write to: a manifest that stays, and beside it a file for each unit done.

A unit's file is named by what its numbers depend on and by its content. Whoever has trained a unit creates
it, and nobody waits for anybody: there is no lock, and a unit that two have trained is there once.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# What the manifest of such a folder has.
SHARED = "shared"
NAME = r"unit-[0-9a-f]{16}-[0-9a-f]{64}\.npz"
_NAME = re.compile(NAME)


def is_shared(manifest: Mapping[str, Any] | None) -> bool:
    """Whether several processes may write beside a manifest, which none of them changes."""
    return manifest is not None and manifest.get(SHARED) is True


def key_of(identity: Mapping[str, str]) -> str:
    """What the file of a unit is called by: 16 digits for what the numbers of its runs depend on."""
    return hashlib.sha256(json.dumps(sorted(identity.items())).encode()).hexdigest()[:16]


def name_of(key: str, sha256: str) -> str:
    """The name of a unit's file with this content."""
    return f"unit-{key}-{sha256}.npz"


def sha256_in(name: str) -> str:
    """What the content of a unit's file should have, by its name."""
    return name.removesuffix(".npz").rpartition("-")[2]


def of_key(folder: Path, key: str) -> Iterator[Path]:
    """The files of a unit, of which there is more than one only where one is damaged."""
    return (path for path in folder.glob(f"unit-{key}-*.npz") if _NAME.fullmatch(path.name))


def joined(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest says, with the units whose files lie beside it.

    Of a damaged manifest raises what that raises.
    """
    names: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if _NAME.fullmatch(path.name):
            names.setdefault(path.name.split("-")[1], path.name)
    programs, units, files = manifest["plan"]["groups"], [], {}
    for unit in manifest["units"]:
        key = key_of(unit["identity"])
        if key in names:
            name = names[key]
            size = (folder / name).stat().st_size
            files[f"unit {key}"] = {"name": name, "size": size, "sha256": sha256_in(name)}
            unit = {**unit, "runs": programs[unit["program"]]["runs"], "file": f"unit {key}"}
        units.append(unit)
    return {**manifest, "units": units, "files": files}
