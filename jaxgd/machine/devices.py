"""Lanes over devices: each takes an equal part of them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, PartitionSpec

BY_LANE, WHOLE = PartitionSpec("lanes"), PartitionSpec()


def mesh_of(devices: Sequence[Any]) -> Mesh:
    """The devices along one axis, `lanes`."""
    return jax.make_mesh((len(devices),), ("lanes",), devices=devices, axis_types=(AxisType.Auto,))


def over_devices(function: Callable, mesh: Mesh, *in_specs: PartitionSpec) -> Callable:
    """`function` on each device with its part of the lanes, and with the whole of what is `WHOLE`."""
    return jax.shard_map(function, mesh=mesh, in_specs=in_specs, out_specs=BY_LANE, check_vma=False)
