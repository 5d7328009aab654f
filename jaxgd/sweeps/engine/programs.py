"""The program of a group: lanes over devices, and on each device one lane after the other or all at once."""

import contextlib
import functools
import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from jaxgd.machine.compiling import setting
from jaxgd.machine.devices import BY_LANE, WHOLE, mesh_of, over_devices
from jaxgd.machine.kept import Kept
from jaxgd.pytrees import check_unchanged
from jaxgd.sweeps.lanes.inputs import Inputs
from jaxgd.sweeps.lanes.slots import LaneInputs, Occupancy, Slots, abstract
from jaxgd.sweeps.planning.plans import Recipe
from jaxgd.training.segments import Extent, extent


def build_program(inputs: Inputs, recipe: Recipe, devices: Sequence[Any]) -> Callable:
    """The jitted `(shared, inputs, slots, occupancy, extent) -> slots` of a group.

    Each call moves every active lane on by `extent`; a lane at its start gets its initial state first. A lane
    that has ended comes out as it is to be handed over, and must not go in again.
    """
    mesh, program = mesh_of(devices[: recipe.devices]), inputs

    def on_device(shared, inputs, slots, occupancy, extent):
        run = functools.partial(program.move, not recipe.is_alone, shared)
        if recipe.kind == "vmap":
            return _run_together(program, run, recipe, extent, inputs, slots, occupancy)
        if recipe.width == 1:
            return _run_in_turn(functools.partial(run, extent, None), None, inputs, slots, occupancy)
        run = functools.partial(_run_at_once, program, run, recipe, extent)
        return _run_in_turn(run, recipe.width, inputs, slots, occupancy)

    sharded = over_devices(on_device, mesh, WHOLE, BY_LANE, BY_LANE, BY_LANE, WHOLE)
    on_all, by_lane = NamedSharding(mesh, WHOLE), NamedSharding(mesh, BY_LANE)
    given = (on_all, by_lane, by_lane, by_lane, on_all)
    # Of a group, whose devices have parts of a batch, each is to have the whole of what comes of it.
    out = by_lane if len(mesh.axis_names) > 1 else None
    return jax.jit(sharded, in_shardings=given, out_shardings=out, donate_argnums=2)


def _run_in_turn(
    run: Callable, width: int | None, inputs: LaneInputs, slots: Slots, occupancy: Occupancy
) -> Slots:
    """The slots after `run` of those lanes that are active: one after the other, or `width` at a time."""
    size = width or 1

    def step(turn, slots):
        place = occupancy.turns[turn]
        at_place = functools.partial(jax.lax.dynamic_slice_in_dim, start_index=place * size, slice_size=size)
        put = jax.lax.dynamic_update_slice_in_dim
        if width is None:
            at_place = functools.partial(jax.lax.dynamic_index_in_dim, index=place, keepdims=False)
            put = jax.lax.dynamic_update_index_in_dim
        # Places count from the first: a place from the end would be numbers of every slice.
        at_place, put = (functools.partial(move, allow_negative_indices=False) for move in (at_place, put))
        moved = run(*jax.tree.map(at_place, (inputs, slots, occupancy)))
        return jax.tree.map(lambda x, new: put(x, new, place * size, 0), slots, moved)

    return jax.lax.fori_loop(0, jnp.sum(occupancy.turns >= 0, dtype=jnp.int32), step, slots)


def _run_together(
    program: Inputs,
    run: Callable,
    recipe: Recipe,
    extent: Extent,
    inputs: LaneInputs,
    slots: Slots,
    occupancy: Occupancy,
) -> Slots:
    """All lanes moved at once; of those that share their batches, `width` are side by side."""
    if not recipe.shares_batches:
        return jax.vmap(functools.partial(run, extent, None))(inputs, slots, occupancy)
    side_by_side = lambda x: x.reshape(-1, recipe.width, *x.shape[1:])  # noqa: E731
    beside = jax.vmap(functools.partial(_run_beside, program, run, recipe, None, extent))
    moved = beside(*jax.tree.map(side_by_side, (inputs, slots, occupancy)))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), moved)


def _run_at_once(
    program: Inputs,
    run: Callable,
    recipe: Recipe,
    extent: Extent,
    inputs: LaneInputs,
    slots: Slots,
    occupancy: Occupancy,
) -> Slots:
    """Lanes of one batch size moved at once, until the first of them that is active has ended."""
    left = program.epochs - jnp.max(program.epochs_gone(slots, occupancy))
    extent = extent._replace(epochs=jnp.minimum(extent.epochs, left))
    return _run_beside(program, run, recipe, program.place_of_choice, extent, inputs, slots, occupancy)


