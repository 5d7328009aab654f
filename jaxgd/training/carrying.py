"""What loops carry: a state in few arrays, since each array of a loop costs a copy or a call.

The loops of this module are those of `jax.lax`; nobody else sees a state packed. What they carry is a
state, or a pair of a state and the rows of its history.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int32

from jaxgd.aliases import Key, Updates
from jaxgd.numerics import Sums
from jaxgd.training.states import Anchor, BatchSums, EpochSums, Moving, TrainState, moving_part
from jaxgd.training.trainers import Trainer, measured_names


def fori_loop(begin: Any, end: Any, body: Callable, carry: Any) -> Any:
    """The carry after `carry = body(i, carry)` for each i from `begin` to before `end`."""
    door = _Door(carry)
    step = lambda i, packed: door.through(functools.partial(body, i), packed)  # noqa: E731
    return door.unpack(jax.lax.fori_loop(begin, end, step, door.pack(carry)))


def while_loop(goes_on: Callable, body: Callable, carry: Any) -> Any:
    """The carry after `carry = body(carry)` as long as `goes_on(carry)`."""
    door = _Door(carry)
    test = lambda packed: goes_on(door.unpack(packed))  # noqa: E731
    return door.unpack(jax.lax.while_loop(test, functools.partial(door.through, body), door.pack(carry)))


def scan(body: Callable, carry: Any, items: Any) -> tuple[Any, Any]:
    """The carry after `carry, y = body(carry, item)` for each item, and the stacked ys."""
    door = _Door(carry)

    def step(packed, item):
        with _inside_a_loop():
            carry, y = body(door.unpack(packed), item)
            return door.pack(carry), y

    packed, ys = jax.lax.scan(step, door.pack(carry), items)
    return door.unpack(packed), ys


def cond(is_so: Any, function: Callable, carry: Any) -> Any:
    """`function(carry)` where `is_so`, else the carry."""
    door = _Door(carry)
    inner = functools.partial(door.through, function)
    return door.unpack(jax.lax.cond(is_so, inner, lambda packed: packed, door.pack(carry)))


def switch(index: Any, functions: Sequence[Callable], carry: Any) -> Any:
    """What the function at `index` gives for the carry."""
    door = _Door(carry)
    inner = [functools.partial(door.through, function) for function in functions]
    return door.unpack(jax.lax.switch(index, inner, door.pack(carry)))


def where(is_so: Any, new: Any, old: Any) -> Any:
    """`new` where `is_so`, else `old`: both have been computed."""
    door = _Door(old)
    return door.unpack(jax.tree.map(lambda x, y: jnp.where(is_so, x, y), door.pack(new), door.pack(old)))


def carried(state: TrainState, rows: "Rows") -> tuple["Packed", "Rows"]:
    """A run as it is kept between programs: see `moved`."""
    return pack(state), rows


def moved(move: Callable, packed: "Packed", rows: "Rows", key: Key) -> tuple["Packed", "Rows"]:
    """A run that is kept between programs, after `state, rows = move(state, rows)`."""
    with _inside_a_loop():
        state, rows = move(unpack(packed, key), rows)
        return carried(state, rows)


class _Door:
    """The door of a loop: how what it carries is packed, and unpacked for the function that it runs.

    A state that goes into an inner loop as it came out of the outer one is not packed anew: taken apart and
    put together again, its numbers would be kernels of every epoch.
    """

    def __init__(self, carry: Any):
        self.is_pair = not isinstance(carry, TrainState)
        self.key = (carry[0] if self.is_pair else carry).key

    def pack(self, carry: Any) -> Any:
        """The carry as the loop's arrays."""
        return carried(*carry) if self.is_pair else pack(carry)

    def unpack(self, packed: Any) -> Any:
        """The carry as it was given."""
        return (unpack(packed[0], self.key), packed[1]) if self.is_pair else unpack(packed, self.key)

    def through(self, function: Callable, packed: Any) -> Any:
        """`function` of a packed carry, packed."""
        with _inside_a_loop():
            return self.pack(function(self.unpack(packed)))


class _Unpacked(threading.local):
    """For each function that a loop runs now, outermost first: the states in it that came of a packed one."""

    def __init__(self):
        self.frames: list[list[tuple[TrainState, Packed]]] = []


_unpacked = _Unpacked()


@contextlib.contextmanager
def _inside_a_loop() -> Iterator[None]:
    _unpacked.frames.append([])
    try:
        yield
    finally:
        _unpacked.frames.pop()


