"""A sweep's result in a folder: `save` and `load`. Arrays as `.npz`, everything else as JSON; no pickle."""

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxgd.sweeps.files import damage_named, read_arrays, read_json, write_whole
from jaxgd.sweeps.grid import label
from jaxgd.sweeps.plans import Plan
from jaxgd.sweeps.result import SweepResult
from jaxgd.sweeps.saved_arrays import about_of, about_to, dataset_arrays, dataset_of
from jaxgd.sweeps.saved_states import SavedStates, state_arrays

FORMAT = 1
DATASET, PARAMS, PLAN, SPEC = "dataset.npz", "params.npz", "plan.json", "spec.json"


def save(result: SweepResult, folder: str | os.PathLike) -> None:
    """Write the result into a folder, made if missing; the files of an earlier save there are replaced.

    Raises:
        TypeError: parameters that are not numbers, attributes or a spec that JSON cannot hold; then nothing
            is written.
    """
    folder = Path(folder)
    # A number of its own in every file tells the files of two saves apart.
    head = {"format": FORMAT, "save": uuid.uuid4().hex}
    axes = {name: [_plain(value) for value in values] for name, values in result.axes.items()}
    arrays, about = dataset_arrays(result.dataset)
    dataset = about_to(arrays, {**head, "axes": axes, **about})
    arrays, about = state_arrays(result._states)
    params = about_to(arrays, {**head, **about})
    texts = {PLAN: {**head, "plan": result.plan.to_dict()}}
    if result.spec is not None:
        texts[SPEC] = {**head, "spec": result.spec}
    contents = {name: json.dumps(content, indent=1) for name, content in texts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder, {**contents, PARAMS: params, DATASET: dataset})
    if result.spec is None:
        (folder / SPEC).unlink(missing_ok=True)


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
    folder = Path(folder)
    path = folder / DATASET
    if not path.is_file():
        raise FileNotFoundError(f"{str(folder)!r} has no {DATASET}: no sweep was saved there")
    arrays = read_arrays(path)
    with damage_named(path):
        about = about_of(arrays)
        dataset, axes, save_id, version = (
            dataset_of(arrays, about),
            about["axes"],
            about["save"],
            about["format"],
        )
    if version > FORMAT:
        raise ValueError(
            f"{path} has format {version}, and this version of jaxgd knows {FORMAT}: update jaxgd"
        )
    plan = _read(folder / PLAN, "plan", save_id)
    with damage_named(folder / PLAN):
        plan = Plan.from_dict(plan)
    spec = _read(folder / SPEC, "spec", save_id) if (folder / SPEC).exists() else None
    _check_exists(folder / PARAMS)
    arrays = read_arrays(folder / PARAMS)
    with damage_named(folder / PARAMS):
        about = about_of(arrays)
        states = SavedStates(arrays, about, like)
    _check_save(folder / PARAMS, about, save_id)
    return SweepResult(dataset, plan, axes, states, spec)


def _plain(value: Any) -> Any:
    """A value of an axis for JSON: its label, or for one point of many values a label for each."""
    if isinstance(value, Mapping):
        return {name: label(item) for name, item in value.items()}
    return label(value)


def _read(path: Path, name: str, save_id: str) -> Any:
    """What a JSON file of the same save holds under a name."""
    _check_exists(path)
    content = read_json(path)
    with damage_named(path):
        found = content[name]
        _check_save(path, content, save_id)
    return found


def _check_exists(path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"{str(path.parent)!r} is not complete: {path.name} is missing")


def _check_save(path: Path, about: Mapping, save_id: str) -> None:
    if about.get("save") != save_id:
        raise ValueError(f"{path} and {DATASET} beside it are of two different saves")
