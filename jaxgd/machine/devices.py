"""Lanes over devices, each of which takes an equal part."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, PartitionSpec

from jaxgd.machine.host import container_bytes, machine_bytes
from jaxgd.machine.topologies import bytes_of_kind

BY_LANE, WHOLE = PartitionSpec("lanes"), PartitionSpec()


class DeviceGroup(NamedTuple):
    """Devices that hold the same lanes and split the batches of each; for lanes they are like one device.

    devices: one after the other, those along the last axis first. shape: how many along each axis. axes:
    what these are called. types: JAX's, of each.
    """

    devices: tuple[Any, ...]
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    types: tuple[AxisType, ...]

    @property
    def platform(self) -> str:
        """Such as "cpu"."""
        return self.devices[0].platform

    @property
    def device_kind(self) -> str:
        """Such as "(4 x cpu)"."""
        return f"({device_name(self.devices)})"

    def memory_stats(self) -> Any:
        """Of one of them."""
        return self.devices[0].memory_stats()


def mesh_of(devices: Sequence[Any]) -> Mesh:
    """The devices along one axis, `lanes`, in their order, however many; groups of them with their own axes.

    `jax.make_mesh` puts TPUs into the order in which neighbours talk, and refuses numbers that fill no
    rectangle; lanes do not talk.
    """
    first = devices[0]
    if not isinstance(first, DeviceGroup):
        return Mesh(np.array(devices), ("lanes",), axis_types=(AxisType.Auto,))
    grid = np.array([group.devices for group in devices]).reshape(-1, *first.shape)
    return Mesh(grid, ("lanes", *first.axes), axis_types=(AxisType.Auto, *first.types))


def num_devices(devices: Sequence[Any]) -> int:
    """How many devices there are, those of groups each counted."""
    return sum(len(each.devices) if isinstance(each, DeviceGroup) else 1 for each in devices)


def over_devices(function: Callable, mesh: Mesh, *in_specs: PartitionSpec) -> Callable:
    """`function` on each device with its part of the lanes, and with the whole of what is `WHOLE`.

    On a group of devices it is one program, in which the axes of the group are left to JAX.
    """
    axes = {"mesh": mesh, "axis_names": {"lanes"}}
    return jax.shard_map(function, in_specs=in_specs, out_specs=BY_LANE, check_vma=False, **axes)


def map_lanes(function: Callable, devices: Sequence[Any], lanes: Any, *whole: Any) -> Any:
    """`function(lanes, *whole)`, an equal number of the lanes on each of the devices.

    lanes: a tree of arrays [count, ...], and so is the result. whole: what every device needs all of.
    """
    count = len(jax.tree.leaves(lanes)[0])
    num = min(len(devices), count)
    if num < 2:
        return function(lanes, *whole)
    run = over_devices(function, mesh_of(devices[:num]), BY_LANE, *[WHOLE] * len(whole))
    places = np.minimum(np.arange(num * -(-count // num)), count - 1)  # beyond the last lane the last again
    results = run(jax.tree.map(lambda x: x[places], lanes), *whole)
    return jax.tree.map(lambda x: x[:count], results)


def free_bytes(devices: Sequence[Any]) -> int:
    """Memory that is free for each device, in bytes; 0 where that is not known."""
    if devices[0].platform == "cpu":
        limits = [value for value in (machine_bytes(), container_bytes()) if value]
        return min(limits, default=0) // num_devices(devices)
    try:
        statistics = devices[0].memory_stats() or {}
    except jax.errors.JaxRuntimeError:  # a device that is described, and not here
        return bytes_of_kind(devices[0].device_kind)
    if "bytes_limit" not in statistics:
        return 0
    return statistics["bytes_limit"] - statistics.get("bytes_in_use", 0)


def device_name(devices: Sequence[Any]) -> str:
    """Such as "2 x cpu"."""
    return f"{len(devices)} x {devices[0].device_kind}"
