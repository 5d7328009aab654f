"""Epoch orders made on the host: the numbers of `batching.epoch_orders`, without compiling its program."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Int32, UInt, UInt32

from jaxgd.aliases import Key
from jaxgd.machine.compiling import setting
from jaxgd.training.batching import ORDER, epoch_orders

# The newest JAX whose random numbers have been compared with these: a later one may draw others.
_NEWEST = (0, 12)
# What one of a draw's rotations turns its second word by, in five rounds of four by turns.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
# So many numbers are drawn at a time: they stay in a core's cache.
_BLOCK = 2**16


def key_numbers(seed: int) -> np.ndarray:
    """The numbers of `jax.random.key(seed)`: uint32[2], or as JAX's generator has them if it is another."""
    if _draws_as_jax() and 0 <= seed < 2**32:
        return np.array([0, seed], np.uint32)
    return jax.device_get(jax.random.key_data(jax.random.key(seed)))


def first_orders(
    numbers: Any, count: int, num_examples: int, sampling: str
) -> Int32[np.ndarray, "epochs examples"]:
    """The orders of the first `count` epochs of a run, of whose key the numbers are given.

    They are those of `epoch_orders`, which makes them where JAX draws numbers that are not known here.
    """
    if sampling != "sequential" and _draws_as_jax():
        return _orders(numbers, 0, count, num_examples, sampling)
    key = jax.random.wrap_key_data(numbers)
    return jax.device_get(epoch_orders(key, 0, count, num_examples, sampling))


def orders_from(
    key: Key, first: int, count: int, num_examples: int, sampling: str
) -> Int32[jax.Array, "epochs examples"]:
    """`epoch_orders` of a key that may be of any kind, or traced: from the host where they can be."""
    if sampling != "sequential" and _draws_as_jax() and not _is_of_another_kind(key):
        numbers = jax.random.key_data(key)
        if not isinstance(numbers, Tracer):
            numbers = jax.device_get(numbers)
            return jax.device_put(_orders(numbers, first, count, num_examples, sampling))
    return epoch_orders(key, first, count, num_examples, sampling)


def _is_of_another_kind(key: Key) -> bool:
    """Whether it is a typed key of another generator than JAX's own; one without a type is of that."""
    is_typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    return is_typed and str(jax.random.key_impl(key)) != "threefry2x32"


def _draws_as_jax() -> bool:
    """Whether JAX, as it is set, draws on a CPU what is drawn here.

    There no size is too large: from 1 to 2**22 examples NumPy takes 0.1 to 0.9 of the time of JAX's program,
    but for orders of a few examples, which take a millisecond. On a GPU nobody has measured it.
    """
    return (
        jax.__version_info__[:2] <= _NEWEST
        and jax.default_backend() == "cpu"
        and setting("jax_default_prng_impl") == "threefry2x32"
        and setting("jax_threefry_partitionable")
        and not setting("jax_random_seed_offset")
    )


def _orders(numbers: np.ndarray, first: int, count: int, num: int, sampling: str) -> np.ndarray:
    order_key = _derived(numbers[None], [ORDER])[0]
    keys = _derived(order_key, range(first, first + count))[0]
    draw, rows = _replaced if sampling == "replacement" else _shuffled, max(1, _BLOCK // num)
    return np.concatenate([draw(keys[at : at + rows], num) for at in range(0, count, rows)])


def _shuffled(keys: UInt32[np.ndarray, "rows 2"], num: int) -> Int32[np.ndarray, "rows num"]:
    """A permutation for each key: sorted by random numbers, stably, as often as makes ties unlikely."""
    order = np.broadcast_to(np.arange(num, dtype=np.int32), (len(keys), num))
    for _ in range(int(np.ceil(3 * np.log(num) / np.log(2**32 - 1)))):
        keys, drawing = _split(keys)
        order = np.take_along_axis(order, _places(_words(drawing, num)), axis=1)
    return order


def _places(words: UInt32[np.ndarray, "rows num"]) -> np.ndarray:
    """`argsort` of each row, with ties in their order: places are the lower bits of what is sorted."""
    packed = words.astype(np.uint64) << np.uint64(32)
    packed |= np.arange(words.shape[1], dtype=np.uint64)
    packed.sort(axis=1)
    packed &= np.uint64(2**32 - 1)
    return packed.view(np.int64)


def _replaced(keys: UInt32[np.ndarray, "rows 2"], num: int) -> Int32[np.ndarray, "rows num"]:
    """Draws from 0 to num - 1 for each key: remainders of numbers of two words, in arithmetic of one word.

    A word has 64 bits where JAX's numbers have. Of 16 bits each `(high * 2**16 + low) % 10` would be
    `(high % 10 * 6 + low % 10) % 10`, as 2**16 % 10 is 6.
    """
    bits, word = (64, np.uint64) if setting("jax_enable_x64") else (32, np.uint32)
    high, low = (_words(half, num, word) % word(num) for half in _split(keys))
    # Squared in one word, as JAX does: beyond 2**16 examples, 2**16 squared is 0 where a word has 32 bits.
    factor = (2 ** (bits // 2) % num) ** 2 % 2**bits % num
    return ((high * word(factor) + low) % word(num)).astype(np.int32)


def _words(
    keys: UInt32[np.ndarray, "rows 2"], num: int, word: Any = np.uint32
) -> UInt[np.ndarray, "rows num"]:
    """Random numbers for each key, of 32 or of 64 bits."""
    words = np.empty((len(keys), num), word)
    for first in range(0, num, _BLOCK):
        high, low = _threefry(keys, np.arange(first, min(first + _BLOCK, num)))
        drawn = high ^ low if word is np.uint32 else high.astype(word) << word(32) | low
        words[:, first : first + _BLOCK] = drawn
    return words


def _split(keys: UInt32[np.ndarray, "rows 2"]) -> tuple[np.ndarray, np.ndarray]:
    """Two keys for each."""
    both = _derived(keys, range(2))
    return both[:, 0], both[:, 1]


def _derived(keys: UInt32[np.ndarray, "rows 2"], counts) -> UInt32[np.ndarray, "rows counts 2"]:
    """A key for each key and count, as `fold_in` makes one of a number."""
    return np.stack(_threefry(keys, np.asarray(counts)), axis=-1)


def _threefry(keys: UInt32[np.ndarray, "rows 2"], counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two words, uint32[rows, counts], for each key and each count below 2**32: Threefry 2x32 of 20 rounds.

    From Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.
    """
    key = keys[:, :1], keys[:, 1:], keys[:, :1] ^ keys[:, 1:] ^ np.uint32(0x1BD11BDA)
    second = key[1] + counts.astype(np.uint32)
    first = np.broadcast_to(key[0], second.shape).copy()
    for turn in range(5):
        for bits in _ROTATIONS[turn % 2]:
            first += second
            rest = second >> np.uint32(32 - bits)
            second <<= np.uint32(bits)
            second |= rest
            second ^= first
        first += key[(turn + 1) % 3]
        second += key[(turn + 2) % 3] + np.uint32(turn + 1)
    return first, second
