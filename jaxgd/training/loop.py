"""One training run, top to bottom: epoch order, micro-batch, gradient, update, metrics.

A run moves along the clock of examples seen. Everything here is pure and may be jitted and vmapped; what
drives it, in one scan or in segments, is in `fitting`.
"""

from numbers import Integral
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from jaxgd.optim.combining import chain
from jaxgd.optim.hyperparameters import unknown
from jaxgd.optim.moments import root
from jaxgd.optim.static import Static
from jaxgd.optim.transform import Transform, apply_updates
from jaxgd.training.batching import example_keys, take
from jaxgd.training.gradients import (
    BatchLoss,
    batch_gradient,
    mean_of_sums,
    split_means,
    squared_norm,
)
from jaxgd.training.problem import Problem, takes_keys
from jaxgd.training.pytrees import PyTree

RUNNING = 0
DIVERGED = 2
# What a status number means once a run is over: 0 is a run that reached its last epoch.
STATUS_WORDS = ("completed", "stopped early", "diverged", "budget spent", "failed")


class Trainer(PyTree):
    """A training run as a pytree: a problem, an optimizer, and how batches are made. Built by `trainer`."""

    problem: Problem
    optimizer: Transform
    batch_size: Any
    microbatch: Any
    sampling: Any
    remainder: Any

    def __repr__(self):
        size = self.batch_size.value if isinstance(self.batch_size, Static) else self.batch_size
        return f"trainer({self.problem!r}, {self.optimizer!r}, batch_size={size})"

    def replace(self, **changes: Any) -> "Trainer":
        """A copy with some of its arguments changed, checked as in `trainer`."""
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain = {name: value.value if isinstance(value, Static) else value for name, value in given.items()}
        return trainer(**plain | changes)

    @property
    def examples_per_batch(self) -> Any:
        """The batch size as a number: a Python int where it is structure, else the leaf."""
        if not isinstance(self.batch_size, Static):
            return self.batch_size
        size = self.batch_size.value
        return self.problem.num_examples if size == "full" else size

    @property
    def order_sampling(self) -> str:
        """How an epoch's order is made: a full batch needs none."""
        is_full = isinstance(self.batch_size, Static) and self.batch_size.value == "full"
        return "sequential" if is_full else self.sampling.value

    @property
    def epoch_end(self) -> Any:
        """The examples after which an epoch is over."""
        size, num = self.examples_per_batch, self.problem.num_examples
        return num // size * size if self.remainder.value == "drop" else num


