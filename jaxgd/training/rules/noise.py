"""The rule that measures the gradient noise scale of a run, epoch by epoch.

Source: McCandlish, Kaplan, Amodei and OpenAI Dota Team 2018, "An Empirical Model of Large-Batch Training".
"""

from typing import Any, ClassVar

import jax.numpy as jnp

from jaxgd.aliases import FloatScalar
from jaxgd.arguments import one_of
from jaxgd.numerics import no_sums_of
from jaxgd.training.gradients import or_one
from jaxgd.training.rules.rule import Rule
from jaxgd.training.trainers import Trainer, with_rule


class GradientNoise(Rule):
    """The rule behind `noise_scale`, from the last micro-batch of each batch.

    Its state: the sums over the epoch's batches, of n examples each, of `n S`, `n |G|**2` and n.
    """

    acts_on_updates = True
    reads = ("squared_norm", "last_squared_norm", "batch_size", "last_batch_size")
    parts: ClassVar[str] = "last"

    def __repr__(self):
        return f"noise_scale(parts={self.parts!r})"

    def part(self, seen: Any) -> tuple[Any, Any]:
        """The mean squared norm of the gradients of parts of the batch, and how many examples a part has."""
        return seen.last_squared_norm, seen.last_batch_size

    def init(self, seen):
        """Nothing summed."""
        return no_sums_of(3)

    def after_update(self, own: Any, seen: Any):
        """The sums with this batch's estimates; without, where it has one part only."""
        if seen.has_weights:
            raise ValueError(
                "the loss must have no weights, for noise_scale: its gradients would have several variances"
            )
        squares, part = self.part(seen)
        # Where there are two parts or more, a batch has twice the examples of the part or more.
        is_known = seen.batch_size > 1.5 * part
        size = jnp.where(is_known, seen.batch_size, 2 * part)
        squared_norm = (size * seen.squared_norm - part * squares) / (size - part)
        trace = (squares - seen.squared_norm) / (1 / part - 1 / size)
        return own.plus(
            [jnp.where(is_known, size * x, 0) for x in (trace, squared_norm, jnp.ones_like(size))]
        )

    def history_names(self, problem):
        """The two means, and their ratio."""
        return "noise_trace", "noise_squared_norm", "noise_scale"

    def measure(self, own, seen, state):
        """The epoch's means, NaN where no batch had two parts; their ratio, NaN where there is none."""
        trace, squared_norm, size = own.totals
        means = [jnp.where(size > 0, x / or_one(size), jnp.nan) for x in (trace, squared_norm)]
        return dict(zip(self.history_names(seen.problem), (*means, _ratio(*means)), strict=True))

    def after_epoch(self, own, seen, state, row):
        """Nothing summed."""
        return no_sums_of(3), 0


class GradientNoiseOfAll(GradientNoise):
    """The rule behind `noise_scale(parts="all")`: a batch's parts are all of its micro-batches."""

    reads = ("squared_norm", "micro_squared_norm", "batch_size", "micro_batch_size")
    parts = "all"

    def part(self, seen: Any):
        """The mean over them, and their harmonic mean."""
        return seen.micro_squared_norm, seen.micro_batch_size


class GradientNoiseOfExamples(GradientNoise):
    """The rule behind `noise_scale(parts="examples")`."""

    reads = ("squared_norm", "example_squared_norm", "batch_size")
    parts = "examples"

    def part(self, seen: Any):
        """The mean over the examples, and 1."""
        return seen.example_squared_norm, jnp.ones_like(seen.batch_size)


_RULES = {rule.parts: rule for rule in (GradientNoise, GradientNoiseOfAll, GradientNoiseOfExamples)}


def _ratio(trace: FloatScalar, squared_norm: FloatScalar) -> FloatScalar:
    is_above_0 = squared_norm > 0
    return jnp.where(is_above_0, trace / jnp.where(is_above_0, squared_norm, 1), jnp.nan)


def noise_scale(trainer: Trainer, parts: str = "last") -> Trainer:
    """The trainer that measures the gradient noise scale as it goes: how large a batch is worth its examples.

    The run itself is unchanged, bit for bit. The history gains `noise_trace`, the epoch's mean of the
    estimates of S = tr Σ, the variance of one example's gradient; `noise_squared_norm`, that of the estimates
    of `|G|**2`, of the exact gradient; and `noise_scale`, their ratio, NaN where the second is not above 0.
    Both estimates are unbiased at each update; a batch counts by its examples, so that a short last one,
    whose estimates are rougher, counts less. To average over epochs or seeds, take the means first and the
    ratio last, as `studies.noise_scale_over_training` does, which gives an interval too.

    `|G|**2 = (n Q - m q) / (n - m)` and `S = (q - Q) / (1 / m - 1 / n)` in a batch of n examples, for the
    squared norm Q of its gradient and that of a part of m examples, q, or the mean over several parts. A
    batch of one part tells nothing and is left out; an epoch of such has NaN.

    It is the noise scale of SGD: under a preconditioned optimizer, such as Adam, the batch size that is worth
    its examples depends on the noise of the preconditioned gradient, and this is that of the plain one. What
    the loss adds by chance, dropout say, is noise too. Batches drawn without replacement, as by default, show
    the noise of examples of which the training data are themselves a sample: `N / (N - 1)` times the data's.

    Args:
        trainer: with a `microbatch` of half the batch size or less, unless parts are examples.
        parts: of a batch. "last": its last micro-batch, which costs one pass over a gradient at each update.
            "all": all its micro-batches, a pass for each of them; of four, the estimates of `|G|**2` then
            have half the variance, those of S a fifth. "examples": each example, the sharpest; its gradients
            are computed anew, 64 at once, which takes several times the time of an epoch, and needs no
            micro-batches. Structure.

    Raises:
        ValueError: another word, parts that are micro-batches where there are none, or of a batch of "full",
            whose are not drawn but come in the data's order, a coupled problem, a trainer that measures it
            already; when the run begins, a loss that gives weights.

    Source: McCandlish et al. 2018, appendix A.1.

    Example:
        >>> import jax, jaxgd
        >>> problem = jaxgd.studies.noisy_quadratic([2.0, 0.5], [4.0, 1.0], start=[0.5, 2.0], examples=512)
        >>> trainer = jaxgd.trainer(problem, jaxgd.sgd(0.0), batch_size=64, microbatch=8)
        >>> history = jaxgd.fit(jaxgd.noise_scale(trainer), jax.random.key(0), epochs=2).history
        >>> sorted(set(history) - {"train_loss", "valid_loss", "grad_norm", "updates", "examples"})
        ['noise_scale', 'noise_squared_norm', 'noise_trace']
    """
    rule = _RULES[one_of("parts", parts, _RULES)]()
    if any(isinstance(other, GradientNoise) for other in trainer.rules):
        raise ValueError("trainer measures its noise scale already: noise_scale was called before")
    if parts == "examples":
        if trainer.problem.coupled.value:
            raise ValueError("problem must not be coupled: the gradient of one example is not defined")
        return with_rule(trainer, rule)
    if trainer.microbatch.value is None:
        raise ValueError(
            "noise_scale needs a trainer with a microbatch, such as a quarter of the batch size, got "
            'microbatch=None; or parts="examples", which takes longer'
        )
    if trainer.order_sampling == "sequential":
        raise ValueError(
            "the micro-batches of batch_size='full' are no samples for noise_scale: they come in the data's "
            f'order; give batch_size={trainer.problem.num_examples}, or parts="examples"'
        )
    return with_rule(trainer, rule)
