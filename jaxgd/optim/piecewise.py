"""Schedules made of pieces: between boundaries, and one after the other."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from jaxgd.arguments import one_of
from jaxgd.optim.counts import real
from jaxgd.optim.hyperparameters import check_number
from jaxgd.optim.moments import scheduled
from jaxgd.optim.schedules import Formula, Schedule, warmup_cosine_decay_schedule


def join_schedules(schedules: Sequence[Callable], boundaries: Sequence[Any]) -> Schedule:
    """The schedule that follows each of `schedules` in turn, each counted from its own boundary.

    Args:
        schedules: schedules of jaxgd, whose numbers stay leaves, or any functions of the count (which get
            whole numbers, so that nothing is differentiated by their boundary).
        boundaries: the counts, ascending, at which the second, the third, ... begins.
    """
    if len(boundaries) != len(schedules) - 1:
        given = f"{len(boundaries)} boundaries for {len(schedules)} schedules"
        raise ValueError(f"join_schedules needs one boundary fewer than schedules, got {given}")
    return Schedule.build(_JOIN, schedules=tuple(schedules), boundaries=tuple(boundaries))


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
    init_value: Any, boundaries_and_scales: Mapping[int, Any] | None = None
) -> Schedule:
    """The schedule that is multiplied by a scale, 0 or more, at each boundary."""
    boundaries, scales = _pieces(boundaries_and_scales)
    return Schedule.build(_PIECEWISE_CONSTANT, init_value=init_value, boundaries=boundaries, scales=scales)


def piecewise_interpolate_schedule(
    interpolate_type: str, init_value: Any, boundaries_and_scales: Mapping[int, Any] | None = None
) -> Schedule:
    """The schedule that has been multiplied by a scale at each boundary, and goes there without a jump.

    Args:
        interpolate_type: "linear" or "cosine".
        init_value: value at count 0.
        boundaries_and_scales: `{count: scale}`, every scale 0 or more.
    """
    boundaries, scales = _pieces(boundaries_and_scales)
    formula = _INTERPOLATIONS[one_of("interpolate_type", interpolate_type, _INTERPOLATIONS)]
    return Schedule.build(formula, init_value=init_value, boundaries=boundaries, scales=scales)


def linear_onecycle_schedule(
    transition_steps: Any,
    peak_value: Any,
    pct_start: Any = 0.3,
    pct_final: Any = 0.85,
    div_factor: Any = 25.0,
    final_div_factor: Any = 1e4,
) -> Schedule:
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
    return Schedule.build(_LINEAR_ONECYCLE, **locals())


def cosine_onecycle_schedule(
    transition_steps: Any,
    peak_value: Any,
    pct_start: Any = 0.3,
    div_factor: Any = 25.0,
    final_div_factor: Any = 1e4,
) -> Schedule:
    """The schedule of two half cosines: up to the peak, and down to a far smaller value than the first.

    Args:
        transition_steps: updates in all, above 0.
        peak_value: value after `pct_start * transition_steps` updates.
        pct_start: fraction of the updates until the peak.
        div_factor: the first value is `peak_value / div_factor`.
        final_div_factor: the last value is the first one divided by it.

    Source: Smith and Topin 2017, super-convergence.
    """
    return Schedule.build(_COSINE_ONECYCLE, **locals())


def _pieces(boundaries_and_scales: Mapping[int, Any] | None) -> tuple[tuple, tuple]:
    pieces = sorted((boundaries_and_scales or {}).items())
    return tuple(boundary for boundary, _ in pieces), tuple(scale for _, scale in pieces)


def _join(h, count):
    value = _value(h.schedules[0], count)
    for boundary, schedule in zip(h.boundaries, h.schedules[1:], strict=True):
        value = jnp.where(count.before(boundary), value, _value(schedule, count.since(boundary)))
    return value


def _value(schedule, count):
    return schedule.at(count) if isinstance(schedule, Schedule) else real(scheduled(schedule, count.whole))


def _piecewise_constant(h, count):
    value = h.init_value + 0 * count.real
    for boundary, scale in zip(h.boundaries, h.scales, strict=True):
        value = jnp.where(count.before(boundary), value, scale * value)
    return value


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


def _linear_onecycle(h, count):
    low, steps = h.peak_value / h.div_factor, real(h.transition_steps)
    places = jnp.floor(h.pct_start * steps), jnp.floor(h.pct_final * steps)
    values = low, h.peak_value, low, low / h.final_div_factor
    return _through(_line, (*places, h.transition_steps), values, count)


def _cosine_onecycle(h, count):
    low = h.peak_value / h.div_factor
    places = jnp.floor(h.pct_start * real(h.transition_steps)), h.transition_steps
    return _through(_half_cosine, places, (low, h.peak_value, low / h.final_div_factor), count)


def _check_length(h):
    check_number("transition_steps", h.transition_steps, lambda steps: steps > 0, "above 0")


def _linear_pieces(h, count):
    return _through(_line, h.boundaries, _products(h), count)


def _cosine_pieces(h, count):
    return _through(_half_cosine, h.boundaries, _products(h), count)


def _products(h):
    values = [h.init_value]
    for scale in h.scales:
        values.append(values[-1] * scale)
    return values


_JOIN = Formula("join_schedules", _join)
_PIECEWISE_CONSTANT = Formula("piecewise_constant_schedule", _piecewise_constant)
_INTERPOLATIONS = {
    "linear": Formula("linear piecewise_interpolate_schedule", _linear_pieces),
    "cosine": Formula("cosine piecewise_interpolate_schedule", _cosine_pieces),
}
_LINEAR_ONECYCLE = Formula("linear_onecycle_schedule", _linear_onecycle, check=_check_length)
_COSINE_ONECYCLE = Formula("cosine_onecycle_schedule", _cosine_onecycle, check=_check_length)