def trainer(
    problem: Problem,
    optimizer: optax.GradientTransformation,
    batch_size: Any,
    microbatch: int | None = None,
    sampling: str = "shuffle",
    remainder: str = "keep",
) -> Trainer:
    """The trainer that runs `optimizer` on `problem` with batches of `batch_size` examples.

    Args:
        problem: initial parameters, loss and data.
        optimizer: a jaxgd or Optax transform.
        batch_size: a Python int, or "full" for batch gradient descent: structure, the fastest program. Or an
            int array or tracer: a leaf, so that `jax.vmap` can run over batch sizes; it needs a `microbatch`.
        microbatch: examples whose gradient is computed at once; a batch is summed over its micro-batches, so
            that its memory does not grow with its size. None: the whole batch at once.
        sampling: "shuffle" (an epoch is every example once, in a new order each time) or "replacement" (an
            epoch is as many independent draws). A full batch is every example once either way.
        remainder: what happens to examples left over when `batch_size` does not divide their number: "keep"
            makes a smaller last batch, whose gradient is the mean over what is in it; "drop" leaves them out.

    Raises:
        ValueError, TypeError: a batch size below 1 or above the number of training examples, an unknown word.
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a jaxgd.Problem, got {type(problem).__name__}")
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(f"optimizer must be a gradient transformation, got {optimizer!r}")
    for name, given, known in (
        ("sampling", sampling, ("shuffle", "replacement")),
        ("remainder", remainder, ("keep", "drop")),
    ):
        if given not in known:
            raise ValueError(unknown(name, given, known))
    is_whole = isinstance(microbatch, Integral) and not isinstance(microbatch, bool)
    if microbatch is not None and (not is_whole or microbatch < 1):
        raise ValueError(f"microbatch must be a whole number, 1 or more, or None, got {microbatch}")
    return Trainer(
        problem,
        optimizer if isinstance(optimizer, Transform) else chain(optimizer),
        _checked_batch_size(batch_size, problem.num_examples, microbatch),
        Static(None if microbatch is None else int(microbatch)),
        Static(sampling),
        Static(remainder),
    )


def _checked_batch_size(batch_size: Any, num: int, microbatch: int | None) -> Any:
    allowed = f"a whole number from 1 to {num} (the number of training examples)"
    if isinstance(batch_size, str):
        if batch_size != "full":
            raise ValueError(f'batch_size must be {allowed} or "full", got {batch_size!r}')
        return Static("full")
    is_structure = isinstance(batch_size, Integral) and not isinstance(batch_size, bool)
    if not is_structure and not isinstance(batch_size, np.ndarray | jax.Array):
        raise TypeError(f'batch_size must be {allowed} or "full", got {batch_size!r}')
    if not is_structure and not jnp.issubdtype(batch_size.dtype, jnp.integer):  # pyright: ignore
        raise TypeError(f"batch_size must be an array of integers, got dtype {batch_size.dtype}")  # pyright: ignore
    if not isinstance(batch_size, Tracer):
        sizes = np.asarray(batch_size)
        bad = sizes[(sizes < 1) | (sizes > num)]
        if bad.size:
            raise ValueError(f'batch_size must be {allowed} or "full", got {bad[0]}')
    if is_structure:
        return Static(int(batch_size))
    if microbatch is None:
        raise ValueError("a batch_size that is an array needs a static microbatch, such as microbatch=8")
    return batch_size


class EpochSums(NamedTuple):
    """Running sums of the epoch under way, and the micro-batches of the batch under way.

    position: int32[], examples used. loss, weight: float[], sums of `w * l` and of `w`. norm: float[], sum of
    gradient norms. updates: int32[]. partial: sums over the present batch, None without micro-batches.
    """

    position: jax.Array
    loss: jax.Array
    weight: jax.Array
    norm: jax.Array
    updates: jax.Array
    partial: BatchLoss | None


class TrainState(NamedTuple):
    """Where a run is.

    key: the run's PRNG key. params, opt_state: after the last update. anchor: the parameters at the start of
    the epoch, to which a run that has overflowed returns. status: int32[], 0 while running, 2
    once diverged. updates, examples: int32[], made and used so far. epoch: int32[], epochs ended. stopped_at:
    int32[], the update (from 0) at which the run stopped, -1 if it did not. sums: of the epoch under way.
    """

    key: jax.Array
    params: Any
    opt_state: Any
    anchor: Any
    status: jax.Array
    updates: jax.Array
    examples: jax.Array
    epoch: jax.Array
    stopped_at: jax.Array
    sums: EpochSums


def initial_state(trainer: Trainer, key: jax.Array, params: Any) -> TrainState:
    """The state before the first update, from initial parameters."""
    zero = jnp.zeros((), jnp.int32)
    return TrainState(
        key=key,
        params=params,
        opt_state=trainer.optimizer.init(params),
        anchor=params,
        status=zero,
        updates=zero,
        examples=zero,
        epoch=zero,
        stopped_at=zero - 1,
        sums=_no_sums(trainer, params),
    )


def _no_sums(trainer: Trainer, params: Any) -> EpochSums:
    integer, number = jnp.zeros((), jnp.int32), jnp.zeros(())
    partial = None
    if trainer.microbatch.value is not None:
        wide = jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.promote_types(p.dtype, jnp.float32)), params)
        partial = BatchLoss(wide, number, number)
    return EpochSums(integer, number, number, number, integer, partial)


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
    size, num, micro = trainer.examples_per_batch, trainer.problem.num_examples, trainer.microbatch.value
    if micro is None:
        last = trainer.epoch_end // size if trainer.remainder.value == "drop" else -(-num // size)
        bounds = (0, last) if stop is None else (-(-start // size), jnp.minimum(-(-stop // size), last))
        return jax.lax.fori_loop(*bounds, lambda k, s: _step(trainer, s, order, k * size), state)
    if stop is None and isinstance(size, int):
        # A fixed number of steps, so that the loop has a reverse-mode derivative.
        left = 0 if trainer.remainder.value == "drop" else num % size
        steps = num // size * -(-size // micro) + -(-left // micro)
        return jax.lax.fori_loop(0, steps, lambda _, s: _step(trainer, s, order, s.sums.position), state)
    end = trainer.epoch_end if stop is None else jnp.minimum(stop, trainer.epoch_end)
    return jax.lax.while_loop(
        lambda s: s.sums.position < end, lambda s: _step(trainer, s, order, s.sums.position), state
    )


def _step(trainer: Trainer, state: TrainState, order: jax.Array, position: Any) -> TrainState:
    """One micro-batch, and the update if it completes a batch."""
    batch, positions, mask, end = _micro_batch(trainer, order, position)
    keys = example_keys(state.key, state.epoch, positions) if takes_keys(trainer.problem.loss) else None
    is_whole = trainer.microbatch.value is None
    total = batch_gradient(trainer.problem, state.params, batch, keys, mask, mean=is_whole)
    count = positions.size if mask is None else jnp.sum(mask, dtype=jnp.int32)
    state = state._replace(examples=state.examples + jnp.where(state.status == RUNNING, count, 0))
    if is_whole:
        return _update(trainer, state, total)
    total = jax.tree.map(lambda a, b: a + b.astype(a.dtype), state.sums.partial, total)
    position = position + count
    state = state._replace(sums=state.sums._replace(position=position, partial=total))
    return jax.lax.cond(
        position == end, lambda s: _update(trainer, s, mean_of_sums(total, s.params)), lambda s: s, state
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


def _update(trainer: Trainer, state: TrainState, total: BatchLoss) -> TrainState:
    """The update by a whole batch's gradient, unless that is not finite: then the run is frozen before it."""
    squares = squared_norm(total.grads)
    running, has_weight = state.status == RUNNING, total.weight != 0
    good = jnp.isfinite(total.loss + squares)
    taken = running & good & has_weight
    updates, opt_state = _optimizer_update(trainer, state, total)
    params = apply_updates(state.params, updates)
    # A branch, not a select per array: XLA on a CPU would fuse the gradient into each select and copy.
    params, opt_state = jax.lax.cond(
        taken, lambda: (params, opt_state), lambda: (state.params, state.opt_state)
    )
    sums = state.sums
    sums = EpochSums(
        position=sums.position,
        loss=sums.loss + total.loss,
        weight=sums.weight + total.weight,
        norm=sums.norm + root(squares),
        updates=sums.updates + has_weight,
        partial=None if sums.partial is None else jax.tree.map(jnp.zeros_like, sums.partial),
    )
    diverges = running & ~good
    return state._replace(
        params=params,
        opt_state=opt_state,
        status=jnp.where(diverges, DIVERGED, state.status),
        updates=state.updates + taken,
        stopped_at=jnp.where(diverges, state.updates, state.stopped_at),
        sums=sums,
    )


