"""Where a program stands, as arrays for a file, and back."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from jaxgd.sweeps.engine.driver import Snapshot
from jaxgd.sweeps.lanes.inputs import Inputs
from jaxgd.sweeps.planning.plans import Recipe
from jaxgd.sweeps.store.arrays import decoded, dtype_name, encoded


def checkpoint_arrays(snapshot: Snapshot) -> tuple[dict[str, np.ndarray], dict]:
    """`(arrays, about)` of a snapshot."""
    arrays = {f"slots/{place}": encoded(leaf) for place, leaf in enumerate(snapshot.slots)}
    arrays |= {name: np.asarray(getattr(snapshot, name), np.int64) for name in _WHERE}
    return arrays, {"slots": [dtype_name(leaf) for leaf in snapshot.slots]}


_WHERE = ("lane_of", "epoch_of", "used", "done")


def checkpoint_names(about: Mapping) -> list[str]:
    """The names of the arrays that `checkpoint_arrays` gave with this description."""
    return [*(f"slots/{place}" for place in range(len(about["slots"]))), *_WHERE]


def snapshot_of(
    arrays: Mapping[str, np.ndarray], about: Mapping, inputs: Inputs, recipe: Recipe, ended: Sequence[int]
) -> Snapshot:
    """The snapshot that `checkpoint_arrays` was given, checked against the program that it is of.

    ended: places of the runs that have.

    Raises:
        ValueError: no driver of that program can have stood there.
    """
    slots = [decoded(arrays[f"slots/{place}"], name) for place, name in enumerate(about["slots"])]
    where = {name: arrays[name] for name in _WHERE}
    _check_where(where, inputs, recipe)
    if [inputs.group.runs[lane].index for lane in where["done"]] != list(ended):
        raise ValueError("other runs have ended than it says")
    count = int(np.sum(where["lane_of"] >= 0))
    shapes = jax.tree.leaves(inputs.slots(recipe.slots))
    if [(leaf.shape, leaf.dtype) for leaf in slots] != [((count, *x.shape[1:]), x.dtype) for x in shapes]:
        raise ValueError("its slots are not those of the program")
    used = int(where.pop("used"))
    return Snapshot(slots=slots, used=used, **where)


def _check_where(where: Mapping[str, np.ndarray], inputs: Inputs, recipe: Recipe) -> None:
    lanes, num = len(inputs.group.runs), inputs.num
    lane_of, epoch_of, used, done = (where[name] for name in _WHERE)
    if {array.dtype.kind for array in where.values()} != {"i"}:
        raise ValueError("it stands at places that are no whole numbers")
    shapes = lane_of.shape, epoch_of.shape, used.shape, done.ndim
    if shapes != ((recipe.slots,), (recipe.slots,), (), 1):
        raise ValueError("its places are not those of the program's slots")
    taken = [*lane_of[lane_of >= 0].tolist(), *done.tolist()]
    is_lane = all(0 <= lane < lanes for lane in taken) and len(set(taken)) == len(taken)
    is_epoch = np.all((epoch_of >= 0) & (epoch_of <= inputs.epochs))
    if not is_lane or not is_epoch or not 0 <= used < num:
        raise ValueError("it stands at lanes, epochs or examples that the program does not have")
