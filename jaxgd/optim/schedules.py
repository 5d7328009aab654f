"""Schedules: functions of the number of updates made so far, as pytrees of their numbers."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Float

from jaxgd.aliases import Number
from jaxgd.optim.counts import Count, as_count, at_least_0, real
from jaxgd.optim.hyperparameters import Hyperparameters, Parametric, arguments_of, check_number, text
from jaxgd.optim.roles import Delay, Finite, Formula, Length, NotNegative, NumUpdates, Switch

_P = ParamSpec("_P")


@jax.tree_util.register_pytree_with_keys_class
class Schedule(Parametric):
    """A callable `schedule(count) -> value` that is a pytree of its numbers, so that they can be swept.

    `count` is the number of updates made before this one: int32 of any shape, from 0. Numbers of updates are
    compared and divided exactly, so a step falls at the same update eagerly, jitted and vmapped; one above
    2**24 that float32 lacks is an int32 leaf, by which `jax.grad` refuses to differentiate.
    """

    def __call__(self, count: ArrayLike) -> Float[jax.Array, "..."]:
        """The value at `count`, in the default float dtype."""
        return self.at(as_count(count))

    def at(self, count: Count) -> Float[jax.Array, "..."]:
        """The value at a count that may begin between two updates."""
        roles, given = self._kind.arguments, arguments_of(self._values)
        numbers = {name: value if roles[name].is_count else _real(value) for name, value in given.items()}
        return self._kind.body(count, **numbers)


def _real(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_real, value))
    is_number = isinstance(value, int | float | np.ndarray | np.generic | jax.Array)
    return real(value) if is_number and not isinstance(value, bool) else value


def schedule(
    name: str | None = None, check: Callable[[Hyperparameters], Any] | None = None
) -> Callable[[Callable[Concatenate[Count, _P], Number]], Callable[_P, Schedule]]:
    """A decorator: the function that gives a schedule's value becomes the one that builds it.

    The function's arguments are a `Count` and the schedule's numbers, annotated with what they are (see
    `roles`). Numbers of updates reach it as they are stored, for the count to compare and to divide by; the
    others are of the default float dtype.

    Args:
        name: the schedule's name where that is not the function's.
        check: raises where numbers do not go together.
    """

    def declare(function):
        return Formula(function, 1, name, check).builder_of(Schedule.build, Schedule)

    return declare


@schedule()
def constant_schedule(count: Count, value: Finite) -> Number:
    """The schedule that is `value` at every count."""
    return value + 0 * count.real


@schedule()
def exponential_decay(
    count: Count,
    init_value: Finite,
    transition_steps: NumUpdates,
    decay_rate: NotNegative,
    transition_begin: Delay = 0,
    staircase: Switch = False,
    end_value: Finite | None = None,
) -> Number:
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
    time = _decay_time(count, transition_begin, transition_steps, staircase)
    return _decayed(init_value, decay_rate, time, transition_steps, end_value)


@schedule()
def inverse_time_decay(
    count: Count,
    init_value: Finite,
    transition_steps: NumUpdates,
    decay_rate: NotNegative,
    transition_begin: Delay = 0,
    staircase: Switch = False,
) -> Number:
    """The schedule `init_value / (1 + decay_rate * (count - transition_begin) / transition_steps)`.

    With `decay_rate=1` and `transition_steps=1` this is 1/t decay, for which SGD on `(w - y)**2 / 2` is the
    running mean (Robbins and Monro, 1951). A `transition_steps` of 0 or less means constant.
    """
    return init_value / (1 + decay_rate * _decay_time(count, transition_begin, transition_steps, staircase))


@schedule()
def step_decay(
    count: Count, init_value: Finite, transition_steps: NumUpdates, decay_rate: NotNegative = 0.1
) -> Number:
    """The schedule that is multiplied by `decay_rate` at every `transition_steps`-th update (0: never)."""
    return init_value * decay_rate ** count.lengths(transition_steps)


@schedule()
def cosine_decay_schedule(
    count: Count, init_value: Finite, decay_steps: Length, alpha: Finite = 0.0, exponent: Finite = 1.0
) -> Number:
    """The schedule that falls from `init_value` to `alpha * init_value` along half a cosine.

    `decay_steps` is above 0; a traced one of 0 or less gives the constant `init_value`.

    Source: Loshchilov and Hutter 2017, SGDR, equation 5.
    """
    return init_value * ((1 - alpha) * _fall(count.over(decay_steps), exponent) + alpha)


@schedule()
def linear_schedule(
    count: Count,
    init_value: Finite,
    end_value: Finite,
    transition_steps: NumUpdates,
    transition_begin: Delay = 0,
) -> Number:
    """The schedule that goes from `init_value` to `end_value` in equal steps.

    A `transition_steps` of 0 or less gives the constant `init_value`, as in Optax.
    """
    return init_value + (end_value - init_value) * _transition_time(count, transition_begin, transition_steps)


@schedule()
def polynomial_schedule(
    count: Count,
    init_value: Finite,
    end_value: Finite,
    power: Finite,
    transition_steps: NumUpdates,
    transition_begin: Delay = 0,
) -> Number:
    """The schedule `end + (init - end) * (1 - time) ** power`; time is 1 after `transition_steps` updates.

    A `transition_steps` of 0 or less gives the constant `init_value`, as in Optax.
    """
    time = _transition_time(count, transition_begin, transition_steps)
    return end_value + (init_value - end_value) * (1 - time) ** power


@schedule()
def warmup_constant_schedule(
    count: Count, init_value: Finite, peak_value: Finite, warmup_steps: NumUpdates
) -> Number:
    """The schedule that rises linearly for `warmup_steps` updates and stays at `peak_value`.

    With `warmup_steps` 0 it is `peak_value` from the start (Optax's is `init_value`, often 0, for ever).
    """
    return _after_rise(count, init_value, peak_value, warmup_steps, peak_value)


def _check_fall(h):
    if not isinstance(h.warmup_steps, Tracer):
        allowed = f"above warmup_steps={text(h.warmup_steps)}"
        check_number("decay_steps", h.decay_steps, lambda steps: steps > np.asarray(h.warmup_steps), allowed)


@schedule(check=_check_fall)
def warmup_cosine_decay_schedule(
    count: Count,
    init_value: Finite,
    peak_value: Finite,
    warmup_steps: NumUpdates,
    decay_steps: Length,
    end_value: Finite = 0.0,
    exponent: Finite = 1.0,
) -> Number:
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
    length = real(decay_steps) - real(warmup_steps)
    fall = _fall(count.since(warmup_steps).over(length), exponent)
    end_value = jnp.where(peak_value == 0, 0, end_value)
    fallen = end_value + (peak_value - end_value) * fall
    return _after_rise(count, init_value, peak_value, warmup_steps, fallen)


@schedule()
def warmup_exponential_decay_schedule(
    count: Count,
    init_value: Finite,
    peak_value: Finite,
    warmup_steps: NumUpdates,
    transition_steps: NumUpdates,
    decay_rate: NotNegative,
    transition_begin: Delay = 0,
    staircase: Switch = False,
    end_value: Finite | None = None,
) -> Number:
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
    time = _decay_time(count.since(warmup_steps), transition_begin, transition_steps, staircase)
    decayed = _decayed(peak_value, decay_rate, time, transition_steps, end_value)
    return _after_rise(count, init_value, peak_value, warmup_steps, decayed)


def _decay_time(count, begin, steps, in_steps):
    count = count.since(at_least_0(begin))
    return count.lengths(steps) if in_steps else jnp.maximum(count.over(steps), 0)


def _decayed(init_value, decay_rate, time, steps, end_value):
    is_constant = (decay_rate == 0) | (real(steps) <= 0)
    rate = jnp.where(decay_rate == 0, 1.0, decay_rate)
    value = init_value * rate**time
    if end_value is None:
        return value
    clipped = jnp.where(rate < 1, jnp.maximum(value, end_value), jnp.minimum(value, end_value))
    return jnp.where(is_constant, init_value, clipped)


def _fall(time, exponent):
    return (0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(time, 0, 1)))) ** exponent


def _transition_time(count, begin, steps):
    return jnp.clip(count.since(at_least_0(begin)).over(steps), 0, 1)


def _after_rise(count, init_value, peak_value, warmup_steps, after):
    rise = init_value + (peak_value - init_value) * jnp.clip(count.over(warmup_steps), 0, 1)
    return jnp.where(count.before(warmup_steps), rise, after)
