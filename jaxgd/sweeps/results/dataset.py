"""A sweep's dataset, from what each of its runs gave."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgd.strict_json import json_text
from jaxgd.sweeps.axes import columns, coordinate, is_linked, kept
from jaxgd.sweeps.blocks import Block
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.training.carrying import COUNTS
from jaxgd.training.states import NOT_RUN, STATUS_WORDS

if TYPE_CHECKING:
    import xarray

SEED_POLICY = "seed s is jax.random.key(s): initial parameters and epoch orders depend on it alone"
_KEY_POLICY = "seed s is jax.random.key(s), which the function was called with"


def assemble(
    axes: Mapping[str, Sequence[Any]],
    num_examples: int | None,
    blocks: Sequence[Block],
    seconds_per_update: Sequence[float] | None,
    plan: Plan,
    measured: Sequence[str] = ("train_loss",),
) -> "xarray.Dataset":
    """The dataset of a sweep from what its runs gave.

    Args:
        axes: the values of each axis, as they were given.
        num_examples: of training, which is what a batch size of "full" is; None of functions.
        blocks: the runs that have ended. Of one that was not run the history is NaN, and counts are 0.
        seconds_per_update: of each run alone, NaN where it is not known; None without a clock.
        plan: the programs that ran.
        measured: names of a history besides those that the blocks have: of runs that were not run.
    """
    import xarray

    shape, dims = [len(values) for values in axes.values()], list(axes)
    histories = {
        name: ([*dims, "epoch"], rows.reshape(*shape, -1))
        for name, rows in _histories(blocks, math.prod(shape), measured, plan.epochs).items()
    }
    clocks = {name: histories.pop(name) for name in COUNTS if name in histories}
    if seconds_per_update is not None:
        clocks["seconds"] = [*dims, "epoch"], seconds_of(clocks["updates"][1], seconds_per_update)
    ends = {name: (dims, column.reshape(shape)) for name, column in _ends(blocks, math.prod(shape)).items()}
    coords = clocks | coordinates(axes, num_examples)
    coords["epoch"] = ("epoch", np.arange(1, plan.epochs + 1))
    policy = _KEY_POLICY if num_examples is None else SEED_POLICY
    return xarray.Dataset(histories | ends, coords, attributes(plan) | {"seed_policy": policy})


def seconds_of(updates: np.ndarray, per_update: Sequence[float]) -> np.ndarray:
    """Seconds [*axes, epochs] of so many updates of runs, of which one takes `per_update` [runs]."""
    rates = np.array(per_update).reshape(*updates.shape[:-1], 1)
    return np.where(updates == 0, 0.0, rates * updates)


def _histories(
    blocks: Sequence[Block], num_runs: int, measured: Sequence[str], epochs: int
) -> dict[str, np.ndarray]:
    """The histories of all runs by name, [runs, epochs]: NaN and counts of 0 where a run has none."""
    there = {name: None for block in blocks for name in block.history}
    losses = [block.history["train_loss"].dtype for block in blocks if "train_loss" in block.history]
    found = {}
    for name in dict.fromkeys((*measured, *(there or COUNTS))):
        having = [block for block in blocks if name in block.history]
        is_whole = sum(map(len, having)) == num_runs
        fill = (0, np.int32) if name in COUNTS else (np.nan, np.result_type(*losses[-1:] or [np.float32]))
        kinds = {block.history[name].dtype for block in having} | (set() if is_whole else {np.dtype(fill[1])})
        found[name] = np.full((num_runs, epochs), fill[0], np.result_type(*kinds))
        for block in having:
            found[name][block.places] = block.history[name]
    return found


def _ends(blocks: Sequence[Block], num_runs: int) -> dict[str, np.ndarray]:
    """How each run ended, [runs]: a word, where it stopped, and the epoch kept where a rule chooses one."""
    codes, numbers = np.full(num_runs, len(STATUS_WORDS)), {"stopped_at": np.full(num_runs, -1)}
    if any(block.kept_epoch is not None for block in blocks):
        numbers["kept_epoch"] = np.full(num_runs, -1)
    for block in blocks:
        codes[block.places] = block.status
        for name, column in numbers.items():
            values = getattr(block, name)
            column[block.places] = -1 if values is None else values
    used, place = np.unique(codes, return_inverse=True)
    words = np.array([*STATUS_WORDS, NOT_RUN])[used].tolist()
    return {"status": np.array(words)[place], **numbers}


def coordinates(axes: Mapping[str, Sequence[Any]], num: int | None) -> dict[str, tuple[str, Any]]:
    """By name the axis and the values along it: of each axis, and of each name of an axis of points.

    num: of training examples, which is what a batch size of "full" is; None where it is a word.
    """
    coords: dict[str, tuple[str, Any]] = {}
    for axis, values in axes.items():
        if is_linked(values):
            coords[axis] = (axis, np.arange(len(values)))
        for name, column in columns({axis: values}).items():
            sizes = [num if num and name == "batch_size" and value == "full" else value for value in column]
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
