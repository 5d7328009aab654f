"""Rules that watch one number of the history: early stopping, and a lower rate on a plateau."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from jaxgd.aliases import FloatScalar, IntScalar, Number
from jaxgd.arguments import one_of
from jaxgd.optim.hyperparameters import number
from jaxgd.pytrees import Static
from jaxgd.training.rules.rule import NEVER, Rule, count_leaf
from jaxgd.training.trainers import Trainer, measured_names, with_rule

STOPPED_EARLY = 1


class Watched(NamedTuple):
    """best: best value so far. epoch: its epoch from 0, -1 without one. wait: epochs since it improved."""

    best: FloatScalar
    epoch: IntScalar
    wait: IntScalar


def _unwatched(mode: str) -> Watched:
    worst = jnp.full((), jnp.inf if mode == "min" else -jnp.inf)
    return Watched(worst, jnp.full((), -1, jnp.int32), jnp.zeros((), jnp.int32))


def _improves(value: Any, best: Any, min_delta: Any, mode: str) -> Any:
    """Whether `value` is better than `best` by more than `min_delta`; a NaN never is."""
    return value + min_delta < best if mode == "min" else value - min_delta > best


class EarlyStopping(Rule):
    """The rule behind `early_stopping`."""

    patience: Any
    min_delta: Any
    baseline: Any
    start_from_epoch: Any
    restore_best: Any
    monitor: Any
    mode: Any

    def __repr__(self):
        return f"early_stopping(patience={self.patience}, monitor={self.monitor.value!r})"

    def init(self, seen):
        """Nothing watched; the best parameters and model state so far are the first ones."""
        best = (seen.params, seen.model_state) if self.restore_best.value else None
        return _unwatched(self.mode.value), best

    def observe(self, seen: Watched, value: jax.Array, epoch: Any) -> tuple[Watched, Any, Any]:
        """What has been seen after `value` in `epoch`, whether it is the best, and whether the run stops."""
        mode = self.mode.value
        counts = epoch >= self.start_from_epoch
        is_best = counts & _improves(value, seen.best, self.min_delta, mode)
        is_good = is_best
        if self.baseline is not None:
            is_good = is_best & _improves(value, self.baseline, self.min_delta, mode)
        wait = jnp.where(is_good, 0, seen.wait + counts.astype(jnp.int32))
        stops = counts & ~is_best & (wait >= self.patience) & (epoch > 0)
        best = jnp.where(is_best, value, seen.best).astype(seen.best.dtype)
        at = jnp.where(is_best, epoch, seen.epoch).astype(jnp.int32)
        return Watched(best, at, wait.astype(jnp.int32)), is_best, stops

    def watches(self):
        """The monitor."""
        return self.monitor.value

    def after_epoch(self, own, seen, state, row):
        """Stop once the wait is over; keep the parameters and the model state that scored best."""
        watched, best = own
        watched, is_best, stops = self.observe(watched, row[self.monitor.value], state.epoch)
        if best is not None:
            best = jax.lax.cond(is_best, lambda: (seen.params, seen.model_state), lambda: best)
        return (watched, best), jnp.where(stops, STOPPED_EARLY, 0)

    def kept_epoch(self, own):
        """The best epoch."""
        watched, best = own
        return None if best is None else watched.epoch

    def finish(self, own, seen):
        """What scored best, however the run ended; the last where there never was a best."""
        watched, best = own
        if best is None:
            return seen.params, seen.model_state
        return jax.lax.cond(watched.epoch >= 0, lambda: best, lambda: (seen.params, seen.model_state))


def early_stopping(
    trainer: Trainer,
    patience: Number,
    min_delta: Number = 0,
    baseline: Number | None = None,
    restore_best: bool = True,
    start_from_epoch: Number = 0,
    monitor: str = "valid_loss",
    mode: str = "min",
) -> Trainer:
    """The trainer that stops once `monitor` has not improved for `patience` epochs. As in Keras.

    A run stops after an epoch (never after the first) in which `monitor` is not the best so far and that ends
    a wait of `patience` epochs or more: patience 0 and 1 both stop at the first epoch without improvement.
    The wait starts anew at an improvement. Its status is then 1, "stopped early", and the rule's state in
    `fit.state.rules` holds the best value and its epoch (from 0; -1 if nothing was ever the best).

    Args:
        trainer: the trainer.
        patience: epochs without improvement to wait for, 0 or more; may be traced and swept. Infinity waits
            for ever: the run keeps its best and goes on to its last epoch.
        min_delta: an improvement is one of more than this, 0 or more; may be traced.
        baseline: if given, an improvement ends the wait only if it is also better than this.
        restore_best: the run ends with the parameters and the model state of its best epoch, those that
            scored the best value of `monitor`, whether it stopped early, was ended by another rule, diverged
            or reached its last epoch. With a monitor of `average_weights` they are the average. False: with
            its last parameters. The optimizer's state is the last in either case.
        start_from_epoch: epochs before this one (from 0) are not looked at.
        monitor: an entry of the history.
        mode: "min" where less is better, "max" where more is.

    Raises:
        ValueError, TypeError: a number out of range, a `monitor` that the history does not have.
    """
    rule = _early_stopping(
        patience, min_delta, baseline, restore_best, start_from_epoch, mode,
        one_of("monitor", monitor, measured_names(trainer)),
    )  # fmt: skip
    return with_rule(trainer, rule)


def _early_stopping(
    patience: Any, min_delta: Any, baseline: Any, restore_best: bool, start: Any, mode: str, monitor: str
) -> EarlyStopping:
    return EarlyStopping(
        count_leaf("patience", patience, " of epochs", 0),
        _min_delta(min_delta),
        None if baseline is None else number("baseline", baseline, "a finite number or None", np.isfinite),
        count_leaf("start_from_epoch", start, " of epochs", 0),
        Static(bool(restore_best)),
        Static(monitor),
        Static(one_of("mode", mode, ("min", "max"))),
    )


def _min_delta(value: Any) -> Any:
    return number("min_delta", value, "a finite number, 0 or more", lambda x: (x >= 0) & np.isfinite(x))


def early_stopping_trace(
    values: Sequence[float] | Float[ArrayLike, " epochs"],
    patience: Number,
    min_delta: Number = 0,
    baseline: Number | None = None,
    start_from_epoch: Number = 0,
    mode: str = "min",
) -> tuple[Any, Any]:
    """`(epochs_run, best_epoch)` of the rule of `early_stopping` over a given series of values.

    Args:
        values: `[epochs]`, the monitored number after each epoch.
        patience: and the others: as in `early_stopping`; they may be traced.
        min_delta: see there.
        baseline: see there.
        start_from_epoch: see there.
        mode: see there.

    Returns:
        Two int32[]: how many epochs are run, and the best of them, from 0; -1 if none was ever the best.
    """
    rule = _early_stopping(patience, min_delta, baseline, False, start_from_epoch, mode, "values")
    values = jnp.asarray(values, jnp.result_type(float))
    if values.ndim != 1:
        raise ValueError(f"values must have shape [epochs], got shape {values.shape}")

    def step(carry, item):
        seen, epochs_run, stopped = carry
        new, _, stops = rule.observe(seen, *item)
        seen = jax.tree.map(lambda before, after: jnp.where(stopped, before, after), seen, new)
        return (seen, epochs_run + (~stopped).astype(jnp.int32), stopped | stops), None

    start = (_unwatched(mode), jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    epochs = jnp.arange(len(values), dtype=jnp.int32)
    (seen, epochs_run, _), _ = jax.lax.scan(step, start, (values, epochs))
    return epochs_run, seen.epoch


class ReduceOnPlateau(Rule):
    """The rule behind `reduce_on_plateau`."""

    factor: Any
    patience: Any
    min_delta: Any
    cooldown: Any
    min_scale: Any
    monitor: Any
    mode: Any

    def __repr__(self):
        numbers = f"factor={self.factor}, patience={self.patience}"
        return f"reduce_on_plateau({numbers}, monitor={self.monitor.value!r})"

    def init(self, seen):
        """Nothing watched, no cooldown, the whole rate."""
        return _unwatched(self.mode.value), jnp.zeros((), jnp.int32), jnp.ones(())

    def scale(self, own):
        """What is left of the rate."""
        return own[2]

    def history_names(self, problem):
        """The scale."""
        return ("rate_scale",)

    def measure(self, own, seen, state):
        """The scale that this epoch's updates had."""
        return {"rate_scale": own[2]}

    def after_epoch(self, own, seen, state, row):
        """A lower scale once the wait is over, and then the cooldown."""
        watched, cooldown, scale = own
        cooldown = jnp.maximum(cooldown - 1, 0)
        value = row[self.monitor.value]
        is_best = _improves(value, watched.best, self.min_delta, self.mode.value)
        wait = jnp.where(is_best | (cooldown > 0), 0, watched.wait + 1)
        falls = ~is_best & (wait >= self.patience) & (cooldown == 0)
        lower = jnp.maximum(scale * self.factor, jnp.minimum(scale, self.min_scale)).astype(scale.dtype)
        watched = Watched(
            jnp.where(is_best, value, watched.best).astype(watched.best.dtype),
            jnp.where(is_best, state.epoch, watched.epoch),
            jnp.where(falls, 0, wait),
        )
        # One more than the epochs of the cooldown: the count is lowered before it is looked at.
        rest = jnp.where(falls, jnp.minimum(self.cooldown, NEVER - 1) + 1, cooldown).astype(jnp.int32)
        return (watched, rest, jnp.where(falls, lower, scale)), 0