def _optimizer_update(trainer: Trainer, state: TrainState, total: BatchLoss) -> tuple[Any, Any]:
    """Updates and optimizer state. A transform that asks for the loss (as Polyak's does) gets its mean."""
    update = optax.with_extra_args_support(trainer.optimizer).update
    value = total.loss / jnp.where(total.weight == 0, 1, total.weight)
    return update(total.grads, state.opt_state, state.params, value=value, grad=total.grads)


def _end_epoch(trainer: Trainer, state: TrainState, history: dict, evaluate: Any) -> tuple[TrainState, dict]:
    """The state at the start of the next epoch, and the history with this epoch's row."""
    state = _freeze_overflown(state)
    problem, sums = trainer.problem, state.sums

    def measure():
        row = {
            "train_loss": sums.loss / jnp.where(sums.weight == 0, 1, sums.weight),
            "grad_norm": sums.norm / jnp.maximum(sums.updates, 1),
        }
        if problem.valid is not None:
            means = split_means(problem, state.params, problem.valid)
            row |= {f"valid_{name}": value for name, value in means.items()}
        return {name: value.astype(history[name].dtype) for name, value in row.items()}

    row_of_nan = {name: jnp.full((), jnp.nan, h.dtype) for name, h in history.items() if name not in _COUNTS}
    row = jax.lax.cond((state.status == RUNNING) & evaluate, measure, lambda: row_of_nan)
    row |= {name: getattr(state, name) for name in _COUNTS}
    history = {name: column.at[state.epoch].set(row[name]) for name, column in history.items()}
    return state._replace(epoch=state.epoch + 1, sums=_no_sums(trainer, state.params)), history


def _freeze_overflown(state: TrainState) -> TrainState:
    """The state, frozen with the parameters of the epoch's start where its own have overflown.

    Finite gradients can make infinite parameters, which mostly show in the next loss. Once an epoch, not at
    every update, since it takes a pass over the parameters.
    """
    is_finite = jnp.isfinite(squared_norm(state.params))
    diverges = (state.status == RUNNING) & ~is_finite
    params = jax.tree.map(lambda new, old: jnp.where(is_finite, new, old), state.params, state.anchor)
    return state._replace(
        params=params,
        anchor=params,
        status=jnp.where(diverges, DIVERGED, state.status),
        stopped_at=jnp.where(diverges, state.updates, state.stopped_at),
    )


_COUNTS = ("updates", "examples")
