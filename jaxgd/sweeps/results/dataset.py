"""A sweep's dataset, from what each of its runs gave."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgd.strict_json import json_text
from jaxgd.sweeps.axes import columns, coordinate, is_linked, kept
from jaxgd.sweeps.blocks import LaneResults
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.training.carrying import COUNTS
from jaxgd.training.states import NOT_RUN, STATUS_WORDS

if TYPE_CHECKING:
    import xarray

SEED_POLICY = "seed s is jax.random.key(s): initial parameters and epoch orders depend on it alone"


def assemble(
    axes: Mapping[str, Sequence[Any]],
    num_examples: int,
    results: Sequence[LaneResults | None],
    seconds_per_update: Sequence[float] | None,
    plan: Plan,
    measured: Sequence[str] = ("train_loss",),
) -> "xarray.Dataset":
    """The dataset of a sweep from each run's results, in the order of the grid.

    Args:
        axes: the values of each axis, as they were given.
        num_examples: of training, which is what a batch size of "full" is.
        results: of each run; None for one that was not run: its history is NaN, and its counts are 0.
        seconds_per_update: of each run alone, NaN where it is not known; None without a clock.
        plan: the programs that ran.
        measured: names of a history besides those that the results have: of runs that were not run.
    """
    import xarray

    shape, dims = [len(values) for values in axes.values()], list(axes)
    variables = {
        name: ([*dims, "epoch"], rows.reshape(*shape, -1))
        for name, rows in _histories(results, measured, plan.epochs).items()
    }

    def of_runs(values: list[Any]) -> Any:
        return dims, np.array(values).reshape(shape)

    words = [NOT_RUN if result is None else STATUS_WORDS[int(result.status)] for result in results]
    variables["status"] = of_runs(words)
    variables["stopped_at"] = of_runs(
        [-1 if result is None else int(result.stopped_at) for result in results]
    )
    epochs = [None if result is None else result.kept_epoch for result in results]
    if any(epoch is not None for epoch in epochs):
        variables["kept_epoch"] = of_runs([-1 if epoch is None else int(epoch) for epoch in epochs])
    if seconds_per_update is not None:
        variables["seconds"] = [*dims, "epoch"], seconds_of(variables["updates"][1], seconds_per_update)
    coords = coordinates(axes, num_examples)
    coords["epoch"] = ("epoch", np.arange(1, plan.epochs + 1))
    dataset = xarray.Dataset(variables, coords, attributes(plan))
    return dataset.set_coords([name for name in (*COUNTS, "seconds") if name in dataset])


def seconds_of(updates: np.ndarray, per_update: Sequence[float]) -> np.ndarray:
    """Seconds [*axes, epochs] of so many updates of runs, of which one takes `per_update` [runs]."""
    rates = np.array(per_update).reshape(*updates.shape[:-1], 1)
    return np.where(updates == 0, 0.0, rates * updates)


def _histories(
    results: Sequence[LaneResults | None], measured: Sequence[str], epochs: int
) -> dict[str, np.ndarray]:
    """The histories of all runs by name, [runs, epochs]: NaN and counts of 0 where a run has none."""
    known = [{} if result is None else result.history for result in results]
    columns = {name: column for history in known for name, column in history.items()}
    dtype = np.result_type(columns.get("train_loss", np.float32))
    empty = {
        name: np.zeros(epochs, np.int32) if name in COUNTS else np.full(epochs, np.nan, dtype)
        for name in (*measured, *(columns or COUNTS))
    }
    return {name: np.stack([history.get(name, row) for history in known]) for name, row in empty.items()}


def coordinates(axes: Mapping[str, Sequence[Any]], num: int) -> dict[str, tuple[str, Any]]:
    """By name the axis and the values along it: of each axis, and of each name of an axis of points.

    num: of training examples, which is what a batch size of "full" is.
    """
    coords: dict[str, tuple[str, Any]] = {}
    for axis, values in axes.items():
        if is_linked(values):
            coords[axis] = (axis, np.arange(len(values)))
        for name, column in columns({axis: values}).items():
            sizes = [num if name == "batch_size" and value == "full" else value for value in column]
            coords[name] = (axis, kept(coordinate(sizes)))
    return coords


def attributes(plan: Plan) -> dict[str, Any]:
    """The attributes of the dataset of a sweep that followed a plan."""
    versions = {f"{name}_version": version for name, version in plan.versions.items()}
    return versions | {
        "device": plan.device,
        "seed_policy": SEED_POLICY,
        "sweep_seconds": plan.seconds,
        "seconds_are": "updates times the seconds of an update of the run alone, warm, without validation",
        "plan": json_text(plan.to_dict()),
    }
