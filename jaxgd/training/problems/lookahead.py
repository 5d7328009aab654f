"""Optax's `lookahead` in a trainer: the parameters are then a pair, trained the fast, evaluated the slow."""

from typing import Any

import optax

from jaxgd.optim.combining import Combination, Combined
from jaxgd.pytrees import PyTree, Static
from jaxgd.training.models.model import Asking, asking
from jaxgd.training.problems.problem import Problem

# Functions built by the same code: that is how one of Optax's transforms is known.
_LOOKAHEAD = optax.lookahead(optax.identity(), 1, 1.0).update.__code__  # pyright: ignore[reportAttributeAccessIssue]


def paired(problem: Problem, optimizer: Any) -> tuple[Problem, Any]:
    """Problem and optimizer for parameters that are an `optax.LookaheadParams`, if the optimizer wants them.

    A problem that was made so for another optimizer is itself again.
    """
    if getattr(optimizer.update, "__code__", None) is _LOOKAHEAD:
        optimizer = Combined.of(_PAIRED, {"lookahead": Static(optimizer)})
    wanted = isinstance(optimizer, Combined) and optimizer.combination == _PAIRED
    if wanted == isinstance(problem.init, _PairInit):
        return problem, optimizer
    if wanted:
        init, loss = _PairInit(problem.init), _of_pair(problem.loss)
        metrics = {name: _of_pair(metric) for name, metric in problem.metrics.items()}
    else:
        init, loss = problem.init.function, problem.loss.function.function
        metrics = {name: metric.function.function for name, metric in problem.metrics.items()}
    # It is the same loss of other parameters: what is known of its examples stays known.
    return problem.replace(init=init, loss=loss, metrics=metrics, coupled=problem.coupled), optimizer


class _PairInit(PyTree):
    """The initial parameters, both fast and slow."""

    function: Any

    def __call__(self, key):
        return optax.LookaheadParams.init_synced(self.function(key))

    def __repr__(self):
        return repr(self.function)


class _OfPair(PyTree):
    """A loss or a metric of the fast parameters in training and of the slow ones in evaluation."""

    function: Any

    def __call__(self, params, batch, training=False, **options):
        return self.function(params.fast if training else params.slow, batch, training=training, **options)

    def __repr__(self):
        return repr(self.function)


def _of_pair(function: Asking) -> Asking:
    return asking(_OfPair(function), [*function.names.value, "training"])


def _with_fast_gradients(parts):
    lookahead = parts["lookahead"]

    def update(updates, state, params=None, **extra):
        return lookahead.update(updates.fast, state, params, **extra)

    return optax.GradientTransformationExtraArgs(lookahead.init, update)


_PAIRED = Combination("lookahead", _with_fast_gradients)