class Packed(NamedTuple):
    """A state in as few arrays as loops should carry: on a CPU each costs kernels of its own.

    anchor: what the anchor holds besides `updates`. partial: the gradients of the sums over a batch. numbers:
    the epoch's five sums, of numbers and of counts, and their errors; with micro-batches the batch's after
    them. counts: see `STATE_COUNTS`. The key is left out: it never changes.
    """

    moving: Moving
    anchor: Moving | None
    partial: Updates | None
    numbers: Float[jax.Array, "2 sums"]
    counts: Int32[jax.Array, "7"]

    def count(self, name: str) -> jax.Array:
        """The count of this name, or of several runs along leading axes."""
        return self.counts[..., STATE_COUNTS.index(name)]

    def counts_on_host(self) -> dict[str, Any]:
        """All counts by name, in one transfer."""
        counts = jax.device_get(self.counts)
        return {name: counts[..., i] for i, name in enumerate(STATE_COUNTS)}


# Their order in `Packed.counts`.
STATE_COUNTS = ("updates", "examples", "status", "epoch", "stopped_at", "position", "anchor_updates")


def pack(state: TrainState) -> Packed:
    """The state without its key."""
    numbers, counts = _known(_sums_of, state), _known(_counts_of, state)
    return Packed(
        moving=moving_part(state),
        anchor=state.anchor.moving,
        partial=None if state.sums.partial is None else state.sums.partial.grads,
        numbers=jnp.concatenate(list(map(jnp.stack, _sums_of(state))), axis=1)
        if numbers is None
        else numbers.numbers,
        counts=jnp.stack(_counts_of(state)) if counts is None else counts.counts,
    )


def _sums_of(state: TrainState) -> list[Sums]:
    """All running sums, in their order in `Packed.numbers`."""
    sums = state.sums
    return [sums.numbers, sums.counts, *([] if sums.partial is None else [sums.partial.numbers])]


def _counts_of(state: TrainState) -> list[Any]:
    """What `STATE_COUNTS` names."""
    own = (getattr(state, name) for name in STATE_COUNTS[:5])
    return [*own, state.sums.position, state.anchor.updates]


def _known(part: Callable[[TrainState], list[Any]], state: TrainState) -> Packed | None:
    """What this part of a state was unpacked from, if it is still what it was."""
    for known, packed in _unpacked.frames[-1] if _unpacked.frames else ():
        if all(a is b for a, b in zip(part(state), part(known), strict=True)):
            return packed
    return None


def unpack(packed: Packed, key: Key) -> TrainState:
    """The state."""
    numbers, partial = packed.numbers, None
    if packed.partial is not None:
        partial = BatchSums(packed.partial, Sums(*numbers[:, 5:]))
    counts: dict[str, Any] = {name: packed.count(name) for name in STATE_COUNTS[:5]}
    sums = EpochSums(packed.count("position"), Sums(*numbers[:, :3]), Sums(*numbers[:, 3:5]), partial)
    anchor: Any = Anchor(packed.anchor, packed.count("anchor_updates"))  # pyright: ignore[reportArgumentType]
    state = TrainState(key=key, anchor=anchor, sums=sums, **packed.moving._asdict() | counts)
    if _unpacked.frames:
        _unpacked.frames[-1].append((state, packed))
    return state


COUNTS = ("updates", "examples")


class Rows(NamedTuple):
    """A history as loops carry it: what is measured, in the order of `columns`, and what `COUNTS` names."""

    measured: Float[jax.Array, "epochs columns"]
    counts: Int32[jax.Array, "epochs 2"]


def columns(trainer: Trainer) -> list[str]:
    """The names of what is measured, in the order of the columns: that of the keys of JAX's dicts."""
    return sorted(measured_names(trainer))


def empty_rows(trainer: Trainer, epochs: int) -> Rows:
    """The rows of `epochs` epochs with nothing in them: NaN, and 0 for counts."""
    measured = jnp.full((epochs, len(columns(trainer))), jnp.nan)
    return Rows(measured, jnp.zeros((epochs, len(COUNTS)), jnp.int32))


def as_history(trainer: Trainer, rows: Rows) -> dict[str, Any]:
    """`{name: array [..., epochs]}`."""
    measured = {name: rows.measured[..., i] for i, name in enumerate(columns(trainer))}
    return measured | {name: rows.counts[..., i] for i, name in enumerate(COUNTS)}


def as_rows(history: dict[str, Any]) -> Rows:
    """The rows of a history."""
    measured = [history[name] for name in sorted(history) if name not in COUNTS]
    return Rows(jnp.stack(measured, axis=-1), jnp.stack([history[name] for name in COUNTS], axis=-1))