def reduce_on_plateau(
    trainer: Trainer,
    factor: Number = 0.1,
    patience: Number = 10,
    min_delta: Number = 1e-4,
    cooldown: Number = 0,
    min_scale: Number = 0.0,
    monitor: str = "valid_loss",
    mode: str = "min",
) -> Trainer:
    """The trainer whose updates shrink by `factor` when `monitor` has not improved for `patience` epochs.

    It multiplies the optimizer's updates, as a lower learning rate would. The factor that an epoch's updates
    had is `rate_scale` in the history. The defaults are those of Keras; a cooldown is counted as in Optax,
    an epoch longer than in Keras.

    Args:
        trainer: the trainer.
        factor: what the rate is multiplied by, above 0 and below 1; may be traced, as the other numbers may.
        patience: epochs without improvement to wait for, 1 or more; infinity never lowers the rate.
        min_delta: an improvement is one of more than this.
        cooldown: epochs after a reduction in which nothing is counted; infinity for one reduction at most.
        min_scale: the scale falls no lower than this.
        monitor: an entry of the history.
        mode: "min" where less is better, "max" where more is.

    Raises:
        ValueError, TypeError: a number out of range, a `monitor` that the history does not have.
    """
    rule = ReduceOnPlateau(
        number("factor", factor, "above 0 and below 1", lambda x: (x > 0) & (x < 1)),
        count_leaf("patience", patience, " of epochs", 1),
        _min_delta(min_delta),
        count_leaf("cooldown", cooldown, " of epochs", 0),
        number("min_scale", min_scale, "from 0 to 1", lambda x: (x >= 0) & (x <= 1)),
        Static(one_of("monitor", monitor, measured_names(trainer))),
        Static(one_of("mode", mode, ("min", "max"))),
    )
    return with_rule(trainer, rule)
