"""One training run, top to bottom: epoch order, micro-batch, gradient, update, rules, metrics.

A run moves along the clock of examples seen. Everything here is pure and may be jitted and vmapped; what
drives it, in one scan or in segments, is in `fitting`.
"""

import functools
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax

from jaxgd.aliases import ModelState
from jaxgd.machine.devices import WHOLE
from jaxgd.machine.meshes import specs_of, split, with_axes_split
from jaxgd.numerics import common_dtype, has_finite_squares, no_sums_of, squared_norm
from jaxgd.optim.moments import root
from jaxgd.optim.transform import apply_updates
from jaxgd.tracing import explained
from jaxgd.training import carrying
from jaxgd.training.batching import augment_key, example_keys, filled_up, following, take
from jaxgd.training.carrying import Rows
from jaxgd.training.gradients import (
    BatchLoss,
    batch_gradient,
    example_squares,
    mean_of_sums,
    or_one,
    split_means,
)
from jaxgd.training.rules.observing import (
    micro_numbers,
    num_micro_numbers,
    numbers_read,
    observation,
    reads_examples,
    reads_last,
    scored,
)
from jaxgd.training.states import (
    DIVERGED,
    RUNNING,
    Anchor,
    BatchSums,
    EpochSums,
    Moving,
    TrainState,
    moving_part,
)
from jaxgd.training.trainers import Trainer


def run_epoch(
    trainer: Trainer,
    state: TrainState,
    rows: Rows,
    order: jax.Array | None,
    start: Any = None,
    stop: Any = None,
    evaluate: Any = True,
    in_step: bool = False,
) -> tuple[TrainState, Rows]:
    """State and history after the epoch under way, or after the part of it from `start` to `stop`.

    Args:
        trainer: the trainer.
        state: where the run stands.
        rows: the history; this epoch's row is written when the epoch ends.
        order: int32[num_examples], the epoch's order; None where the data come in it.
        start: examples of the epoch that have been used; None, with `stop`, for the whole epoch.
        stop: batches (micro-batches, where there are any) that begin before it are run. The epoch ends when
            it is the number of training examples.
        evaluate: False leaves the epoch's row empty, for runs that are timed; may be traced.
        in_step: whether this is vmapped over runs that share `start` and `stop`. A run that has stopped then
            goes through the motions: a `cond` under vmap would make the bounds of its loops batched.
    """
    trainer = trainer.at_epoch(state.epoch)
    is_running = state.status == RUNNING
    run = functools.partial(_run_batches, trainer, order=order, start=start, stop=stop)
    state = (
        carrying.where(is_running, run(state), state) if in_step else carrying.cond(is_running, run, state)
    )
    end = functools.partial(_end_epoch, trainer, evaluate, in_step)
    if stop is None:
        return end((state, rows))
    return carrying.cond(stop >= trainer.problem.num_examples, end, (state, rows))


def _run_batches(trainer: Trainer, state: TrainState, order: Any, start: Any, stop: Any) -> TrainState:
    """A running state after the batches that begin in a part of the epoch, diverged if one of them did."""
    forms = [functools.partial(_run_steps, f, order=order, start=start, stop=stop) for f in trainer.forms]
    anchor = state.anchor
    # No update changes the anchor: their loop does without its arrays.
    state = state._replace(anchor=anchor._replace(moving=None))
    before = state.sums
    state = forms[0](state) if len(forms) == 1 else carrying.switch(trainer.batch_size.index, forms, state)
    state = _with_counts(before, state)._replace(anchor=anchor)
    if not trainer.halt_on_divergence.value:
        return state
    diverges = ~state.sums.are_finite
    return state._replace(
        status=jnp.where(diverges, DIVERGED, state.status),
        stopped_at=jnp.where(diverges, state.updates, state.stopped_at),
    )


