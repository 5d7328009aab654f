"""Where a run diverged, for JAX's debugging switches: its last update again, operation by operation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.machine.switches import Checks
from jaxgd.training.carrying import as_rows
from jaxgd.training.fitting import extent, orders_of, segment
from jaxgd.training.loop import run_epoch
from jaxgd.training.states import DIVERGED, RUNNING, TrainState, anchor_of, at_anchor, no_sums
from jaxgd.training.trainers import Trainer


def check_numbers(
    trainer: Trainer, key: jax.Array, epochs: int, state: TrainState, history: dict[str, Any], checks: Checks
) -> None:
    """Raise FloatingPointError if a run has come to what JAX was told to stop at.

    The error is JAX's own, from the line that gave the number, in the loss or wherever it was; where no
    operation did, one of jaxgd's.
    """
    if isinstance(state.status, Tracer):
        return  # concrete arguments, but within a transformation
    if int(state.status) == DIVERGED:
        _replay(trainer, key, epochs, state, history, checks)
        raise FloatingPointError(
            f"the run diverged at update {int(state.stopped_at)}: its loss, gradient or parameters are NaN "
            "or infinite, though no operation of it gave what jax_debug_nans or jax_debug_infs forbid"
        )
    went_on = not trainer.halt_on_divergence.value and int(state.status) == RUNNING
    seen = state.params, history["train_loss"] if went_on else None
    for numbers in map(np.asarray, jax.tree.leaves(seen)):
        if (checks.nans and np.isnan(numbers).any()) or (checks.infs and np.isinf(numbers).any()):
            raise FloatingPointError("the run has losses or parameters that are NaN or infinite")


def _replay(
    trainer: Trainer, key: jax.Array, epochs: int, state: TrainState, history: dict[str, Any], checks: Checks
) -> None:
    """Make the update at which the run diverged, after those of its epoch that come before it."""
    num, epoch = trainer.problem.num_examples, int(np.isfinite(history["grad_norm"]).sum())
    before = {name: history[name][epoch - 1] if epoch else jnp.int32(0) for name in ("updates", "examples")}
    moving = at_anchor(trainer, state)
    begin = state._replace(
        **moving._asdict(),
        **before,
        anchor=anchor_of(trainer, moving, before["updates"]),
        status=jnp.int32(RUNNING),
        epoch=jnp.int32(epoch),
        sums=no_sums(trainer, moving.params),
    )
    size = int(trainer.at_epoch(epoch).examples_per_batch)
    position = (int(state.stopped_at) - int(before["updates"])) * size
    if position >= num:
        return  # the last update of an epoch gave infinite parameters, which no loss has seen
    first, orders = orders_of(trainer, key, epoch, epochs)
    if position:
        given = jax.tree.map(jnp.copy, (begin, history))  # the program takes over their memory
        start = epoch * num
        begin, _ = segment(trainer, *given, orders, first, extent(start, start + position, num))
    rows = as_rows(history)
    with jax.disable_jit(), jax.debug_nans(checks.nans), jax.debug_infs(checks.infs):
        run_epoch(trainer, begin, rows, orders[epoch - first], position, position + 1)