def _run_beside(
    program: Inputs,
    run: Callable,
    recipe: Recipe,
    place_of_choice: int | None,
    extent: Extent,
    inputs: LaneInputs,
    slots: Slots,
    occupancy: Occupancy,
) -> Slots:
    """Lanes side by side moved at once; what is the same in all of them is there once."""
    leaves, place = list(inputs.leaves), None
    axes = LaneInputs([0] * len(leaves), 0, 0, 0, 0)
    # A number for all of them, or each would go through the loops of every batch size.
    if place_of_choice is not None:
        leaves[place_of_choice], axes.leaves[place_of_choice] = leaves[place_of_choice][0], None
    inputs = inputs._replace(leaves=leaves)
    if recipe.shares_batches:  # they came together, so they are in one epoch
        place = jnp.max(program.epochs_gone(slots, occupancy))
        key_data, orders = jax.tree.map(lambda x: x[0], (inputs.key_data, inputs.orders))
        inputs, axes = (
            inputs._replace(key_data=key_data, orders=orders),
            axes._replace(key_data=None, orders=None),
        )
    return jax.vmap(functools.partial(run, extent, place), (axes, 0, 0))(inputs, slots, occupancy)


class Compiled(NamedTuple):
    """A program that is compiled, and the SHA-256 of its text before: None where that was not asked for."""

    executable: Any
    digest: str | None = None


# Compiled programs by structure, shapes and recipe, so that a second sweep of the same kind compiles nothing.
_COMPILED = Kept()
# Of several threads that ask for one program, one compiles it: each has its lock, and few share one.
_LOCKS = tuple(threading.Lock() for _ in range(2**10))
_DIGESTS = Kept(2**12)
# Programs that were traced for their digest, until they are compiled.
_LOWERED = Kept(16)


def compiled(inputs: Inputs, recipe: Recipe, devices: Sequence[Any], with_digest: bool = False) -> Compiled:
    """The program of a group, compiled here unless one of a group of the same kind was before."""
    key = _key(inputs, recipe, devices)
    with _lock(key):
        found = _COMPILED.find(key)
        if found is None or (with_digest and found.digest is None):
            lowered = _LOWERED.pop(key) or lower(inputs, recipe, devices)
            made = found.executable if found else lowered.compile()
            found = Compiled(made, digest_of(lowered) if with_digest else None)
            _COMPILED.put(key, found)
    return found


def _lock(key: Any) -> threading.Lock:
    return _LOCKS[hash(key) % len(_LOCKS)]


def known(
    inputs: Inputs, recipe: Recipe, devices: Sequence[Any], with_digest: bool = False
) -> Compiled | None:
    """What `compiled` gives where it would compile nothing, else None."""
    found = _COMPILED.find(_key(inputs, recipe, devices))
    return None if found is None or (with_digest and found.digest is None) else found


def lower(inputs: Inputs, recipe: Recipe, devices: Sequence[Any]) -> Any:
    """The group's program before it is compiled."""
    slots_of = functools.partial(jax.ShapeDtypeStruct, (recipe.slots,))
    occupancy = Occupancy(slots_of(np.bool_), slots_of(np.bool_), slots_of(np.int32))
    lanes, slots = inputs.shapes(recipe.slots), inputs.slots(recipe.slots)
    arguments = abstract((inputs.shared, lanes, slots, occupancy, extent(0, inputs.num, inputs.num)))
    with _set(mesh_of(devices[: recipe.devices])):
        lowered = build_program(inputs, recipe, devices).lower(*arguments)  # pyright: ignore[reportFunctionMemberAccess]
    check_unchanged(inputs.group.first)  # since the program is traced in a thread, when others may act
    return lowered


def _set(mesh: Mesh) -> contextlib.AbstractContextManager:
    """The mesh is set in here, where that matters: its batches are split, or another one is set."""
    matters = len(mesh.axis_names) > 1 or not jax.sharding.get_abstract_mesh().empty
    return jax.set_mesh(mesh) if matters else contextlib.nullcontext()


def digest(inputs: Inputs, recipe: Recipe, devices: Sequence[Any]) -> str:
    """The SHA-256 of the text of a group's program, with nothing compiled; traced once."""
    key = _key(inputs, recipe, devices)
    with _lock(key):
        found = _COMPILED.find(key)
        if found is not None and found.digest is not None:
            return found.digest
        text_digest = _DIGESTS.find(key)
        if text_digest is None:
            lowered = lower(inputs, recipe, devices)
            text_digest = digest_of(lowered)
            _DIGESTS.put(key, text_digest)
            _LOWERED.put(key, lowered)
        return text_digest


def digest_of(lowered: Any) -> str:
    """The SHA-256 of a program's text: StableHLO with its constants, without the places of the source."""
    return hashlib.sha256(lowered.as_text().encode()).hexdigest()


def bytes_of(executable: Any) -> int:
    """Memory that a compiled program needs on a device."""
    memory = executable.memory_analysis()
    kept = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    return kept + memory.temp_size_in_bytes


def _key(inputs: Inputs, recipe: Recipe, devices: Sequence[Any]) -> Any:
    """What the program is kept under: what shapes and dtypes of all of its arguments come from."""
    return (
        inputs.key,
        (recipe, *devices),
        str(jax.dtypes.canonicalize_dtype(float)),
        setting("jax_default_prng_impl"),
        setting("jax_default_matmul_precision"),
    )
