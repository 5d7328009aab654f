"""The history of a run: one row an epoch."""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxgd.training.trainers import Trainer

COUNTS = ("updates", "examples")


def measured_names(trainer: "Trainer") -> list[str]:
    """The names of what is measured after an epoch, in order: what a rule may watch."""
    problem = trainer.problem
    names = ["train_loss", "grad_norm"]
    if problem.valid is not None:
        names += ["valid_loss", *(f"valid_{name}" for name in problem.metrics)]
    return names + [name for rule in trainer.rules for name in rule.history_names(trainer)]


class Rows(NamedTuple):
    """A history as loops carry it. measured: by name, float[epochs]. counts: int32[epochs, 2]."""

    measured: dict[str, jax.Array]
    counts: jax.Array


def empty_rows(trainer: "Trainer", epochs: int) -> Rows:
    """The rows of `epochs` epochs with nothing in them: NaN, and 0 for counts."""
    measured = {name: jnp.full(epochs, jnp.nan) for name in measured_names(trainer)}
    return Rows(measured, jnp.zeros((epochs, len(COUNTS)), jnp.int32))


def as_history(rows: Rows) -> dict[str, Any]:
    """`{name: array [..., epochs]}`."""
    return rows.measured | {name: rows.counts[..., i] for i, name in enumerate(COUNTS)}


def as_rows(history: dict[str, Any]) -> Rows:
    """The rows of a history."""
    measured = {name: column for name, column in history.items() if name not in COUNTS}
    return Rows(measured, jnp.stack([history[name] for name in COUNTS], axis=-1))
