"""Saves of format 1, read for ever and not written any more: four files with the number of their save."""

import contextlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from jaxgd.strict_json import read_json
from jaxgd.sweeps.store.archives import read_about, read_archive
from jaxgd.sweeps.store.files import damage_named, open_file

DATASET, PARAMS, PLAN, SPEC = "dataset.npz", "params.npz", "plan.json", "spec.json"
# What each of the files describes.
_HOLDS = {DATASET: "variables", PARAMS: "groups", PLAN: "plan", SPEC: "spec"}
_TEMPORARY = re.compile(r"\.(dataset\.npz|params\.npz|plan\.json|spec\.json)\.[0-9a-f]{32}")


def is_own(path: Path) -> bool:
    """Whether the file is one of a save of format 1, by its name and by what it says of itself."""
    if path.name not in _HOLDS:
        return False
    with contextlib.suppress(ValueError, OSError):
        about = _about(path)
        number = about.get("save") if isinstance(about, dict) else None
        return isinstance(number, str) and about.get("format") == 1 and _HOLDS[path.name] in about
    return False


def is_temporary(name: str) -> bool:
    """Whether a file of this name is what a save that was killed has left."""
    return _TEMPORARY.fullmatch(name) is not None


def read_data(
    path: Path, save: str | None, names_of: Callable[[Any], Iterable[str]]
) -> tuple[dict[str, np.ndarray], dict]:
    """`(arrays, about)` of an `.npz`, of the save of that number, or of any.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or of another save.
    """
    with damage_named(path), open_file(path) as file:
        arrays, about = read_archive(file, names_of)
        found = about["save"]
    _check_save(path, found, found if save is None else save)
    return arrays, about


def read_text(path: Path, save: str) -> Any:
    """What the plan's or the spec's file describes; errors as `read_data`."""
    about = _about(path)
    with damage_named(path):
        found, content = about["save"], about[_HOLDS[path.name]]
    _check_save(path, found, save)
    return content


def _about(path: Path) -> Any:
    with damage_named(path), open_file(path) as file:
        return read_json(file.read(), allow_nan=True) if path.suffix == ".json" else read_about(file)


def _check_save(path: Path, found: Any, save: str) -> None:
    if found != save:
        raise ValueError(f"{path} and {DATASET} beside it are of two different saves")
