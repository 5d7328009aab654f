"""The parts of a sweep's result as a folder keeps them: arrays and text, each checked against the others."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxgd.machine.host import versions
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.results.records import check_labels, is_record, labels_of, result_parts
from jaxgd.sweeps.store.archives import about_to
from jaxgd.sweeps.store.arrays import SavedStates, dataset_arrays, dataset_of, state_arrays
from jaxgd.sweeps.store.files import damage_named
from jaxgd.sweeps.store.folder import Parts, folder_of, read, whole, write
from jaxgd.sweeps.store.manifest import FORMAT

if TYPE_CHECKING:
    import xarray


def put(
    folder: str | os.PathLike,
    dataset: "xarray.Dataset",
    plan: Plan,
    axes: Mapping[str, Sequence[Any]],
    states: Sequence[tuple[Any, Any] | None],
    spec: Mapping[str, Any] | None,
    data_sha256: Sequence[str],
) -> None:
    """Write the parts of a result into a folder: see `SweepResult.save`."""
    path = folder_of(folder)
    archives = {}
    for name, (arrays, about) in {"dataset": dataset_arrays(dataset), "params": state_arrays(states)}.items():
        archives[name] = about_to(arrays, {"format": FORMAT, **about})
    content = {
        "versions": versions(),
        "device": plan.device,
        "axes": labels_of(axes),
        "spec": spec,
        "data": list(data_sha256),
        "plan": plan.to_dict(),
    }
    json.dumps(content)  # raises before anything is written
    write(path, content, archives)


def taken(folder: str | os.PathLike, like: Any) -> tuple[Any, ...]:
    """Dataset, plan, axes, states, spec and data of a folder: see `load`."""
    path = folder_of(folder)

    def parts(manifest):
        return result_parts(path, manifest, like) if is_record(manifest) else read(path, manifest)

    found = whole(path, parts)
    return _checked(found, like) if isinstance(found, Parts) else found


def _checked(parts: Parts, like: Any) -> tuple[Any, ...]:
    """What was saved at once, each part checked against the others."""
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
        check_labels(axes)
        if tuple(axes) != dims or tuple(len(values) for values in axes.values()) != shape:
            raise ValueError("its axes are not those of the dataset")
    path, spec = parts.spec
    if not isinstance(spec, dict | None):
        raise ValueError(f"{path} is damaged: its spec is no table")
    path, data = parts.data
    if not isinstance(data, list) or not all(isinstance(digest, str) for digest in data):
        raise ValueError(f"{path} is damaged: its data are no list of digests")
    return dataset, plan, axes, states, spec, data