def _with_counts(before: EpochSums, state: TrainState) -> TrainState:
    """The state with what its sums have counted since they were those of before."""
    sums = state.sums
    return state._replace(
        updates=state.updates + sums.num_updates - before.num_updates,
        examples=state.examples + sums.num_in_whole_batches - before.num_in_whole_batches,
    )


def _run_steps(trainer: Trainer, state: TrainState, order: Any, start: Any, stop: Any) -> TrainState:
    """The state, without its anchor, after the batches."""
    size, num, micro = trainer.examples_per_batch, trainer.problem.num_examples, trainer.microbatch.value
    stop = earliest_stop(trainer, state, start, stop)
    if micro is None:
        return _run_whole_batches(trainer, state, order, start, stop)

    def step(state):
        return _step(trainer, state, order, state.sums.position)

    if stop is None and isinstance(size, int):
        # A fixed number of steps, so that the loop has a reverse-mode derivative: 20 examples in batches of 8
        # and micro-batches of 3 are 2 batches of 3 steps, and of the 4 examples left 2 steps.
        left = 0 if trainer.remainder.value == "drop" else num % size
        steps = num // size * -(-size // micro) + -(-left // micro)
        return carrying.fori_loop(0, steps, lambda _, state: step(state), state)
    end = trainer.epoch_end if stop is None else jnp.minimum(stop, trainer.epoch_end)
    return carrying.while_loop(lambda state: state.sums.position < end, step, state)


