"""What lanes are given and what they are on their way, as arrays with a leading axis over them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.training.carrying import Packed, Rows


class LaneInputs(NamedTuple):
    """What each lane gets, with a leading axis over lanes.

    leaves: of its trainer. key_data: uint32[lanes, ...]. params: initial parameters. orders:
    int32[lanes, epochs, num_examples], or None where each order is made in the program. start: the rest of
    what lanes go on from, None where they begin with an optimizer's state of their own.
    """

    leaves: list[Any]
    key_data: Any
    params: Any
    orders: Any
    start: Any = None


class Slots(NamedTuple):
    """What lanes are, with a leading axis over slots; a call takes it over and gives it back moved on.

    packed: the run's state. rows: its history, arrays [slots, epochs, ...].
    """

    packed: Packed
    rows: Rows


class Occupancy(NamedTuple):
    """Which slots have a lane.

    active: bool[slots], whether there is a lane to run. fresh: bool[slots], whether it is at its start.
    turns: int32[slots], of each device which of its places have one, in the order in which they move, then
    -1; a place is as many slots as move at once.
    """

    active: Any
    fresh: Any
    turns: Any

    @classmethod
    def of(cls, active: np.ndarray, fresh: np.ndarray, devices: int, width: int) -> "Occupancy":
        """Of the slots of so many devices, of which `width` move at once."""
        there = np.any(active.reshape(devices, -1, width), axis=2)
        turns = np.full((devices, len(active) // devices), -1, np.int32)
        for device in range(devices):
            places = np.flatnonzero(there[device])
            turns[device, : len(places)] = places
        return cls(active, fresh, turns.ravel())


def stacked(trees: Sequence[Any]) -> Any:
    """Trees of arrays along a new leading axis; one that is there several times is taken up once."""
    first: dict[int, tuple[int, Any]] = {}
    places = [first.setdefault(id(tree), (len(first), tree))[0] for tree in trees]
    distinct = jax.tree.map(lambda *leaves: np.stack(leaves), *(tree for _, tree in first.values()))
    return distinct if len(first) == len(trees) else jax.tree.map(lambda leaf: leaf[places], distinct)


def abstract(tree: Any) -> Any:
    """Shapes and dtypes as JAX would take them in."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(np.shape(x), jax.dtypes.canonicalize_dtype(x.dtype)), tree
    )
