"""Schedules: functions of the number of updates made so far, as pytrees of their numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.optim.counts import Count, as_count, at_least_0, real
from jaxgd.optim.hyperparameters import UPDATES, Hyperparameters, Parametric, check_number, text


class Formula(NamedTuple):
    """What is static about a schedule: its name, the function of its numbers and the count, and a check.

    Numbers of updates reach the function as they are stored, for a `Count` to compare and to divide by.
    """

    name: str
    value: Callable
    optional: frozenset[str] = frozenset()
    check: Callable | None = None

    def __str__(self):
        return self.name


@jax.tree_util.register_pytree_with_keys_class
class Schedule(Parametric):
    """A callable `schedule(count) -> value` that is a pytree of its numbers, so that they can be swept.

    `count` is the number of updates made before this one: int32 of any shape, from 0. Numbers of updates are
    compared and divided exactly, so a step falls at the same update eagerly, jitted and vmapped; one above
    2**24 that float32 lacks is an int32 leaf, by which `jax.grad` refuses to differentiate.
    """

    @classmethod
    def build(cls, kind: Any, **hyperparameters: Any) -> "Schedule":
        """The schedule of this kind, its numbers checked, also together."""
        return super().build(kind, **hyperparameters)._checked()

    def replace(self, **changes: Any) -> "Schedule":
        """A copy with some numbers changed, checked as when it was built."""
        return super().replace(**changes)._checked()

    def _checked(self) -> "Schedule":
        if self._kind.check is not None:
            self._kind.check(self._values)
        return self

    def __call__(self, count: Any) -> jax.Array:
        """The value at `count`, in the default float dtype."""
        return self.at(as_count(count))

    def at(self, count: Count) -> jax.Array:
        """The value at a count that may begin between two updates."""
        values = {name: value if name in UPDATES else _real(value) for name, value in self._values.items()}
        return self._kind.value(Hyperparameters(values), count)


def _real(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_real, value))
    return real(value) if isinstance(value, int | float | np.ndarray | np.generic | jax.Array) else value


def constant_schedule(value: Any) -> Schedule:
    """The schedule that is `value` at every count."""
    return Schedule.build(_CONSTANT, value=value)


def exponential_decay(
    init_value: Any,
    transition_steps: Any,
    decay_rate: Any,
    transition_begin: Any = 0,
    staircase: bool = False,
    end_value: Any = None,
) -> Schedule:
    """The schedule `init_value * decay_rate ** ((count - transition_begin) / transition_steps)`.

    Args:
        init_value: value until `transition_begin`.
        transition_steps: updates after which the value has been multiplied by `decay_rate` once; 0 or less
            means constant, as in Optax.
        decay_rate: factor, 0 or more. 0 means constant, as in Optax.
        transition_begin: updates before the decay begins; below 0 means 0, as in Optax.
        staircase: multiply in steps, at every `transition_steps`-th update.
        end_value: the value is clipped to it, from above if `decay_rate` is 1 or more.
    """
    return Schedule.build(_EXPONENTIAL, **locals())


def inverse_time_decay(
    init_value: Any,
    transition_steps: Any,
    decay_rate: Any,
    transition_begin: Any = 0,
    staircase: bool = False,
) -> Schedule:
    """The schedule `init_value / (1 + decay_rate * (count - transition_begin) / transition_steps)`.

    With `decay_rate=1` and `transition_steps=1` this is 1/t decay, for which SGD on `(w - y)**2 / 2` is the
    running mean (Robbins and Monro, 1951). A `transition_steps` of 0 or less means constant.
    """
    return Schedule.build(_INVERSE_TIME, **locals())


def step_decay(init_value: Any, transition_steps: Any, decay_rate: Any = 0.1) -> Schedule:
    """The schedule that is multiplied by `decay_rate` at every `transition_steps`-th update (0: never)."""
    return Schedule.build(_STEP, **locals())


def cosine_decay_schedule(
    init_value: Any, decay_steps: Any, alpha: Any = 0.0, exponent: Any = 1.0
) -> Schedule:
    """The schedule that falls from `init_value` to `alpha * init_value` along half a cosine.

    `decay_steps` is above 0; a traced one of 0 or less gives the constant `init_value`.

    Source: Loshchilov and Hutter 2017, SGDR, equation 5.
    """
    return Schedule.build(_COSINE, **locals())


def linear_schedule(
    init_value: Any, end_value: Any, transition_steps: Any, transition_begin: Any = 0
) -> Schedule:
    """The schedule that goes from `init_value` to `end_value` in equal steps.

    A `transition_steps` of 0 or less gives the constant `init_value`, as in Optax.
    """
    return Schedule.build(_LINEAR, **locals())


def polynomial_schedule(
    init_value: Any, end_value: Any, power: Any, transition_steps: Any, transition_begin: Any = 0
) -> Schedule:
    """The schedule `end + (init - end) * (1 - time) ** power`; time is 1 after `transition_steps` updates.

    A `transition_steps` of 0 or less gives the constant `init_value`, as in Optax.
    """
    return Schedule.build(_POLYNOMIAL, **locals())


def warmup_constant_schedule(init_value: Any, peak_value: Any, warmup_steps: Any) -> Schedule:
    """The schedule that rises linearly for `warmup_steps` updates and stays at `peak_value`.

    With `warmup_steps` 0 it is `peak_value` from the start (Optax's is `init_value`, often 0, for ever).
    """
    return Schedule.build(_WARMUP_CONSTANT, **locals())


def warmup_cosine_decay_schedule(
    init_value: Any,
    peak_value: Any,
    warmup_steps: Any,
    decay_steps: Any,
    end_value: Any = 0.0,
    exponent: Any = 1.0,
) -> Schedule:
    """The schedule that rises linearly to `peak_value`, then falls along half a cosine to `end_value`.

    Args:
        init_value: value at count 0.
        peak_value: value after `warmup_steps` updates.
        warmup_steps: updates of linear rise.
        decay_steps: updates in all, the rise included: above `warmup_steps`. Where both are traced and it is
            not, the value stays at the peak.
        end_value: value from `decay_steps` on; 0, as in Optax, where `peak_value` is 0.
        exponent: power of the cosine, as in `cosine_decay_schedule`.
    """
    return Schedule.build(_WARMUP_COSINE, **locals())


def warmup_exponential_decay_schedule(
    init_value: Any,
    peak_value: Any,
    warmup_steps: Any,
    transition_steps: Any,
    decay_rate: Any,
    transition_begin: Any = 0,
    staircase: bool = False,
    end_value: Any = None,
) -> Schedule:
    """The schedule that rises linearly to `peak_value`, then is `exponential_decay` from there.

    Args:
        init_value: value at count 0.
        peak_value: value after `warmup_steps` updates.
        warmup_steps: updates of linear rise.
        transition_steps: updates after which the value has been multiplied by `decay_rate` once; 0 or less
            means that it stays at `peak_value`.
        decay_rate: factor, 0 or more.
        transition_begin: updates at `peak_value` before the decay begins.
        staircase: multiply in steps.
        end_value: the value is clipped to it, as in `exponential_decay`.
    """
    return Schedule.build(_WARMUP_EXPONENTIAL, **locals())


def _constant(h, count):
    return h.value + 0 * count.real


def _decay_time(h, count):
    count = count.since(at_least_0(h.transition_begin))
    if h.staircase:
        return count.lengths(h.transition_steps)
    return jnp.maximum(count.over(h.transition_steps), 0)


def _exponential(h, count):
    return _decayed(h, h.init_value, count)


def _decayed(h, init_value, count):
    is_constant = (h.decay_rate == 0) | (real(h.transition_steps) <= 0)
    rate = jnp.where(h.decay_rate == 0, 1.0, h.decay_rate)
    value = init_value * rate ** _decay_time(h, count)
    if h.end_value is None:
        return value
    clipped = jnp.where(rate < 1, jnp.maximum(value, h.end_value), jnp.minimum(value, h.end_value))
    return jnp.where(is_constant, init_value, clipped)


def _step(h, count):
    return h.init_value * h.decay_rate ** count.lengths(h.transition_steps)


def _inverse_time(h, count):
    return h.init_value / (1 + h.decay_rate * _decay_time(h, count))


def _fall(time, exponent):
    return (0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(time, 0, 1)))) ** exponent


def _cosine(h, count):
    fall = _fall(count.over(h.decay_steps), h.exponent)
    return h.init_value * ((1 - h.alpha) * fall + h.alpha)


def _linear(h, count):
    return h.init_value + (h.end_value - h.init_value) * _transition_time(h, count)


def _polynomial(h, count):
    return h.end_value + (h.init_value - h.end_value) * (1 - _transition_time(h, count)) ** h.power


def _transition_time(h, count):
    return jnp.clip(count.since(at_least_0(h.transition_begin)).over(h.transition_steps), 0, 1)


def _rise(h, count):
    return h.init_value + (h.peak_value - h.init_value) * jnp.clip(count.over(h.warmup_steps), 0, 1)


def _warmup_constant(h, count):
    return jnp.where(count.before(h.warmup_steps), _rise(h, count), h.peak_value)


def _warmup_cosine(h, count):
    length = real(h.decay_steps) - real(h.warmup_steps)
    fall = _fall(count.since(h.warmup_steps).over(length), h.exponent)
    end_value = jnp.where(h.peak_value == 0, 0, h.end_value)
    fallen = end_value + (h.peak_value - end_value) * fall
    return jnp.where(count.before(h.warmup_steps), _rise(h, count), fallen)


def _check_fall(h):
    if not isinstance(h.warmup_steps, Tracer):
        allowed = f"above warmup_steps={text(h.warmup_steps)}"
        check_number("decay_steps", h.decay_steps, lambda steps: steps > np.asarray(h.warmup_steps), allowed)


def _warmup_exponential(h, count):
    decayed = _decayed(h, h.peak_value, count.since(h.warmup_steps))
    return jnp.where(count.before(h.warmup_steps), _rise(h, count), decayed)


_CONSTANT = Formula("constant_schedule", _constant)
_EXPONENTIAL = Formula("exponential_decay", _exponential, frozenset({"end_value"}))
_STEP = Formula("step_decay", _step)
_POLYNOMIAL = Formula("polynomial_schedule", _polynomial)
_WARMUP_EXPONENTIAL = Formula(
    "warmup_exponential_decay_schedule", _warmup_exponential, frozenset({"end_value"})
)
_INVERSE_TIME = Formula("inverse_time_decay", _inverse_time)
_COSINE = Formula("cosine_decay_schedule", _cosine)
_LINEAR = Formula("linear_schedule", _linear)
_WARMUP_CONSTANT = Formula("warmup_constant_schedule", _warmup_constant)
_WARMUP_COSINE = Formula("warmup_cosine_decay_schedule", _warmup_cosine, check=_check_fall)
