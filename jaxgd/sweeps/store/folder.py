"""A sweep's result in a folder: `save` and `load`. Arrays as `.npz`, everything else as JSON; no pickle."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgd.machine.host import versions
from jaxgd.sweeps.axes import label
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.results.result import SweepResult
from jaxgd.sweeps.store import format_1
from jaxgd.sweeps.store.archives import about_to, read_archive
from jaxgd.sweeps.store.arrays import (
    SavedStates,
    dataset_arrays,
    dataset_names,
    dataset_of,
    state_arrays,
    state_names,
)
from jaxgd.sweeps.store.files import alone_in, damage_named
from jaxgd.sweeps.store.manifest import (
    FORMAT,
    MANIFEST,
    check_format,
    check_free,
    commit,
    opened,
    read_manifest,
)


def save(result: SweepResult, folder: str | os.PathLike) -> None:
    """Write the result into a folder, made if missing; an earlier save there is replaced.

    Whatever stops it, the folder holds the earlier save or this one, whole. Other files there stay.

    Raises:
        TypeError: parameters that are not numbers, attributes or a spec that JSON cannot hold; then nothing
            is written.
        ValueError: no name of a folder.
        FileExistsError: the folder has a `manifest.json` that is not of a saved sweep; nothing is written.
        OSError: the folder cannot be written.
    """
    folder = folder_of(folder)
    arrays, about = dataset_arrays(result.dataset)
    dataset = about_to(arrays, {"format": FORMAT, **about})
    arrays, about = state_arrays(result._states)
    params = about_to(arrays, {"format": FORMAT, **about})
    content = {
        "versions": versions(),
        "device": result.plan.device,
        "axes": {name: [_plain(value) for value in values] for name, values in result.axes.items()},
        "spec": result.spec,
        "plan": result.plan.to_dict(),
    }
    json.dumps(content)  # raises before anything is written
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        commit(folder, content, {"dataset": dataset, "params": params})


def load(folder: str | os.PathLike, like: Any = None) -> SweepResult:
    """The result that `SweepResult.save` wrote into a folder.

    Its axes are the labels that the dataset shows: an optimizer that was given as a function is its name.

    Args:
        folder: where it was saved.
        like: for models whose parameters are nodes of another library, such as an `nnx.State`: the problem,
            or parameters of the same structure. NamedTuples get their own class from it too.

    Raises:
        FileNotFoundError: there is no saved sweep.
        ValueError: a file is missing, damaged, from another save or from a newer version.

    Example:
        >>> result.save("digits-sweep")
        >>> result = jaxgd.load("digits-sweep")
    """
    folder = folder_of(folder)
    while True:
        manifest = _manifest(folder)
        try:
            parts = _read(folder, manifest)
            # Without a manifest, nothing says whether a spec belongs to the save or was just deleted.
            if manifest is not None or _manifest(folder) is None:
                return _result(parts, like)
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


class _Parts(NamedTuple):
    """What a folder holds, and the files that say it."""

    dataset: tuple[Path, Mapping[str, np.ndarray], Any]
    params: tuple[Path, Mapping[str, np.ndarray], Any]
    plan: tuple[Path, Any]
    axes: tuple[Path, Any]
    spec: tuple[Path, Any]


def _manifest(folder: Path) -> dict[str, Any] | None:
    """The folder's manifest; None where a save of format 1 lies beside a file of that name."""
    try:
        return read_manifest(folder)
    except ValueError:
        if format_1.is_own(folder / format_1.DATASET):
            return None
        raise


def _read(folder: Path, manifest: Mapping[str, Any] | None) -> _Parts:
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
    return _Parts(*data, *described)


def _read_format_1(folder: Path) -> _Parts:
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
    return _Parts((path, arrays, about), states, plan, axes, spec)


def _result(parts: _Parts, like: Any) -> SweepResult:
    """The result of these parts, each checked against the others."""
    path, arrays, about = parts.dataset
    with damage_named(path):
        dataset = dataset_of(arrays, about)
        dims, shape, num_runs = dataset["status"].dims, dataset["status"].shape, dataset["status"].size
    path, arrays, about = parts.params
    with damage_named(path):
        states = SavedStates(arrays, about, like)
        if len(states) != num_runs:
            raise ValueError(f"it holds {len(states)} runs, and the dataset {num_runs}")
    path, saved = parts.plan
    with damage_named(path):
        plan = Plan.from_dict(saved)
        if plan.num_runs != num_runs:
            raise ValueError(f"its plan is of {plan.num_runs} runs, and the dataset of {num_runs}")
    path, axes = parts.axes
    with damage_named(path):
        if tuple(axes) != dims or tuple(len(values) for values in axes.values()) != shape:
            raise ValueError("its axes are not those of the dataset")
    path, spec = parts.spec
    if not isinstance(spec, dict | None):
        raise ValueError(f"{path} is damaged: its spec is no table")
    return SweepResult(dataset, plan, axes, states, spec)


def _plain(value: Any) -> Any:
    """A value of an axis for JSON: its label, or for one point of many values a label for each."""
    if isinstance(value, Mapping):
        return {name: label(item) for name, item in value.items()}
    return label(value)
