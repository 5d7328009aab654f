"""Schedules made of pieces: between boundaries, and one after the other."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp

from jaxgd.aliases import Number
from jaxgd.arguments import one_of
from jaxgd.optim.counts import Count, real
from jaxgd.optim.moments import scheduled
from jaxgd.optim.roles import Boundaries, Finite, Length, NotNegative, Positive, Scales, Schedules
from jaxgd.optim.schedules import Schedule, schedule, warmup_cosine_decay_schedule


def _check_join(h):
    if len(h.boundaries) != len(h.schedules) - 1:
        given = f"{len(h.boundaries)} boundaries for {len(h.schedules)} schedules"
        raise ValueError(f"join_schedules needs one boundary fewer than schedules, got {given}")


@schedule(check=_check_join)
def join_schedules(count: Count, schedules: Schedules, boundaries: Boundaries) -> Number:
    """The schedule that follows each of `schedules` in turn, each counted from its own boundary.

    Args:
        schedules: schedules of jaxgd, whose numbers stay leaves, or any functions of the count (which get
            whole numbers, so that nothing is differentiated by their boundary).
        boundaries: the counts, ascending, at which the second, the third, ... begins.
    """
    value = _value(schedules[0], count)
    for boundary, following in zip(boundaries, schedules[1:], strict=True):
        value = jnp.where(count.before(boundary), value, _value(following, count.since(boundary)))
    return value


def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]]) -> Schedule:
    """The schedule of warm restarts: one `warmup_cosine_decay_schedule` after the other.

    Args:
        cosine_kwargs: the arguments of each cycle; its `decay_steps` is its length.

    Source: Loshchilov and Hutter 2017, SGDR.
    """
    cycles = [dict(cycle) for cycle in cosine_kwargs]
    ends = [sum(cycle["decay_steps"] for cycle in cycles[: i + 1]) for i in range(len(cycles))]
    return join_schedules([warmup_cosine_decay_schedule(**cycle) for cycle in cycles], ends[:-1])


def piecewise_constant_schedule(
    init_value: Number, boundaries_and_scales: Mapping[int, Number] | None = None
) -> Schedule:
    """The schedule that is multiplied by a scale, 0 or more, at each boundary."""
    return _constant_pieces(init_value, *_pieces(boundaries_and_scales))


def piecewise_interpolate_schedule(
    interpolate_type: str, init_value: Number, boundaries_and_scales: Mapping[int, Number] | None = None
) -> Schedule:
    """The schedule that has been multiplied by a scale at each boundary, and goes there without a jump.

    Args:
        interpolate_type: "linear" or "cosine".
        init_value: value at count 0.
        boundaries_and_scales: `{count: scale}`, every scale 0 or more.
    """
    build = _INTERPOLATIONS[one_of("interpolate_type", interpolate_type, _INTERPOLATIONS)]
    return build(init_value, *_pieces(boundaries_and_scales))


@schedule()
def linear_onecycle_schedule(
    count: Count,
    transition_steps: Length,
    peak_value: Finite,
    pct_start: NotNegative = 0.3,
    pct_final: NotNegative = 0.85,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
) -> Number:
    """The schedule of three straight lines: up to the peak, down again, and on to a far smaller value.

    Args:
        transition_steps: updates in all, above 0.
        peak_value: value after `pct_start * transition_steps` updates.
        pct_start: fraction of the updates until the peak.
        pct_final: fraction of the updates until the value is `peak_value / div_factor` again.
        div_factor: the first value is `peak_value / div_factor`.
        final_div_factor: the last value is the first one divided by it.

    Source: Smith and Topin 2017, super-convergence.
    """
    low, steps = peak_value / div_factor, real(transition_steps)
    places = jnp.floor(pct_start * steps), jnp.floor(pct_final * steps)
    values = low, peak_value, low, low / final_div_factor
    return _through(_line, (*places, transition_steps), values, count)


@schedule()
def cosine_onecycle_schedule(
    count: Count,
    transition_steps: Length,
    peak_value: Finite,
    pct_start: NotNegative = 0.3,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
) -> Number:
    """The schedule of two half cosines: up to the peak, and down to a far smaller value than the first.

    Args:
        transition_steps: updates in all, above 0.
        peak_value: value after `pct_start * transition_steps` updates.
        pct_start: fraction of the updates until the peak.
        div_factor: the first value is `peak_value / div_factor`.
        final_div_factor: the last value is the first one divided by it.

    Source: Smith and Topin 2017, super-convergence.
    """
    low = peak_value / div_factor
    places = jnp.floor(pct_start * real(transition_steps)), transition_steps
    return _through(_half_cosine, places, (low, peak_value, low / final_div_factor), count)


def _pieces(boundaries_and_scales: Mapping[int, Number] | None) -> tuple[tuple, tuple]:
    pieces = sorted((boundaries_and_scales or {}).items())
    return tuple(boundary for boundary, _ in pieces), tuple(scale for _, scale in pieces)


def _value(part, count):
    return part.at(count) if isinstance(part, Schedule) else real(scheduled(part, count.whole))


@schedule("piecewise_constant_schedule")
def _constant_pieces(count: Count, init_value: Finite, boundaries: Boundaries, scales: Scales) -> Number:
    value = init_value + 0 * count.real
    for boundary, scale in zip(boundaries, scales, strict=True):
        value = jnp.where(count.before(boundary), value, scale * value)
    return value


@schedule("linear piecewise_interpolate_schedule")
def _linear_pieces(count: Count, init_value: Finite, boundaries: Boundaries, scales: Scales) -> Number:
    return _through(_line, boundaries, _products(init_value, scales), count)


@schedule("cosine piecewise_interpolate_schedule")
def _cosine_pieces(count: Count, init_value: Finite, boundaries: Boundaries, scales: Scales) -> Number:
    return _through(_half_cosine, boundaries, _products(init_value, scales), count)


_INTERPOLATIONS = {"linear": _linear_pieces, "cosine": _cosine_pieces}


def _line(start, end, time):
    return start + (end - start) * time


def _half_cosine(start, end, time):
    return end + (start - end) * 0.5 * (1 + jnp.cos(jnp.pi * time))


def _through(between, boundaries, values, count):
    """The curve that has `values[0]` at count 0 and the next values at the boundaries."""
    result, begin, start = values[0] + 0 * count.real, 0, values[0]
    for boundary, end in zip(boundaries, values[1:], strict=True):
        length = jnp.maximum(real(boundary) - real(begin), 1)
        time = jnp.clip(count.since(begin).real / length, 0, 1)
        result = jnp.where(count.before(begin), result, between(start, end, time))
        result = jnp.where(count.before(boundary), result, end)
        begin, start = boundary, end
    return result


def _products(init_value, scales):
    values = [init_value]
    for scale in scales:
        values.append(values[-1] * scale)
    return values
