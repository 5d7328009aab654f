"""Where a run diverged, for JAX's debugging switches: its last update again, operation by operation."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.machine.compiling import Checks
from jaxgd.training.carrying import as_rows
from jaxgd.training.loop import anchor_of, at_anchor, no_sums, run_epoch
from jaxgd.training.segments import Course
from jaxgd.training.states import DIVERGED, RUNNING


def check_numbers(course: Course, checks: Checks) -> None:
    """Raise FloatingPointError if a run has come to what JAX was told to stop at.

    The error is JAX's own, from the line that gave the number, in the loss or wherever it was; where no
    operation did, one of jaxgd's.
    """
    state = course.state
    if isinstance(state.status, Tracer):
        return  # concrete arguments, but within a transformation
    if int(state.status) == DIVERGED:
        _replay(course, checks)
        raise FloatingPointError(
            f"the run diverged at update {int(state.stopped_at)}: its loss, gradient or parameters are NaN "
            "or infinite, though no operation of it gave what jax_debug_nans or jax_debug_infs forbid"
        )
    went_on = not course.trainer.halt_on_divergence.value and int(state.status) == RUNNING
    seen = state.params, course.history["train_loss"] if went_on else None
    for numbers in map(np.asarray, jax.tree.leaves(seen)):
        if (checks.nans and np.isnan(numbers).any()) or (checks.infs and np.isinf(numbers).any()):
            raise FloatingPointError("the run has losses or parameters that are NaN or infinite")


def _replay(course: Course, checks: Checks) -> None:
    """Make the update at which the run diverged, after those of its epoch that come before it."""
    trainer, state, history = course.trainer, course.state, course.history
    examples = np.asarray(history["examples"])
    num, epoch = course.num, int(np.argmax(examples == examples[-1]))  # the last that used any
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
    given = jax.tree.map(jnp.copy, (begin, history))  # the program takes over their memory
    again = Course(trainer, course.key, course.epochs, *given, gone=epoch * num)
    again.go_to(epoch * num + position)
    first, orders = again.orders_of(epoch)
    rows, order = as_rows(history), orders[epoch - first]
    with jax.disable_jit(), jax.debug_nans(checks.nans), jax.debug_infs(checks.infs):
        run_epoch(trainer, again.state, rows, order, position, position + 1)
