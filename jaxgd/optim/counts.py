"""Counts of updates, compared, subtracted and divided as whole numbers.

float32 holds whole numbers up to 2**24 only, and XLA may write a division by a constant as a product with its
reciprocal: `floor(61 / 61.)` is 1 eagerly and 0 in some programs.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int32

from jaxgd.aliases import Number

_LARGEST = np.iinfo(np.int32).max


class Count(NamedTuple):
    """Updates since some moment.

    part: what is left over, in [0, 1) and of the default float dtype, where that moment was not a whole
    number of updates; None is 0.
    """

    whole: Int32[jax.Array, "..."]
    part: Float[jax.Array, "..."] | None = None

    @property
    def real(self) -> Float[jax.Array, "..."]:
        """The count in the default float dtype."""
        whole = real(self.whole)
        return whole if self.part is None else whole + self.part

    def before(self, boundary: Number) -> Bool[jax.Array, "..."]:
        """Whether the count is below `boundary`, any real number."""
        bound = _bound(boundary if self.part is None else real(boundary) - self.part)
        return (self.whole < bound.up) | bound.is_beyond

    def since(self, begin: Number) -> "Count":
        """The count less `begin`, any real number."""
        bound = _bound(begin)
        whole = jnp.minimum(self.whole, _LARGEST + jnp.minimum(bound.up, 0)) - bound.up  # no overflow
        if bound.is_whole is True:
            return Count(whole, self.part)
        part = real(bound.up) - real(begin)
        part = part if self.part is None else part + self.part
        carry = jnp.floor(part)
        return Count(whole + carry.astype(jnp.int32), part - carry)

    def over(self, length: Number) -> Float[jax.Array, "..."]:
        """The count divided by `length`; 0 where that is 0 or less: a change of no length never begins."""
        length = real(length)
        return jnp.where(length > 0, self.real / jnp.where(length > 0, length, 1), 0)

    def lengths(self, length: Number) -> Float[jax.Array, "..."]:
        """How many whole `length`s it holds, the same in every program; 0 where `length` is 0 or less."""
        bound, length = _bound(length), real(length)
        exact = real(jnp.maximum(self.whole, 0) // jnp.maximum(bound.up, 1))
        if bound.is_whole is True:
            return jnp.where(length > 0, exact, 0)
        size, count = jnp.where(length > 0, length, 1), jnp.maximum(self.real, 0)
        number = jnp.floor(count / size)  # may be one off on either side
        number = number - real(number * size > count)
        number = number + real((number + 1) * size <= count)
        number = jnp.where(bound.is_whole, exact, number)
        return jnp.where((length > 0) & ~bound.is_beyond, number, 0)


def as_count(count: ArrayLike) -> Count:
    """What was given to a schedule: whole numbers of any dtype and size, or floats."""
    count = count if isinstance(count, jax.Array) else np.asarray(count)
    if not jnp.issubdtype(count.dtype, jnp.integer):
        whole = jnp.floor(count)
        return Count(_bound(whole).up, real(count - whole))
    if jnp.iinfo(count.dtype).max > _LARGEST:
        count = count.clip(max=_LARGEST)
    return Count(jnp.asarray(count, jnp.int32))


def real(number: Any) -> Float[jax.Array, "..."]:
    """`number` in the default float dtype."""
    return jnp.asarray(number, jnp.result_type(float))


def incremented(count: Any) -> Any:
    """The count after one more update; the largest count stays."""
    return optax.safe_increment(count)


def at_least_0(number: Any) -> Any:
    """`number`, or 0 where it is below: NumPy's where it is NumPy's, so that nothing is rounded."""
    return jnp.maximum(number, 0) if isinstance(number, jax.Array) else np.maximum(number, 0)


class _Bound(NamedTuple):
    """The next whole number as int32, whether the number is whole, and whether it is beyond all counts."""

    up: Any
    is_whole: Any
    is_beyond: Any


def _bound(number: Any) -> _Bound:
    if jnp.issubdtype(jnp.result_type(number), jnp.integer):
        return _Bound(jnp.asarray(number, jnp.int32), True, False)
    if isinstance(number, jax.Array):
        up, largest = jnp.ceil(number), np.nextafter(np.asarray(2.0**31, number.dtype), 0, dtype=number.dtype)
        return _Bound(jnp.clip(up, -largest, largest).astype(jnp.int32), up == number, number >= 2.0**31)
    up = np.ceil(number)  # in float64, before anything rounds it to float32
    is_whole, is_beyond = (up == number) & (np.abs(up) < 2.0**31), np.greater_equal(number, 2.0**31)
    up = np.clip(up, -_LARGEST, _LARGEST).astype(np.int32)
    return _Bound(up, True if np.all(is_whole) else is_whole, is_beyond)
