"""The parts of a sweep's result as a folder keeps them: arrays and text, each checked against the others."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxgd.machine.host import versions
from jaxgd.sweeps.axes import label
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.store.archives import about_to
from jaxgd.sweeps.store.arrays import SavedStates, dataset_arrays, dataset_of, state_arrays
from jaxgd.sweeps.store.files import damage_named
from jaxgd.sweeps.store.folder import folder_of, read, write
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
) -> None:
    """Write the parts of a result into a folder: see `SweepResult.save`."""
    path = folder_of(folder)
    archives = {}
    for name, (arrays, about) in {"dataset": dataset_arrays(dataset), "params": state_arrays(states)}.items():
        archives[name] = about_to(arrays, {"format": FORMAT, **about})
    content = {
        "versions": versions(),
        "device": plan.device,
        "axes": {name: [_plain(value) for value in values] for name, values in axes.items()},
        "spec": spec,
        "plan": plan.to_dict(),
    }
    json.dumps(content)  # raises before anything is written
    write(path, content, archives)


def taken(folder: str | os.PathLike, like: Any) -> tuple[Any, Plan, Any, SavedStates, Any]:
    """Dataset, plan, axes, states and spec of a folder: see `load`."""
    parts = read(folder_of(folder))
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
    return dataset, plan, axes, states, spec


def _plain(value: Any) -> Any:
    """A value of an axis for JSON: its label, or for one point of many values a label for each."""
    if isinstance(value, Mapping):
        return {name: label(item) for name, item in value.items()}
    return label(value)
