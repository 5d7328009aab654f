"""The history of a run: one row an epoch."""

from typing import TYPE_CHECKING

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


def empty_history(trainer: "Trainer", epochs: int) -> dict[str, jax.Array]:
    """The history of `epochs` epochs with nothing in it: NaN, and 0 for counts."""
    history = {name: jnp.full(epochs, jnp.nan) for name in measured_names(trainer)}
    return history | {name: jnp.zeros(epochs, jnp.int32) for name in COUNTS}
