"""L1 and L2 penalties."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp

from jaxgd.aliases import Number, Params
from jaxgd.numerics import common_dtype, squared_norm
from jaxgd.optim.hyperparameters import as_number, check_number
from jaxgd.pytrees import PyTree, Static
from jaxgd.training.models.dropping import chosen_leaves
from jaxgd.training.models.model import asking
from jaxgd.training.problems.problem import Problem


def regularized(
    problem: Problem, l1: Number | None = None, l2: Number | None = None, mask: Any = None
) -> Problem:
    """The problem whose training loss has the penalty `l1 * sum(abs(w)) + l2 / 2 * sum(w**2)` added.

    Every training example's loss gets it, so `train_loss` includes it and the gradient is that of mean plus
    penalty. Validation, `evaluate` and metrics do not: they stay comparable between strengths.

    Adam divides a penalty's gradient by the root of the second moment, as it does with the rest, so weights
    with large gradients are regularised less. `adamw(weight_decay=...)` and `jaxgd.optim.soft_threshold` act
    on the weights directly.

    Args:
        problem: what to train.
        l1: number, 0 or more; may be traced. None for no such term.
        l2: number, 0 or more; may be traced. None for no such term.
        mask: which parameters are penalised, as in `drop_connect`: by default weights, not biases.

    Raises:
        ValueError: a negative strength; on use, if there is nothing to penalise.
    """
    strengths = {"l1": l1, "l2": l2}
    for name, strength in strengths.items():
        if strength is not None:
            strengths[name] = as_number(name, strength)
            check_number(name, strength, lambda x: x >= 0, "0 or more")
    loss = _PenalisedLoss(problem.loss, mask=Static(mask), **strengths)
    loss = asking(loss, [*problem.loss.names.value, "training"])
    return problem.replace(loss=loss, coupled=problem.coupled)


class _PenalisedLoss(PyTree):
    """A problem's loss plus a penalty in training, called with the arguments that the loss takes."""

    loss: Any
    l1: Any
    l2: Any
    mask: Any

    def __call__(self, params, batch, training=True, **options):
        returned = self.loss(params, batch, training=training, **options)
        if not training:
            return returned
        losses, *others = returned if isinstance(returned, tuple) else (returned,)
        losses = losses + self._penalty(params).astype(losses.dtype)
        return (losses, *others) if others else losses

    def _penalty(self, params: Params) -> jax.Array:
        chosen = itertools.compress(jax.tree.leaves(params), chosen_leaves(params, self.mask.value))
        weights = [w.astype(common_dtype(w.dtype, jnp.float32)) for w in chosen]
        penalty = jnp.zeros(())
        if self.l1 is not None:
            penalty += self.l1 * sum(jnp.sum(jnp.abs(w)) for w in weights)
        if self.l2 is not None:
            penalty += self.l2 / 2 * squared_norm(weights)
        return penalty

    def __repr__(self):
        return f"regularized({self.loss!r}, l1={self.l1}, l2={self.l2})"
