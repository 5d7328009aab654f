"""One training run, top to bottom: epoch order, micro-batch, gradient, update, metrics.

A run moves along the clock of examples seen. Everything here is pure and may be jitted and vmapped; what
drives it, in one scan or in segments, is in `fitting`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgd.optim.moments import root
from jaxgd.optim.transform import apply_updates
from jaxgd.training.batching import example_keys, take
from jaxgd.training.gradients import (
    BatchLoss,
    batch_gradient,
    mean_of_sums,
    split_means,
    squared_norm,
)
from jaxgd.training.problem import Problem, takes_keys
from jaxgd.training.trainers import Trainer

RUNNING = 0
DIVERGED = 2
# What a status number means once a run is over: 0 is a run that reached its last epoch.
STATUS_WORDS = ("completed", "stopped early", "diverged", "budget spent", "failed")


class EpochSums(NamedTuple):
    """Running sums of the epoch under way, and the micro-batches of the batch under way.

    position: int32[], examples used. loss, weight: float[], sums of `w * l` and of `w`. norm: float[], sum of
    gradient norms. partial: sums over the present batch, None without micro-batches. A loss or gradient that
    is not finite leaves its mark in these sums: that is how a run is seen to diverge.
    """

    position: jax.Array
    loss: jax.Array
    weight: jax.Array
    norm: jax.Array
    partial: BatchLoss | None

    @property
    def are_finite(self) -> jax.Array:
        """Whether every loss and gradient of the epoch so far was finite."""
        return jnp.isfinite(self.loss + self.norm)


class Anchor(NamedTuple):
    """Where an epoch began: a run that diverges in it returns there."""

    params: Any
    opt_state: Any
    updates: jax.Array


class TrainState(NamedTuple):
    """Where a run is.

    key: the run's PRNG key. params, opt_state: after the last update. anchor: at the start of the epoch.
    status: int32[], 0 while running, 2 once diverged. updates, examples: int32[], made and used so far.
    epoch: int32[], epochs ended. stopped_at: int32[], the update (from 0) at which the run stopped, -1 if it
    did not. sums: of the epoch under way.
    """

    key: jax.Array
    params: Any
    opt_state: Any
    anchor: Anchor
    status: jax.Array
    updates: jax.Array
    examples: jax.Array
    epoch: jax.Array
    stopped_at: jax.Array
    sums: EpochSums


def initial_state(trainer: Trainer, key: jax.Array, params: Any) -> TrainState:
    """The state before the first update, from initial parameters."""
    zero, opt_state = jnp.zeros((), jnp.int32), trainer.optimizer.init(params)
    return TrainState(
        key=key,
        params=params,
        opt_state=opt_state,
        anchor=Anchor(params, opt_state, zero),
        status=zero,
        updates=zero,
        examples=zero,
        epoch=zero,
        stopped_at=zero - 1,
        sums=_no_sums(trainer, params),
    )


def _no_sums(trainer: Trainer, params: Any) -> EpochSums:
    number, partial = jnp.zeros(()), None
    if trainer.microbatch.value is not None:
        wide = jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.promote_types(p.dtype, jnp.float32)), params)
        partial = BatchLoss(wide, number, number)
    return EpochSums(jnp.zeros((), jnp.int32), number, number, number, partial)


def empty_history(problem: Problem, epochs: int) -> dict[str, jax.Array]:
    """The history of `epochs` epochs with nothing in it: NaN, and 0 for counts."""
    floats = ["train_loss", "grad_norm"]
    if problem.valid is not None:
        floats += ["valid_loss", *(f"valid_{name}" for name in problem.metrics)]
    history = {name: jnp.full(epochs, jnp.nan) for name in floats}
    return history | {name: jnp.zeros(epochs, jnp.int32) for name in ("updates", "examples")}


def run_epoch(
    trainer: Trainer,
    state: TrainState,
    history: dict,
    order: jax.Array,
    start: Any = None,
    stop: Any = None,
    evaluate: Any = True,
) -> tuple[TrainState, dict]:
    """`state` and `history` after the epoch under way, or after the part of it from `start` to `stop`.

    Args:
        trainer: the trainer.
        state: the state where it stands.
        history: arrays `[epochs]`; this epoch's row is written when the epoch ends.
        order: int32[num_examples], the epoch's order.
        start: examples of the epoch that have been used; None, with `stop`, for the whole epoch.
        stop: batches (micro-batches, where there are any) that begin before it are run. The epoch ends when
            it is the number of training examples.
        evaluate: False leaves the epoch's row empty, for runs that are timed; may be traced.
    """
    state = jax.lax.cond(
        state.status == RUNNING, lambda s: _run_batches(trainer, s, order, start, stop), lambda s: s, state
    )
    if stop is None:
        return _end_epoch(trainer, state, history, evaluate)
    ended = stop >= trainer.problem.num_examples
    return jax.lax.cond(
        ended, lambda: _end_epoch(trainer, state, history, evaluate), lambda: (state, history)
    )


def _run_batches(trainer: Trainer, state: TrainState, order: jax.Array, start: Any, stop: Any) -> TrainState:
    """A running state after the batches that begin in a part of the epoch, diverged if one of them did."""
    state = _unpack(_run_steps(trainer, state, order, start, stop), state)
    diverges = ~state.sums.are_finite
    return state._replace(
        status=jnp.where(diverges, DIVERGED, state.status),
        stopped_at=jnp.where(diverges, state.updates, state.stopped_at),
    )


class _Packed(NamedTuple):
    """What an update changes, its scalars in two vectors: on a CPU each array costs a kernel of its own."""

    params: Any
    opt_state: Any
    partial: BatchLoss | None
    numbers: jax.Array
    counts: jax.Array


def _pack(state: TrainState) -> _Packed:
    sums = state.sums
    numbers = jnp.stack([sums.loss, sums.weight, sums.norm])
    counts = jnp.stack([state.updates, state.examples, sums.position])
    return _Packed(state.params, state.opt_state, sums.partial, numbers, counts)


def _unpack(packed: _Packed, state: TrainState) -> TrainState:
    params, opt_state, partial, numbers, counts = packed
    sums = EpochSums(counts[2], numbers[0], numbers[1], numbers[2], partial)
    return state._replace(
        params=params, opt_state=opt_state, sums=sums, updates=counts[0], examples=counts[1]
    )


def _run_steps(trainer: Trainer, state: TrainState, order: jax.Array, start: Any, stop: Any) -> _Packed:
    packed = _pack(state)
    size, num, micro = trainer.examples_per_batch, trainer.problem.num_examples, trainer.microbatch.value

    def step(packed, position=None):
        now = _unpack(packed, state)
        return _pack(_step(trainer, now, order, now.sums.position if position is None else position))

    if micro is None:
        last = trainer.epoch_end // size if trainer.remainder.value == "drop" else -(-num // size)
        bounds = (0, last) if stop is None else (-(-start // size), jnp.minimum(-(-stop // size), last))
        return jax.lax.fori_loop(*bounds, lambda k, packed: step(packed, k * size), packed)
    if stop is None and isinstance(size, int):
        # A fixed number of steps, so that the loop has a reverse-mode derivative.
        left = 0 if trainer.remainder.value == "drop" else num % size
        steps = num // size * -(-size // micro) + -(-left // micro)
        return jax.lax.fori_loop(0, steps, lambda _, packed: step(packed), packed)
    end = trainer.epoch_end if stop is None else jnp.minimum(stop, trainer.epoch_end)
    return jax.lax.while_loop(lambda packed: _unpack(packed, state).sums.position < end, step, packed)


def _step(trainer: Trainer, state: TrainState, order: jax.Array, position: Any) -> TrainState:
    """One micro-batch, and the update if it completes a batch."""
    batch, positions, mask, end = _micro_batch(trainer, order, position)
    keys = example_keys(state.key, state.epoch, positions) if takes_keys(trainer.problem.loss) else None
    is_whole = trainer.microbatch.value is None
    total, is_weighted = batch_gradient(trainer.problem, state.params, batch, keys, mask, mean=is_whole)
    count = positions.size if mask is None else jnp.sum(mask, dtype=jnp.int32)
    state = state._replace(examples=state.examples + jnp.where(state.sums.are_finite, count, 0))
    if is_whole:
        return _update(trainer, state, total, is_weighted)
    total = jax.tree.map(lambda a, b: a + b.astype(a.dtype), state.sums.partial, total)
    position = position + count
    state = state._replace(sums=state.sums._replace(position=position, partial=total))
    return jax.lax.cond(
        position == end,
        lambda s: _update(trainer, s, mean_of_sums(total, s.params), is_weighted),
        lambda s: s,
        state,
    )


def _micro_batch(trainer: Trainer, order: jax.Array, position: Any) -> tuple[Any, jax.Array, Any, Any]:
    """`(batch, positions [m], mask [m] or None, end)` of the micro-batch that begins at `position`.

    Places beyond the end of its batch are filled with the batch's first example and masked: a row of zeros
    could give a NaN gradient (under a logarithm, say) that no mask takes away again.
    """
    data, num, size = trainer.problem.train, trainer.problem.num_examples, trainer.examples_per_batch
    width = trainer.microbatch.value or size
    positions = position + jnp.arange(width)
    if trainer.order_sampling == "sequential" and width == num:
        return data, positions, None, num
    first = position // size * size
    end = jnp.minimum(first + size, num)
    if isinstance(size, int) and size % width == 0 and (num % size == 0 or trainer.remainder.value == "drop"):
        return take(data, jax.lax.dynamic_slice(order, (position,), (width,))), positions, None, end
    mask = positions < end
    return take(data, order[jnp.where(mask, positions, first)]), positions, mask, end


def _update(trainer: Trainer, state: TrainState, total: BatchLoss, is_weighted: bool) -> TrainState:
    """The update by a whole batch's gradient; none by a batch whose weights are all 0.

    A gradient that is not finite is not kept out: that would cost another pass over parameters and state at
    every update. It shows in the sums, and the run goes back to its anchor.
    """
    updates, opt_state = _optimizer_update(trainer, state, total)
    params, has_weight = apply_updates(state.params, updates), True
    if is_weighted:
        has_weight, old = total.weight != 0, (state.params, state.opt_state)
        params, opt_state = jax.lax.cond(has_weight, lambda: (params, opt_state), lambda: old)
    sums = state.sums
    sums = EpochSums(
        position=sums.position,
        loss=sums.loss + total.loss,
        weight=sums.weight + total.weight,
        norm=sums.norm + root(squared_norm(total.grads)),
        partial=None if sums.partial is None else jax.tree.map(jnp.zeros_like, sums.partial),
    )
    updates = state.updates + (has_weight & sums.are_finite)
    return state._replace(params=params, opt_state=opt_state, updates=updates, sums=sums)


def _optimizer_update(trainer: Trainer, state: TrainState, total: BatchLoss) -> tuple[Any, Any]:
    """Updates and optimizer state. A transform that asks for the loss (as Polyak's does) gets its mean."""
    update = optax.with_extra_args_support(trainer.optimizer).update
    value = total.loss / jnp.where(total.weight == 0, 1, total.weight)
    return update(total.grads, state.opt_state, state.params, value=value, grad=total.grads)


def _end_epoch(trainer: Trainer, state: TrainState, history: dict, evaluate: Any) -> tuple[TrainState, dict]:
    """The state at the start of the next epoch, and the history with this epoch's row."""
    state = _return_if_diverged(state)
    problem, sums, num_updates = trainer.problem, state.sums, state.updates - state.anchor.updates

    def measure():
        row = {
            "train_loss": sums.loss / jnp.where(sums.weight == 0, 1, sums.weight),
            "grad_norm": sums.norm / jnp.maximum(num_updates, 1),
        }
        if problem.valid is not None:
            means = split_means(problem, state.params, problem.valid)
            row |= {f"valid_{name}": value for name, value in means.items()}
        return {name: value.astype(history[name].dtype) for name, value in row.items()}

    row_of_nan = {name: jnp.full((), jnp.nan, h.dtype) for name, h in history.items() if name not in _COUNTS}
    row = jax.lax.cond((state.status == RUNNING) & evaluate, measure, lambda: row_of_nan)
    row |= {name: getattr(state, name) for name in _COUNTS}
    history = {name: column.at[state.epoch].set(row[name]) for name, column in history.items()}
    anchor = Anchor(state.params, state.opt_state, state.updates)
    return state._replace(epoch=state.epoch + 1, anchor=anchor, sums=_no_sums(trainer, state.params)), history


def _return_if_diverged(state: TrainState) -> TrainState:
    """The state, back at its anchor if the run diverged in this epoch or if its parameters have overflown.

    Finite gradients can make infinite parameters, which mostly show in the next loss: hence the pass over
    them here, once an epoch.
    """
    overflows = (state.status == RUNNING) & ~jnp.isfinite(squared_norm(state.params))
    status = jnp.where(overflows, DIVERGED, state.status)
    here, anchor = (state.params, state.opt_state), (state.anchor.params, state.anchor.opt_state)
    params, opt_state = jax.lax.cond(status == DIVERGED, lambda: anchor, lambda: here)
    return state._replace(
        params=params,
        opt_state=opt_state,
        status=status,
        stopped_at=jnp.where(overflows, state.updates, state.stopped_at),
    )


_COUNTS = ("updates", "examples")
