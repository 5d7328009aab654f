"""Lanes over devices, each of which takes an equal part, and batches over axes of the mesh that is set."""

import math
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


def checked_spec(name: str, spec: Any) -> PartitionSpec | None:
    """The spec, if it names mesh axes for axis 0 of arrays and nothing more, or None."""
    if spec is None or (isinstance(spec, PartitionSpec) and len(spec) == 1 and axes_of(spec)):
        return spec
    error = ValueError if isinstance(spec, PartitionSpec) else TypeError
    raise error(
        f"{name} must be a jax.sharding.PartitionSpec with one entry, the mesh axes over which axis 0 is "
        f'split, such as PartitionSpec("data"), or None, got {spec!r}'
    )


def axes_of(spec: PartitionSpec) -> tuple[str, ...]:
    """The mesh axes that a spec of one entry names; none where that is no name."""
    names = spec[0] if isinstance(spec[0], tuple) else (spec[0],)
    return names if all(isinstance(name, str) for name in names) else ()


def num_parts(name: str, spec: PartitionSpec) -> int:
    """Into how many parts the mesh that is set splits axis 0 by such a spec.

    Raises:
        ValueError: no mesh is set, it lacks an axis, or `jax.shard_map` has that axis to itself.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        raise ValueError(
            f"{name} is {spec!r} and no mesh is set: train within `with jax.set_mesh(mesh):`, of a mesh such "
            f"as jax.make_mesh((jax.device_count(),), {axes_of(spec)[:1]!r})"
        )
    types = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))
    for axis in axes_of(spec):
        if axis not in types:
            known = ", ".join(map(repr, types))
            raise ValueError(
                f"{name} is {spec!r} and the mesh that is set has no axis {axis!r} (it has {known})"
            )
        if types[axis] == AxisType.Manual:
            raise ValueError(
                f"{name} is {spec!r} and jax.shard_map has split {axis!r} itself: let its axis_names be the "
                "other axes of the mesh"
            )
    return math.prod(mesh.shape[axis] for axis in axes_of(spec))


def split(tree: Any, spec: PartitionSpec) -> Any:
    """A tree of arrays with axis 0 split by a spec, whole where it does not divide: in `with_axes_split`."""
    num = num_parts("spec", spec)
    constrain = lambda x: jax.lax.with_sharding_constraint(x, spec) if len(x) % num == 0 else x  # noqa: E731
    return jax.tree.map(constrain, tree)


def with_axes_split(function: Callable, spec: PartitionSpec, out_specs: Any, *arguments: Any) -> Any:
    """`function(*arguments)`, a tree split by `out_specs`; along the spec's axes JAX chooses what is within.

    Axes that are Explicit are Auto there: a function need not be written for them.
    """
    mesh = jax.sharding.get_abstract_mesh()
    types = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))
    explicit = tuple(axis for axis in axes_of(spec) if types[axis] == AxisType.Explicit)
    if not explicit:
        return function(*arguments)
    return jax.sharding.auto_axes(function, axes=explicit, out_sharding=out_specs)(*arguments)


def specs_of(tree: Any) -> Any:
    """How the types of a tree's arrays say that they are split."""
    return jax.tree.map(lambda array: jax.typeof(array).sharding.spec, tree)


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
        return jax.sharding.auto_axes(function, out_sharding=specs_of(like[:2]))(*like)
