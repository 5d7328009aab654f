"""Lanes over devices: each takes an equal part of them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, PartitionSpec

from jaxgd.machine.host import container_bytes, machine_bytes
from jaxgd.machine.topologies import bytes_of_kind

BY_LANE, WHOLE = PartitionSpec("lanes"), PartitionSpec()


def mesh_of(devices: Sequence[Any]) -> Mesh:
    """The devices along one axis, `lanes`, in their order, however many.

    `jax.make_mesh` puts TPUs into the order in which neighbours talk, and refuses numbers that fill no
    rectangle; lanes do not talk.
    """
    return Mesh(np.array(devices), ("lanes",), axis_types=(AxisType.Auto,))


def over_devices(function: Callable, mesh: Mesh, *in_specs: PartitionSpec) -> Callable:
    """`function` on each device with its part of the lanes, and with the whole of what is `WHOLE`."""
    return jax.shard_map(function, mesh=mesh, in_specs=in_specs, out_specs=BY_LANE, check_vma=False)


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
        return min(limits, default=0) // len(devices)
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


def is_split(array: Any) -> bool:
    """Whether the type of an array says that one of its axes is split."""
    return any(part is not None for part in jax.typeof(array).sharding.spec)


def split_alike(function: Callable, *like: Any) -> Any:
    """`function(*like)`, whose results are trees like its first arguments, split as these are.

    A function that is not written for Explicit axes, and that JAX therefore refuses, is called again with
    shardings within that JAX chooses, as it does for Auto axes.
    """
    try:
        return function(*like)
    except Exception as error:
        if type(error).__name__ != "ShardingTypeError":  # JAX does not export it
            raise
        specs = jax.tree.map(lambda array: jax.typeof(array).sharding.spec, like[:2])
        return jax.sharding.auto_axes(function, out_sharding=specs)(*like)
