"""A sweep's dataset, from what each of its runs gave."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxgd.strict_json import json_text
from jaxgd.sweeps.axes import columns, coordinate, is_linked, kept
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.runs import Run
from jaxgd.training.carrying import COUNTS
from jaxgd.training.states import STATUS_WORDS

if TYPE_CHECKING:
    import xarray

SEED_POLICY = "seed s is jax.random.key(s): initial parameters and epoch orders depend on it alone"


class LaneResults(NamedTuple):
    """What a run gives; in a program's slots, with a leading axis over them.

    kept_epoch: the epoch (from 1) that `params` and `model_state` are of, -1 if it is the last; None where no
    rule chooses one.
    """

    params: Any
    model_state: Any
    history: dict[str, Any]
    status: Any
    stopped_at: Any
    kept_epoch: Any


def assemble(
    axes: Mapping[str, Sequence[Any]],
    runs: Sequence[Run],
    results: Sequence[LaneResults],
    seconds_per_update: Sequence[float] | None,
    plan: Plan,
) -> "xarray.Dataset":
    """The dataset of a sweep from each run's results, in the order of the grid."""
    import xarray

    shape, dims = [len(values) for values in axes.values()], list(axes)
    names = list(dict.fromkeys(name for result in results for name in result.history))
    variables: dict[str, Any] = {}
    for name in names:
        rows = [r.history.get(name, np.full_like(r.history["train_loss"], np.nan)) for r in results]
        variables[name] = ([*dims, "epoch"], np.stack(rows).reshape(*shape, -1))
    status = np.array([STATUS_WORDS[int(result.status)] for result in results])
    variables["status"] = (dims, status.reshape(shape))
    variables["stopped_at"] = (dims, np.array([int(result.stopped_at) for result in results]).reshape(shape))
    if any(result.kept_epoch is not None for result in results):
        kept = [-1 if result.kept_epoch is None else int(result.kept_epoch) for result in results]
        variables["kept_epoch"] = (dims, np.array(kept).reshape(shape))
    if seconds_per_update is not None:
        rate = np.array(seconds_per_update).reshape(*shape, 1)
        variables["seconds"] = ([*dims, "epoch"], rate * variables["updates"][1])
    coords = _coordinates(axes, runs)
    coords["epoch"] = ("epoch", np.arange(1, variables["train_loss"][1].shape[-1] + 1))
    dataset = xarray.Dataset(variables, coords, _attributes(plan))
    return dataset.set_coords([name for name in (*COUNTS, "seconds") if name in dataset])


def _coordinates(axes: Mapping[str, Sequence[Any]], runs: Sequence[Run]) -> dict[str, Any]:
    """Of each axis its values, and along an axis of points each of their names."""
    num, coords = runs[0].trainer.problem.num_examples, {}
    for axis, values in axes.items():
        if is_linked(values):
            coords[axis] = (axis, np.arange(len(values)))
        for name, column in columns({axis: values}).items():
            sizes = [num if name == "batch_size" and value == "full" else value for value in column]
            coords[name] = (axis, kept(coordinate(sizes)))
    return coords


def _attributes(plan: Plan) -> dict[str, Any]:
    attributes = {f"{name}_version": version for name, version in plan.versions.items()}
    return attributes | {
        "device": plan.device,
        "seed_policy": SEED_POLICY,
        "sweep_seconds": plan.seconds,
        "seconds_are": "updates times the seconds of an update of the run alone, warm, without validation",
        "plan": json_text(plan.to_dict()),
    }
