"""What loops carry: a state in few arrays, since each array of a loop costs a copy or a call."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgd.numerics.sums import Sums
from jaxgd.training.states import Anchor, BatchSums, EpochSums, Moving, TrainState, moving_part
from jaxgd.training.trainers import Trainer, measured_names


class Packed(NamedTuple):
    """A state in as few arrays as loops should carry: on a CPU each costs kernels of its own.

    anchor: what the anchor holds besides `updates`. partial: the gradients of the sums over a batch. numbers:
    float[2, 3], the epoch's sums and their errors; with micro-batches float[2, 5], the batch's after them.
    counts: int32[7], see `STATE_COUNTS`. The key is left out: it never changes.
    """

    moving: Moving
    anchor: Moving | None
    partial: Any
    numbers: jax.Array
    counts: jax.Array

    def count(self, name: str) -> jax.Array:
        """The count of this name."""
        return count_of(self.counts, name)


# Their order in `Packed.counts`.
STATE_COUNTS = ("updates", "examples", "status", "epoch", "stopped_at", "position", "anchor_updates")


def count_of(counts: Any, name: str) -> Any:
    """The count of this name of a `Packed`, or of several along leading axes."""
    return counts[..., STATE_COUNTS.index(name)]


def pack(state: TrainState) -> Packed:
    """The state without its key."""
    sums, anchor = state.sums, state.anchor
    numbers, partial = jnp.stack(sums.numbers), None
    if sums.partial is not None:
        numbers = jnp.concatenate([numbers, jnp.stack(sums.partial.numbers)], axis=1)
        partial = sums.partial.grads
    own = (getattr(state, name) for name in STATE_COUNTS[:5])
    counts = jnp.stack([*own, sums.position, anchor.updates])
    return Packed(moving_part(state), anchor.moving, partial, numbers, counts)


def unpack(packed: Packed, key: Any) -> TrainState:
    """The state."""
    numbers, partial = packed.numbers, None
    if packed.partial is not None:
        partial = BatchSums(packed.partial, Sums(*numbers[:, 3:]))
    counts: dict[str, Any] = {name: packed.count(name) for name in STATE_COUNTS[:5]}
    sums = EpochSums(packed.count("position"), Sums(*numbers[:, :3]), partial)
    anchor: Any = Anchor(packed.anchor, packed.count("anchor_updates"))  # pyright: ignore[reportArgumentType]
    fields = packed.moving._asdict() | counts
    return TrainState(key=key, anchor=anchor, sums=sums, **fields)


COUNTS = ("updates", "examples")


class Rows(NamedTuple):
    """A history as loops carry it. measured: by name, float[epochs]. counts: int32[epochs, 2]."""

    measured: dict[str, jax.Array]
    counts: jax.Array


def empty_rows(trainer: "Trainer", epochs: int) -> Rows:
    """The rows of `epochs` epochs with nothing in them: NaN, and 0 for counts."""
    measured = {name: jnp.full(epochs, jnp.nan) for name in measured_names(trainer)}
    return Rows(measured, jnp.zeros((epochs, len(COUNTS)), jnp.int32))


def as_history(rows: Rows) -> dict[str, Any]:
    """`{name: array [..., epochs]}`."""
    return rows.measured | {name: rows.counts[..., i] for i, name in enumerate(COUNTS)}


def as_rows(history: dict[str, Any]) -> Rows:
    """The rows of a history."""
    measured = {name: column for name, column in history.items() if name not in COUNTS}
    return Rows(measured, jnp.stack([history[name] for name in COUNTS], axis=-1))
