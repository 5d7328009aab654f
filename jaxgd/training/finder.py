"""A learning-rate range test: short runs at every rate, all in one program."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxgd.aliases import Key, WholeNumber
from jaxgd.arguments import whole_number
from jaxgd.machine.compiling import own_programs
from jaxgd.pytrees import Static
from jaxgd.training.batching import take
from jaxgd.training.fitting import check_run, fit, initial_params
from jaxgd.training.gradients import example_losses
from jaxgd.training.problems.problem import Problem, num_examples
from jaxgd.training.rules.budgets import budget
from jaxgd.training.states import DIVERGED
from jaxgd.training.trainers import Trainer

# Examples on which a rate is judged, at most.
_JUDGES = 1024
# How many runs each rate gets, and the losses are means of: one alone names now and then a rate too far off.
_RUNS = 3
# By how many standard errors one rate must lower the loss, and do better than with shuffled targets, for
# anything to be learnt at all; and by how many each that is usable then.
_SIGMAS, _EACH = 4.0, 2.0


class RateFinder(NamedTuple):
    """What a range test found.

    rate: the suggestion, a float, or None where no rate is usable: a safe one, the lowest within one standard
    error of the best. best: the usable rate with the lowest loss, or None. rates: float[n], those tried.
    losses: float[n], mean loss on the judging examples after the updates, NaN where a run diverged. start:
    that loss before any. controls: float[n], losses of runs whose targets were shuffled, NaN where the
    examples have no targets. reason: a sentence.
    """

    rate: float | None
    best: float | None
    rates: Float[np.ndarray, " rates"]
    losses: Float[np.ndarray, " rates"]
    start: float
    controls: Float[np.ndarray, " rates"]
    reason: str

    def __repr__(self):
        return f"RateFinder(rate={self.rate}, best={self.best}: {self.reason})"


def find_learning_rate(
    trainer: Trainer, key: Key, rates: Sequence[float] | None = None, updates: WholeNumber = 100
) -> RateFinder:
    """The learning rate that lowers the loss most in a few updates, and a safe one: all are tried at once.

    Every rate trains three copies of the run for `updates` updates, in one program; `trainer` is left as it
    is. The rates are judged on validation examples, or on training examples where there are none. Something
    can be learnt if a rate lowers their mean loss by more than 4 standard errors and, where examples are
    pairs of inputs and targets, ends lower by as much than the same runs on shuffled targets: so it has not
    only shrunk the outputs. Rates that do so by 2 standard errors are usable then.

    A few updates tell of a few updates. In a long run the best rate is often lower, and rates well above it
    diverge later: `rate` is the lowest within one standard error of the best, which is `best`. At small batch
    sizes, where 100 updates are a part of an epoch, both can be several times what a long run wants.

    Args:
        trainer: a trainer whose optimizer has a `learning_rate`; its own value is not used.
        key: a PRNG key; the runs' keys are split from it.
        rates: those to try; None for 25 from 1e-6 to 10, evenly on a log scale.
        updates: how many each is given, 1 or more.

    Raises:
        ValueError, TypeError: an optimizer without a learning rate, rates that are not positive and finite,
            more updates than there are counts for.
    """
    check_run(trainer, key, 1)
    if not hasattr(trainer.optimizer, "learning_rate"):
        raise TypeError(f"the optimizer must have a learning_rate to find, got {trainer.optimizer!r}")
    tried = np.asarray(np.logspace(-6, 1, 25) if rates is None else rates, np.float64)
    if tried.ndim != 1 or not tried.size or not np.all(np.isfinite(tried) & (tried > 0)):
        raise ValueError(f"rates must be a list of positive finite numbers, got {rates}")
    tried = np.sort(tried)
    count = whole_number("updates", updates)
    _epochs_of(_limited(trainer, trainer.problem, count), count)
    problem, judges = _split(trainer.problem)
    controlled = problem.replace(train=_with_shuffled_targets(problem.train, key))
    before, after, control = None, None, None
    for train_on in (problem, controlled) if _has_targets(problem.train) else (problem,):
        run = _limited(trainer, train_on, count)
        epochs = _epochs_of(run, count)
        with own_programs():
            before, losses = jax.device_get(_losses(run, key, jnp.asarray(tried), judges, epochs))
        after, control = (losses, control) if after is None else (after, losses)
    return _conclude(tried, before, after, control)


def _split(problem: Problem) -> tuple[Problem, Any]:
    """The problem without validation, and the examples on which rates are judged: none that it trains on."""
    bare = problem.replace(valid=None, test=None, metrics={})
    if problem.valid is not None:
        return bare, take(problem.valid, jnp.arange(min(_JUDGES, num_examples(problem.valid))))
    num = problem.num_examples
    held_out = min(_JUDGES, num // 5)
    if held_out < 2:
        raise ValueError(f"finding a rate needs validation data or 10 training examples or more, got {num}")
    return bare.replace(train=take(problem.train, jnp.arange(num - held_out))), take(
        problem.train, jnp.arange(num - held_out, num)
    )


def _has_targets(data: Any) -> bool:
    return isinstance(data, tuple) and len(data) == 2


def _with_shuffled_targets(data: Any, key: Key) -> Any:
    if not _has_targets(data):
        return data
    return data[0], take(data[1], jax.random.permutation(key, num_examples(data)))


def _limited(trainer: Trainer, problem: Problem, updates: int) -> Trainer:
    """The trainer of this problem for so many updates, with no other rule."""
    size = trainer.batch_size.value if isinstance(trainer.batch_size, Static) else trainer.batch_size
    size = min(size, problem.num_examples) if isinstance(size, int) else size
    run = trainer.replace(problem=problem, batch_size=size, rules=(), halt_on_divergence=True)
    return budget(run, updates=updates)


def _epochs_of(run: Trainer, updates: Any) -> int:
    """The epochs that hold so many updates."""
    size, end, num = int(run.examples_per_batch), int(run.epoch_end), run.problem.num_examples
    most = (2**31 - 1) // num * end // size
    if updates > most:
        raise ValueError(f"updates must be at most {most} for {num} examples (32-bit counts), got {updates}")
    return -(-int(updates) * size // end)


@functools.partial(jax.jit, static_argnums=4)
def _losses(trainer: Trainer, key: Key, rates: jax.Array, judges: Any, epochs: int):
    """Losses of the judging examples, [judges] before, [rates, judges] after training."""

    def losses(params, model_state):
        return example_losses(trainer.problem, params, judges, model_state).losses

    def trained(rate, key):
        run = trainer.replace(optimizer=trainer.optimizer.replace(learning_rate=rate))
        state = fit(run, key, epochs).state
        return jnp.where(state.status == DIVERGED, jnp.nan, losses(state.params, state.model_state))

    def both(key):
        start = initial_params(trainer.problem.init, key)
        before = losses(start, trainer.problem.model_state)
        return before, jax.vmap(trained, (0, None))(rates, key)

    # One run of all rates after the other: their memory is that of one.
    return jax.tree.map(lambda runs: runs.mean(axis=0), jax.lax.map(both, jax.random.split(key, _RUNS)))


def _conclude(rates: np.ndarray, before: Any, after: Any, control: Any) -> RateFinder:
    gains = [before - after]
    if control is not None:
        # A control that diverged is no evidence against a rate.
        gains.append(np.where(np.isnan(control), before, control) - after)
    learns, usable = (
        np.all([_is_above(gain, sigmas) for gain in gains], axis=0) for sigmas in (_SIGMAS, _EACH)
    )
    controls = np.full(len(rates), np.nan) if control is None else control.mean(axis=1)
    found = functools.partial(
        RateFinder, rates=rates, losses=after.mean(axis=1), start=float(before.mean()), controls=controls
    )
    if not learns.any():
        reason = (
            f"no usable rate: none of {len(rates)} lowers the loss on unseen examples by more than chance"
        )
        return found(rate=None, best=None, reason=reason)
    best = int(np.argmin(np.where(usable, after.mean(axis=1), np.inf)))
    as_good = usable & ~_is_above(after - after[best], sigmas=1.0)
    rate = float(rates[np.argmax(as_good)])
    reason = f"the loss falls from {before.mean():.4g} to {after[np.argmax(as_good)].mean():.4g}"
    return found(rate=rate, best=float(rates[best]), reason=reason)


def _is_above(differences: np.ndarray, sigmas: float) -> np.ndarray:
    """Whether the mean of each row, `[rates, judges]`, is above 0 by so many standard errors; no NaN is."""
    with np.errstate(over="ignore", invalid="ignore"):  # a rate far too high
        differences = differences.astype(np.float64)
        error = differences.std(axis=1, ddof=1) / np.sqrt(differences.shape[1])
        return differences.mean(axis=1) > sigmas * error
