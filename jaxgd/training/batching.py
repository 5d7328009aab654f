"""Which examples are in which batch: epoch orders, batch positions, keys."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Int, Int32

from jaxgd.aliases import Batch, Key, Split
from jaxgd.machine.compiling import quick_jit

# Streams of random numbers that one run's key is split into.
_INIT, ORDER, _EXAMPLE, _AUGMENT = 0, 1, 2, 3


def init_key(key: Key) -> Key:
    """The key that a run's initial parameters are drawn with."""
    return jax.random.fold_in(key, _INIT)


def epoch_order(key: Key, epoch: Any, num_examples: int, sampling: str) -> Int32[jax.Array, " examples"]:
    """The examples in the order in which epoch `epoch` (from 0) uses them.

    It depends on the run's key and the epoch only, so runs with different batch sizes see the same order.
    `sampling` is "shuffle" (each once), "replacement" (independent draws) or "sequential" (as they are).
    """
    if sampling == "sequential":
        return jnp.arange(num_examples, dtype=jnp.int32)
    key = jax.random.fold_in(jax.random.fold_in(key, ORDER), epoch)
    if sampling == "replacement":
        return jax.random.randint(key, (num_examples,), 0, num_examples).astype(jnp.int32)
    return jax.random.permutation(key, num_examples).astype(jnp.int32)


def _epoch_orders(
    key: Key, first: Any, count: int, num_examples: int, sampling: str
) -> Int32[jax.Array, "epochs examples"]:
    """The orders of `count` epochs from `first` on.

    A program of its own: a permutation takes as long to compile as a whole training loop.
    """
    return jax.lax.map(
        lambda epoch: epoch_order(key, epoch, num_examples, sampling), first + jnp.arange(count)
    )


epoch_orders = quick_jit(_epoch_orders, level=0, static_argnames=("count", "num_examples", "sampling"))


def example_keys(key: Key, epoch: Any, positions: Int32[jax.Array, " batch"]) -> jax.Array:
    """One key per example, from its position in the epoch: the batches it falls into do not change it."""
    key = jax.random.fold_in(jax.random.fold_in(key, _EXAMPLE), epoch)
    return jax.vmap(functools.partial(jax.random.fold_in, key))(positions)


def augment_key(key: Key, epoch: Any, position: Any) -> Key:
    """The key with which the batch is augmented that begins at `position` in the epoch."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, _AUGMENT), epoch), position)


class Window(NamedTuple):
    """The part that is here of training data that come batch by batch, in the order in which they are used.

    rows: a tree of arrays, of which axis 0 are examples, each batch filled up with its first one. first:
    where in the epoch the first of them stands. num: how many examples the epoch has, as far as is known:
    2**31 - 1 until its end has come. remainder: how many examples a batch has that is shorter than the others
    and that a loss must not see padded, structure; None otherwise. The window is then used for it alone.
    """

    rows: Split
    first: Any
    num: Any
    remainder: Any


def following(window: Window, position: Any, width: int) -> Batch:
    """So many examples of a window from this position of the epoch on: a copy of memory, no gather."""
    begin = position - window.first
    return jax.tree.map(lambda rows: jax.lax.dynamic_slice_in_dim(rows, begin, width, 0), window.rows)


def filled_up(positions: Int32[jax.Array, " width"], first: Any, end: Any) -> tuple[jax.Array, jax.Array]:
    """`(positions, mask)` of a batch that begins at `first` and ends before `end`.

    Beyond its end stands its first example, masked: a row of zeros could give a NaN gradient.
    """
    mask = positions < end
    return jnp.where(mask, positions, first), mask


def batch_at(data: Split, order: Int[jax.Array, " examples"], position: Any, size: Any, capacity: int) -> Any:
    """`(batch, mask)`: see `jaxgd.datasets.take_batch`."""
    num = order.shape[0]
    first = jnp.minimum(jnp.asarray(position, jnp.int32), num - 1)
    positions = first + jnp.arange(capacity, dtype=jnp.int32)
    end = position + jnp.minimum(size, num - position)  # position + size may be more than 32 bits hold
    used, mask = filled_up(positions, first, end)
    return take(jax.tree.map(jnp.asarray, data), order[used]), mask & (positions >= position)


def take(data: Split, indices: Int[jax.Array, " examples"]) -> Batch:
    """The examples `indices` of every array in `data`; they must be in range."""
    if isinstance(data, Window):
        data, indices = data.rows, indices - data.first
    return jax.tree.map(lambda array: array.at[indices].get(mode="promise_in_bounds"), data)
