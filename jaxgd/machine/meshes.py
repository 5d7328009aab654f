"""Batches over axes of the mesh that is set, and lanes over its other ones."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, PartitionSpec

from jaxgd.machine.devices import DeviceGroup


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


def lane_devices(specs: Iterable[PartitionSpec | None]) -> Sequence[Any]:
    """What lanes of such specs go over: all devices, or groups of those along the axes that they name.

    Of a mesh of 2 x 4 devices, ("runs", "data"), two groups of four where batches are split over "data".

    Raises:
        ValueError: as in `num_parts`, or an axis has the name of the one that lanes go over.
    """
    named = {spec: axes_of(spec) for spec in specs if spec is not None}
    for spec, axes in named.items():
        num_parts("batch_spec", spec)
        if "lanes" in axes:
            raise ValueError(
                f"batch_spec is {spec!r}, but a sweep gives the name 'lanes' to the axis of its runs: name "
                "that axis of the mesh otherwise"
            )
    if not named:
        return jax.devices()
    mesh = jax.sharding.get_mesh()
    types = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))
    split_over = tuple(axis for axis in mesh.axis_names if axis in {*sum(named.values(), ())})
    shape = tuple(mesh.shape[axis] for axis in split_over)
    last = np.arange(-len(split_over), 0)
    grid = np.moveaxis(mesh.devices, [mesh.axis_names.index(axis) for axis in split_over], last)
    parts = grid.reshape(-1, math.prod(shape))
    kinds = tuple(types[axis] for axis in split_over)
    return [DeviceGroup(tuple(part), shape, split_over, kinds) for part in parts]


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
