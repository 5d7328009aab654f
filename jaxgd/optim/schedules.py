"""Schedules: functions of the number of updates made so far, as pytrees of their numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.optim.hyperparameters import Hyperparameters, Parametric


class Formula(NamedTuple):
    """What is static about a schedule: its name and the function of its numbers and the count."""

    name: str
    value: Callable
    optional: frozenset[str] = frozenset()

    def __str__(self):
        return self.name


@jax.tree_util.register_pytree_with_keys_class
class Schedule(Parametric):
    """A callable `schedule(count) -> value` that is a pytree of its numbers, so that they can be swept.

    `count` is the number of updates made before this one: int32 of any shape, from 0.
    """

    def __call__(self, count: Any) -> jax.Array:
        """The value at `count`, in the default float dtype."""
        numbers = Hyperparameters({name: _real(value) for name, value in self._values.items()})
        return self._kind.value(numbers, _real(count))


def _real(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_real, value))
    is_number = isinstance(value, int | float | np.ndarray | np.generic | jax.Array)
    return jnp.asarray(value, jnp.result_type(float)) if is_number else value


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
        transition_steps: updates, above 0, after which the value has been multiplied by `decay_rate` once.
        decay_rate: factor, 0 or more. 0 means constant, as in Optax.
        transition_begin: updates before the decay begins.
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
    running mean (Robbins and Monro, 1951).
    """
    return Schedule.build(_INVERSE_TIME, **locals())


def step_decay(init_value: Any, transition_steps: Any, decay_rate: Any = 0.1) -> Schedule:
    """The schedule that is multiplied by `decay_rate` at every `transition_steps`-th update."""
    return Schedule.build(_STEP, **locals())


def cosine_decay_schedule(
    init_value: Any, decay_steps: Any, alpha: Any = 0.0, exponent: Any = 1.0
) -> Schedule:
    """The schedule that falls from `init_value` to `alpha * init_value` along half a cosine.

    Source: Loshchilov and Hutter 2017, SGDR, equation 5.
    """
    return Schedule.build(_COSINE, **locals())


def linear_schedule(
    init_value: Any, end_value: Any, transition_steps: Any, transition_begin: Any = 0
) -> Schedule:
    """The schedule that goes from `init_value` to `end_value` in equal steps."""
    return Schedule.build(_LINEAR, **locals())


def polynomial_schedule(
    init_value: Any, end_value: Any, power: Any, transition_steps: Any, transition_begin: Any = 0
) -> Schedule:
    """The schedule `end + (init - end) * (1 - time) ** power`; time is 1 after `transition_steps` updates."""
    return Schedule.build(_POLYNOMIAL, **locals())


def warmup_constant_schedule(init_value: Any, peak_value: Any, warmup_steps: Any) -> Schedule:
    """The schedule that rises linearly for `warmup_steps` updates and stays at `peak_value`."""
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
        decay_steps: updates in all, the rise included.
        end_value: value from `decay_steps` on.
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
        transition_steps: updates, above 0, after which the value has been multiplied by `decay_rate` once.
        decay_rate: factor, 0 or more.
        transition_begin: updates at `peak_value` before the decay begins.
        staircase: multiply in steps.
        end_value: the value is clipped to it, as in `exponential_decay`.
    """
    return Schedule.build(_WARMUP_EXPONENTIAL, **locals())


def _constant(h, count):
    return h.value + 0 * count


def _decay_time(h, count):
    time = jnp.maximum(count - h.transition_begin, 0) / h.transition_steps
    return jnp.floor(time) if h.staircase else time


def _exponential(h, count):
    return _decayed(h, h.init_value, count)


def _decayed(h, init_value, count):
    rate = jnp.where(h.decay_rate == 0, 1.0, h.decay_rate)
    value = init_value * rate ** _decay_time(h, count)
    if h.end_value is None:
        return value
    clipped = jnp.where(rate < 1, jnp.maximum(value, h.end_value), jnp.minimum(value, h.end_value))
    return jnp.where(h.decay_rate == 0, init_value, clipped)


def _step(h, count):
    return h.init_value * h.decay_rate ** jnp.floor(count / h.transition_steps)


def _inverse_time(h, count):
    return h.init_value / (1 + h.decay_rate * _decay_time(h, count))


def _fall(count, steps, exponent):
    return (0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(count / steps, 0, 1)))) ** exponent


def _cosine(h, count):
    return h.init_value * ((1 - h.alpha) * _fall(count, h.decay_steps, h.exponent) + h.alpha)


def _linear(h, count):
    time = jnp.clip((count - h.transition_begin) / h.transition_steps, 0, 1)
    return h.init_value + (h.end_value - h.init_value) * time


def _polynomial(h, count):
    time = jnp.clip((count - h.transition_begin) / h.transition_steps, 0, 1)
    return h.end_value + (h.init_value - h.end_value) * (1 - time) ** h.power


def _rise(h, count):
    steps = jnp.maximum(h.warmup_steps, 1)  # no warm-up is a rise of length 0, not a division by it
    return h.init_value + (h.peak_value - h.init_value) * jnp.clip(count / steps, 0, 1)


def _warmup_constant(h, count):
    return jnp.where(count < h.warmup_steps, _rise(h, count), h.peak_value)


def _warmup_cosine(h, count):
    fall = _fall(count - h.warmup_steps, jnp.maximum(h.decay_steps - h.warmup_steps, 1), h.exponent)
    return jnp.where(
        count < h.warmup_steps, _rise(h, count), h.end_value + (h.peak_value - h.end_value) * fall
    )


def _warmup_exponential(h, count):
    decayed = _decayed(h, h.peak_value, count - h.warmup_steps)
    return jnp.where(count < h.warmup_steps, _rise(h, count), decayed)


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
_WARMUP_COSINE = Formula("warmup_cosine_decay_schedule", _warmup_cosine)