def _run_whole_batches(trainer: Trainer, state: TrainState, order: Any, start: Any, stop: Any) -> TrainState:
    """The state after batches `begin` to before `end`: those that begin from `start` to before `stop`.

    Of 20 examples in batches of 8 there are 3, at 0, 8 and 16, and 2 if the remainder is dropped. A segment
    from 6 to 16 has those that begin at 8 (6 / 8 rounded up is 1, 16 / 8 is 2): the batch at 0 has been run
    by the segment before, which ended at 6 and so began it.
    """
    size, num = trainer.examples_per_batch, trainer.problem.num_examples
    if trainer.is_fed and trainer.problem.train.remainder.value is not None:
        return carrying.cond(stop > start, lambda state: _step(trainer, state, order, start), state)
    last = trainer.epoch_end // size if trainer.remainder.value == "drop" else -(-num // size)
    # A coupled batch is never padded: the short one at an epoch's end is a step of its own shape.
    is_even = not trainer.problem.coupled.value or trainer.is_fed or trainer.has_even_batches
    even = last if is_even else num // size
    if stop is None:
        begin, end = 0, last
    else:
        begin, end = -(-(0 if start is None else start) // size), jnp.minimum(-(-stop // size), last)
    to = end if is_even else jnp.minimum(end, even) if stop is not None else even
    state = carrying.fori_loop(begin, to, lambda k, state: _step(trainer, state, order, k * size), state)
    if is_even:
        return state

    def short_step(state):
        return _step(trainer, state, order, even * size)

    if stop is None:
        return short_step(state)
    return carrying.cond((begin <= even) & (end > even), short_step, state)


def earliest_stop(trainer: Trainer, state: TrainState, start: Any, stop: Any) -> Any:
    """`stop`, or where in the epoch a rule stops the run, whichever comes first."""
    if not trainer.rules:
        return stop
    size = trainer.examples_per_batch
    if trainer.microbatch.value is None:
        begin = 0 if start is None else -(-start // size) * size
    else:
        begin = state.sums.position // size * size
        # Of a batch under way, some examples have been counted.
        state = state._replace(examples=state.examples - (state.sums.position - begin))
    seen = observation(trainer, state.params, state.model_state)
    for rule, own in _with_rules(trainer, state.rules):
        position = rule.stop_position(own, seen, state, begin)
        if position is not None:
            stop = jnp.minimum(trainer.problem.num_examples if stop is None else stop, position)
    return stop


def _step(trainer: Trainer, state: TrainState, order: Any, position: Any) -> TrainState:
    """One micro-batch, and the update if it completes a batch."""
    is_whole = trainer.microbatch.value is None
    compute = _computed if trainer.batch_spec.value is None else _computed_in_parts
    (total, model_state, count, end), is_weighted = compute(trainer, state, order, position)
    counted = jnp.where(state.sums.are_finite, count, 0) if trainer.halt_on_divergence.value else count
    state = state._replace(model_state=model_state)
    if is_whole:
        return _update(trainer, state, total, is_weighted, counted)
    state = state._replace(examples=state.examples + counted)
    partial: Any = state.sums.partial
    position = position + count
    grads = jax.tree.map(lambda a, b: a + b.astype(a.dtype), partial.grads, total.grads)
    numbers = partial.numbers.plus([total.loss, total.weight, *micro_numbers(trainer, total)])
    partial = BatchSums(grads, numbers)
    state = state._replace(sums=state.sums._replace(position=position, partial=partial))
    last = total if reads_last(trainer) else None
    return jax.lax.cond(
        position == end,
        lambda s: _update(trainer, s, mean_of_sums(partial.total, s.params), is_weighted, last=last),
        lambda s: s,
        state,
    )


class Computed(NamedTuple):
    """What a micro-batch gives: its gradient, the new model state, its examples, where its batch ends."""

    total: BatchLoss
    model_state: ModelState
    count: Any
    end: Any


def _computed(trainer: Trainer, state: TrainState, order: Any, position: Any) -> tuple[Computed, bool]:
    """What a micro-batch gives, if it is a whole batch the mean; and whether the problem has weights."""
    problem, spec, is_whole = trainer.problem, trainer.batch_spec.value, trainer.microbatch.value is None
    batch, positions, mask, end = _micro_batch(trainer, order, position)
    if problem.augment is not None:
        batch = problem.augment(batch, augment_key(state.key, state.epoch, position))
    if spec is not None:
        batch = split(batch, spec)
    keys = example_keys(state.key, state.epoch, positions) if problem.loss.asks("keys") else None
    total, is_weighted, model_state = batch_gradient(
        problem, state.params, batch, state.model_state, keys, mask, mean=is_whole and spec is None
    )
    if reads_examples(trainer):
        squares = example_squares(problem, state.params, batch, state.model_state, keys, mask)
        total = total._replace(squares=squares)
    if mask is None:
        count = positions.size
    elif spec is None:
        count = jnp.sum(mask, dtype=jnp.int32)
    else:  # as it is known on every device
        count = jnp.minimum(positions.size, end - position)
    return Computed(total, model_state, count, end), is_weighted


def _computed_in_parts(
    trainer: Trainer, state: TrainState, order: Any, position: Any
) -> tuple[Computed, bool]:
    """What `_computed` gives of a micro-batch whose examples are split over devices.

    XLA makes one sum over devices of all those that do not wait for each other. So the gradient is that of
    the sum, divided after by its weight, and that is the count of examples where there are no weights.
    """
    is_weighted = False

    def compute(trainer, state, order, at):
        nonlocal is_weighted
        at = position if isinstance(position, int) else at
        computed, is_weighted = _computed(trainer, state, order, at)
        return computed._replace(count=jnp.int32(computed.count), end=jnp.int32(computed.end))

    nothing, whole = cast(Any, ()), cast(Any, WHOLE)
    part = state._replace(opt_state=nothing, rules=(), anchor=nothing, sums=nothing)  # what it needs
    squares = whole if reads_examples(trainer) else None
    specs = Computed(BatchLoss(specs_of(state.params), whole, whole, squares), whole, whole, whole)
    found = with_axes_split(compute, trainer.batch_spec.value, specs, trainer, part, order, position)
    total = found.total
    if not is_weighted:
        total = total._replace(weight=found.count.astype(total.weight.dtype))
    if trainer.microbatch.value is None:
        total = mean_of_sums(total, state.params)
    return found._replace(total=total), is_weighted


def _micro_batch(trainer: Trainer, order: Any, position: Any) -> tuple[Any, jax.Array, Any, Any]:
    """`(batch, positions [m], mask [m] or None, end)` of the micro-batch that begins at `position`.

    Places beyond the end of its batch are filled with the batch's first example and masked: a row of zeros
    could give a NaN gradient (under a logarithm, say) that no mask takes away again.

    In batches of 8 and micro-batches of 3 the one at 14 is of the batch from 8 to before 16: positions 14, 15
    and 16, of which 16 is masked and filled with the example at 8; the next begins at 16.
    """
    data, num, size = trainer.problem.train, trainer.problem.num_examples, trainer.examples_per_batch
    width = trainer.microbatch.value or size
    if trainer.is_fed:
        width = data.remainder.value or width
    elif trainer.problem.coupled.value and isinstance(position, int):
        width = min(width, num - position)
    positions = position + jnp.arange(width, dtype=jnp.result_type(position))
    if trainer.order_sampling == "sequential" and width == num:
        return data, positions, None, num
    first = position // size * size
    end = first + jnp.minimum(size, num - first)  # first + size may be more than 32 bits hold
    if trainer.is_fed and trainer.microbatch.value is None:
        mask = None if trainer.has_even_batches or trainer.problem.coupled.value else positions < end
        return following(data, position, width), positions, mask, end
    is_even = isinstance(size, int) and size % width == 0 and trainer.has_even_batches
    if is_even or trainer.problem.coupled.value:
        used = positions if order is None else jax.lax.dynamic_slice(order, (position,), (width,))
        return _taken(trainer, used), positions, None, end
    used, mask = filled_up(positions, first, end)
    return _taken(trainer, used if order is None else order[used]), positions, mask, end


def _taken(trainer: Trainer, indices: jax.Array) -> Any:
    """The training examples at these places, each gathered on the device that it is for."""
    spec = trainer.batch_spec.value
    return take(trainer.problem.train, indices if spec is None else split(indices, spec))


def _update(
    trainer: Trainer,
    state: TrainState,
    total: BatchLoss,
    is_weighted: bool,
    examples: Any = 0,
    last: BatchLoss | None = None,
) -> TrainState:
    """The update by a whole batch's gradient; none by a batch whose weights are all 0.

    A gradient that is not finite is not kept out: that would cost another pass over parameters and state at
    every update. It shows in the sums, and the run goes back to its anchor. `examples` are counted with it.
    last: see `numbers_read`.
    """
    moving, has_weight = _moved(trainer, state, total, is_weighted, last), True
    if is_weighted:
        has_weight, old = total.weight != 0, moving_part(state)
        moving = jax.lax.cond(has_weight, lambda: moving, lambda: old)
    return state._replace(**moving._asdict(), sums=_summed(trainer, state.sums, total, has_weight, examples))


def _summed(trainer: Trainer, sums: EpochSums, total: BatchLoss, has_weight: Any, examples: Any) -> EpochSums:
    """The sums with one more batch, those over the batch at 0 again."""
    norm = root(squared_norm(total.grads, trainer.has_batches_of_one)) if trainer.grad_norm.value else 0
    partial = None if sums.partial is None else jax.tree.map(jnp.zeros_like, sums.partial)
    sums = sums._replace(numbers=sums.numbers.plus([total.loss, total.weight, norm]), partial=partial)
    is_counted = has_weight & sums.are_finite if trainer.halt_on_divergence.value else has_weight
    return sums._replace(counts=sums.counts.counting([is_counted, examples]))


def _moved(
    trainer: Trainer, state: TrainState, total: BatchLoss, is_weighted: bool, last: BatchLoss | None
) -> Any:
    """What the update makes of parameters and states. A transform that asks for the loss gets its mean."""
    update = optax.with_extra_args_support(trainer.optimizer).update
    value = total.loss / or_one(total.weight)
    with explained("optimizer"):
        updates, opt_state = update(total.grads, state.opt_state, state.params, value=value, grad=total.grads)
    pairs = _with_rules(trainer, state.rules)
    for scale in (rule.scale(own) for rule, own in pairs):
        if scale is not None:
            updates = jax.tree.map(lambda u, scale=scale: u * scale.astype(u.dtype), updates)
    params, rules = apply_updates(state.params, updates), state.rules
    if rules:
        numbers = numbers_read(trainer, state, total, last)
        seen = observation(trainer, params, state.model_state, has_weights=is_weighted, **numbers)
        with explained("after_update of a rule"):
            rules = tuple(
                rule.after_update(own, seen) if rule.acts_on_updates else own for rule, own in pairs
            )
    return moving_part(state)._replace(params=params, opt_state=opt_state, rules=rules)


def _end_epoch(
    trainer: Trainer, evaluate: Any, in_step: bool, run: tuple[TrainState, Rows]
) -> tuple[TrainState, Rows]:
    """The state at the start of the next epoch, and the history with this epoch's row.

    With `in_step`, runs that have stopped are measured too: a `cond` over runs that differ would copy the
    validation data for each of them.
    """
    state, rows = run
    if trainer.halt_on_divergence.value:
        state = _return_if_diverged(trainer, state)

    def close():
        row = _measure(trainer, state)
        rules, status = _apply_rules(trainer, state, row)
        return jnp.stack([row[name].astype(dtype) for name in names]), rules, status

    names, dtype = carrying.columns(trainer), rows.measured.dtype
    empty = (jnp.full(len(names), jnp.nan, dtype), state.rules, state.status)
    is_running = state.status == RUNNING
    closed = jax.lax.cond(evaluate if in_step else is_running & evaluate, close, lambda: empty)
    if in_step:
        closed = jax.tree.map(functools.partial(jnp.where, is_running), closed, empty)
    measured, rules, status = closed
    counts = jnp.stack([state.updates, state.examples])
    new = Rows(measured, counts)
    put = functools.partial(jax.lax.dynamic_update_index_in_dim, axis=0, allow_negative_indices=False)
    rows = jax.tree.map(lambda x, row: put(x, row, state.epoch), rows, new)
    state = state._replace(
        rules=rules,
        stopped_at=jnp.where(status != state.status, state.updates, state.stopped_at),
        status=status,
        epoch=state.epoch + 1,
        sums=no_sums(trainer, state.params),
    )
    return state._replace(anchor=anchor_of(trainer, moving_part(state), state.updates)), rows


def _return_if_diverged(trainer: Trainer, state: TrainState) -> TrainState:
    """The state, back at its anchor if the run diverged in this epoch or if its parameters have overflown.

    Finite gradients can make infinite parameters, which mostly show in the next loss: hence the pass over
    them here, once an epoch.
    """
    overflows = (state.status == RUNNING) & ~has_finite_squares(state.params)
    status = jnp.where(overflows, DIVERGED, state.status)
    moving = jax.lax.cond(status == DIVERGED, lambda: at_anchor(trainer, state), lambda: moving_part(state))
    stopped_at = jnp.where(overflows, state.updates, state.stopped_at)
    return state._replace(**moving._asdict(), status=status, stopped_at=stopped_at)


def _measure(trainer: Trainer, state: TrainState) -> dict[str, jax.Array]:
    """The epoch's row of the history, counts aside."""
    problem, sums, num_updates = trainer.problem, state.sums, state.updates - state.anchor.updates
    row = {
        # An epoch without examples, its budget being spent, has no loss.
        "train_loss": jnp.where(sums.weight == 0, jnp.nan, sums.loss / or_one(sums.weight)),
    }
    if trainer.grad_norm.value:
        row["grad_norm"] = sums.norm / jnp.maximum(num_updates, 1).astype(sums.norm.dtype)
    if problem.valid is not None:
        means = split_means(problem, state.params, problem.valid, state.model_state)
        row |= {f"valid_{name}": value for name, value in means.items()}
    seen = observation(trainer, state.params, state.model_state)
    for rule, own in _with_rules(trainer, state.rules):
        with explained(f"measure of {type(rule).__name__}"):
            row |= rule.measure(own, seen, state)
    for name, value in row.items():
        if jnp.shape(value) != ():
            raise ValueError(f"{name} must be one number an epoch, got shape {jnp.shape(value)}")
    return row


def _apply_rules(trainer: Trainer, state: TrainState, row: dict) -> tuple[tuple, jax.Array]:
    """The rules' states after the epoch, and the run's status: the first that is not 0 wins."""
    rules, status = [], state.status
    for rule, own in _with_rules(trainer, state.rules):
        with explained(f"after_epoch of {type(rule).__name__}"):
            own, given = rule.after_epoch(own, scored(trainer, state, rule.watches()), state, row)
        rules.append(own)
        status = jnp.where(status == RUNNING, given, status).astype(state.status.dtype)
    return tuple(rules), status


def finish(trainer: Trainer, state: TrainState) -> TrainState:
    """The state with which a run ends: rules may choose its parameters and its model state."""
    seen = observation(trainer, state.params, state.model_state)
    for rule, own in _with_rules(trainer, state.rules):
        params, model_state = rule.finish(own, seen)
        seen = seen._replace(params=params, model_state=model_state)
    return state._replace(params=seen.params, model_state=seen.model_state)


def initial_state(trainer: Trainer, key: jax.Array, params: Any, start: Any = None) -> TrainState:
    """The state before the first update, from initial parameters.

    start: a state, or its moving part, of which the optimizer's and the model's states are taken.
    """
    zero = jnp.zeros((), jnp.int32)
    opt_state = trainer.optimizer.init(params) if start is None else start.opt_state
    model_state = trainer.problem.model_state if start is None else start.model_state
    seen = observation(trainer, params, model_state)
    rules = tuple(rule.init(seen) for rule in trainer.rules)
    moving = Moving(params, opt_state, model_state, rules)
    return TrainState(
        key=key,
        **moving._asdict(),
        anchor=anchor_of(trainer, moving, zero),
        status=zero,
        updates=zero,
        examples=zero,
        epoch=zero,
        stopped_at=zero - 1,
        sums=no_sums(trainer, params),
    )


def anchor_of(trainer: Trainer, moving: Moving, updates: jax.Array) -> Anchor:
    """The anchor of an epoch that begins here."""
    rules = tuple(own if rule.acts_on_updates else None for rule, own in _with_rules(trainer, moving.rules))
    return Anchor(moving._replace(rules=rules), updates)


def at_anchor(trainer: Trainer, state: TrainState) -> Moving:
    """What the epoch began with; rules that do not act on updates are as they are."""
    pairs = zip(_with_rules(trainer, state.rules), state.anchor.moving.rules, strict=True)
    rules = tuple(before if rule.acts_on_updates else own for (rule, own), before in pairs)
    return state.anchor.moving._replace(rules=rules)


def _with_rules(trainer: Trainer, states: tuple) -> list[tuple[Any, Any]]:
    return list(zip(trainer.rules, states, strict=True))


def no_sums(trainer: Trainer, params: Any) -> EpochSums:
    """The sums at the start of an epoch."""
    partial = None
    if trainer.microbatch.value is not None:
        wide = jax.tree.map(lambda p: jnp.zeros(p.shape, common_dtype(p.dtype, jnp.float32)), params)
        partial = BatchSums(wide, no_sums_of(2 + num_micro_numbers(trainer)))
    return EpochSums(jnp.zeros((), jnp.int32), no_sums_of(3), no_sums_of(2), partial)
