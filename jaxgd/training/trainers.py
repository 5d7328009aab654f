"""The trainer: a training run as a pytree of its problem, its optimizer and how batches are made."""

import dataclasses
from collections.abc import Sequence
from numbers import Integral
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.sharding import PartitionSpec

from jaxgd.aliases import WholeNumber
from jaxgd.arguments import one_of, shown, whole_number, whole_number_or_none
from jaxgd.html_text import card
from jaxgd.machine.meshes import axes_of, checked_spec, num_parts
from jaxgd.optim.combining import chain, check_direction, is_transform
from jaxgd.optim.hyperparameters import Parametric
from jaxgd.optim.transform import Transform
from jaxgd.pytrees import PyTree, Static, as_static
from jaxgd.tracing import explained
from jaxgd.training.batching import Window
from jaxgd.training.problems.lookahead import paired
from jaxgd.training.problems.problem import Problem
from jaxgd.training.rules.rule import READABLE, Rule


class OneOf(PyTree):
    """A batch size that is one of several known ones: each has its own loop, and a leaf says which runs.

    sizes: Python ints or "full", structure. index: which of them, an int that may be traced.
    """

    sizes: Any
    index: Any


class Trainer(PyTree):
    """A training run as a pytree: a problem, an optimizer, and how batches are made. Built by `trainer`."""

    problem: Problem
    optimizer: Transform
    batch_size: Any
    microbatch: Any
    sampling: Any
    remainder: Any
    rules: tuple[Rule, ...] = ()
    halt_on_divergence: Any = Static(True)
    grad_norm: Any = Static(True)
    batch_spec: Any = Static(None)

    def __repr__(self):
        rules = "".join(f", {rule!r}" for rule in self.rules or ())
        return f"trainer({self.problem!r}, {self.optimizer!r}, batch_size={self._size}{rules})"

    def _repr_html_(self) -> str:
        rows = [("problem", self.problem.sizes_text), ("optimizer", repr(self.optimizer))]
        rows += [("batch size", self._size)]
        rows += [(name, repr(getattr(self, name))) for name in ("microbatch", "sampling", "remainder")]
        return card("Trainer", [*rows, *(("rule", repr(rule)) for rule in self.rules or ())])

    def replace(self, **changes: Any) -> "Trainer":
        """A copy with some of its arguments changed, checked as in `trainer`."""
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain = {name: value.value if isinstance(value, Static) else value for name, value in given.items()}
        return trainer(**plain | changes)

    @property
    def _size(self) -> str:
        """The batch size as a person gave it."""
        size = self.batch_size.value if isinstance(self.batch_size, Static) else self.batch_size
        return str(size.sizes.value if isinstance(size, OneOf) else size)

    @property
    def has_schedule(self) -> bool:
        """Whether the batch size is a schedule."""
        return callable(getattr(self.batch_size, "value", self.batch_size))

    def at_epoch(self, epoch: Any) -> "Trainer":
        """The trainer with the batch size that its schedule has in an epoch, if there is a schedule."""
        if not self.has_schedule:
            return self
        num = self.problem.num_examples
        with explained("batch_size"):
            size = jnp.clip(jnp.round(self.batch_size(epoch)), 1, num).astype(jnp.int32)
        # As a float, a number of examples above 2**24 may have been rounded up.
        return dataclasses.replace(self, batch_size=jnp.minimum(size, num))

    @property
    def examples_per_batch(self) -> Any:
        """The batch size: a Python int where it is structure, else the leaf, or a schedule's first value."""
        if self.has_schedule:
            return self.at_epoch(0).batch_size
        if self.problem.train is None:
            return self.batch_size.value
        num = self.problem.num_examples
        if isinstance(self.batch_size, OneOf):
            sizes = [num if size == "full" else size for size in self.batch_size.sizes.value]
            return _at(sizes, self.batch_size.index)
        if not isinstance(self.batch_size, Static):
            return self.batch_size.astype(np.int32)  # as all counts of a run are
        return num if self.batch_size.value == "full" else self.batch_size.value

    @property
    def forms(self) -> list["Trainer"]:
        """The trainer with each of the batch sizes that it may have; itself, where that is no `OneOf`."""
        if not isinstance(self.batch_size, OneOf):
            return [self]
        return [dataclasses.replace(self, batch_size=Static(size)) for size in self.batch_size.sizes.value]

    @property
    def order_sampling(self) -> str:
        """How an epoch's order is made: a full batch needs none."""
        is_full = isinstance(self.batch_size, Static) and self.batch_size.value == "full"
        return "sequential" if is_full else self.sampling.value

    @property
    def has_batches_of_one(self) -> bool:
        """Whether gradients are those of one example."""
        return self.microbatch.value is None and self.examples_per_batch == 1

    def fed(self, window: Window) -> "Trainer":
        """The trainer of the batches in a window."""
        return dataclasses.replace(self, problem=self.problem.fed(window))

    @property
    def is_fed(self) -> bool:
        """Whether its data are a window on batches that come one after the other."""
        return isinstance(self.problem.train, Window)

    @property
    def has_even_batches(self) -> bool:
        """Whether no batch is known to be shorter than the others."""
        if self.remainder.value == "drop":
            return True
        return not self.is_fed and self.problem.num_examples % self.examples_per_batch == 0

    @property
    def epoch_end(self) -> Any:
        """The examples after which an epoch is over."""
        size, num = self.examples_per_batch, self.problem.num_examples
        return num // size * size if self.remainder.value == "drop" else num


def _at(values: list[int], index: Any) -> Any:
    """The value at an index that may be traced."""
    numbers = np.asarray(values, np.int32)
    return jnp.asarray(numbers)[index] if isinstance(index, Tracer) else numbers[index]


def trainer(
    problem: Problem,
    optimizer: optax.GradientTransformation,
    batch_size: Any,
    microbatch: WholeNumber | None = None,
    sampling: str = "shuffle",
    remainder: str = "keep",
    rules: Sequence[Rule] = (),
    halt_on_divergence: bool = True,
    grad_norm: bool = True,
    batch_spec: PartitionSpec | None = None,
) -> Trainer:
    """The trainer that runs `optimizer` on `problem` with batches of `batch_size` examples.

    Args:
        problem: initial parameters, loss and data.
        optimizer: a jaxgd or Optax transform, or an object with its two functions such as `optax.MultiSteps`.
            With `optax.lookahead` the parameters are an `optax.LookaheadParams`: gradients are those of the
            fast ones, validation and metrics those of the slow ones.
        batch_size: a Python int, or "full" for batch gradient descent: structure, the fastest program. Or an
            int array or tracer: a leaf, so that `jax.vmap` can run over batch sizes; it needs a `microbatch`.
            Or a schedule, called with the number of epochs ended (from 0), rounded and kept within 1 and the
            number of examples: the batch can grow where others let the rate decay. It needs one too.
        microbatch: examples whose gradient is computed at once; a batch is summed over its micro-batches, so
            that its memory does not grow with its size. None: the whole batch at once.
        sampling: "shuffle" (an epoch is every example once, in a new order each time) or "replacement" (an
            epoch is as many independent draws). A full batch is every example once either way.
        remainder: what happens to examples left over when `batch_size` does not divide their number: "keep"
            makes a smaller last batch, whose gradient is the mean over what is in it; "drop" leaves them out.
        rules: what `early_stopping` and its like add.
        halt_on_divergence: whether a run ends in the epoch in which a loss, a gradient or the parameters stop
            being finite, with the parameters with which that epoch began. False: it goes on, whatever comes.
        grad_norm: whether the history has `grad_norm`, the mean norm of the batch gradients, which takes a
            pass over the gradient at each update. False: it has none, and of a gradient nobody sees whether
            it is finite. A run then diverges at the first update whose loss is not finite, mostly that after
            the one whose gradient was not, and otherwise at the end of the epoch, where the parameters are
            looked at; it stops in the same epoch and goes back to where that began all the same.
        batch_spec: over which axes of a mesh the examples of each batch, or micro-batch, are split, such as
            `jax.sharding.PartitionSpec("data")`, for one that is too large for a device: structure. The run
            is then called within `jax.set_mesh(mesh)`; parameters and data are on every device, and gradients
            are summed over them. Both kinds of axes will do, Explicit and Auto. The devices along them must
            divide the batch size, or the `microbatch`. None: each device that there is does all of it.

    Raises:
        ValueError, TypeError: a batch size below 1 or above the number of training examples, an unknown word,
            micro-batches for a problem whose examples are coupled, a `batch_spec` of more than the examples.
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a jaxgd.Problem, got {type(problem).__name__}")
    if not is_transform(optimizer):
        raise TypeError(f"optimizer must be a gradient transformation, got {_no_transform(optimizer)}")
    check_direction(optimizer)
    micro = whole_number_or_none("microbatch", microbatch)
    problem, optimizer = paired(problem, optimizer)
    if problem.coupled.value:
        _check_coupled(batch_size, micro)
    if any(not isinstance(rule, Rule) for rule in rules):
        raise TypeError(f"rules must be jaxgd.Rule objects, got {rules!r}")
    for name in (name for rule in rules for name in rule.reads):
        one_of("entry of a rule's reads", name, READABLE)
    return Trainer(
        problem,
        optimizer if isinstance(optimizer, Transform) else chain(optimizer),
        _checked_batch_size(batch_size, None if problem.train is None else problem.num_examples, micro),
        Static(micro),
        Static(one_of("sampling", sampling, ("shuffle", "replacement"))),
        Static(one_of("remainder", remainder, ("keep", "drop"))),
        tuple(rules),
        Static(bool(halt_on_divergence)),
        Static(bool(grad_norm)),
        Static(checked_spec("batch_spec", batch_spec)),
    )


def _no_transform(given: Any) -> str:
    """What was given for an optimizer, and what to give instead."""
    if isinstance(given, type | FunctionType):
        return f"the function {given.__name__}: call it, as in {given.__name__}(0.01)"
    if isinstance(given, tuple | list):
        return f"{len(given)} in a {type(given).__name__}: jaxgd.chain(...) makes one of them"
    return shown(given)


def _check_coupled(batch_size: Any, microbatch: int | None) -> None:
    """Raise ValueError unless every batch is taken as a whole."""
    is_structure = isinstance(batch_size, str | Integral)
    if microbatch is not None or not is_structure:
        what = f"microbatch={microbatch}" if is_structure else "a batch_size that is an array or a schedule"
        raise ValueError(
            f"a coupled problem cannot be trained with {what}: an example's loss depends on its whole batch, "
            'so give a Python int or "full" as batch_size and no microbatch'
        )


def _checked_batch_size(batch_size: Any, num: int | None, microbatch: int | None) -> Any:
    if num is None:
        return Static(_size_of_fed(batch_size))
    allowed = f"a whole number from 1 to {num} (the number of training examples)"
    if isinstance(batch_size, str):
        if batch_size != "full":
            raise ValueError(f'batch_size must be {allowed} or "full", got {batch_size!r}')
        return Static("full")
    is_structure = isinstance(batch_size, Integral) and not isinstance(batch_size, bool)
    if callable(batch_size):
        if microbatch is None:
            raise ValueError(
                "a batch_size that is a schedule needs a static microbatch, such as microbatch=8"
            )
        return batch_size if isinstance(batch_size, Parametric) else as_static(batch_size)
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


def _size_of_fed(batch_size: Any) -> int:
    """The batch size of a problem whose data come batch by batch."""
    try:
        return whole_number("batch_size", batch_size)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{error}: the problem has no training data (train=None)") from None


def check_mesh(trainer: "Trainer") -> None:
    """Raise ValueError unless the mesh that is set splits the trainer's batches, if they are to be split."""
    spec, micro = trainer.batch_spec.value, trainer.microbatch.value
    if spec is None:
        return
    num = num_parts("batch_spec", spec)
    sizes = [micro] if micro is not None else [form.examples_per_batch for form in trainer.forms]
    for size in sizes:
        if size % num:
            name = "batch_size" if micro is None else "microbatch"
            axes = " and ".join(map(repr, axes_of(spec)))
            instead = (
                ", or with a microbatch that is"
                if micro is None and not trainer.problem.coupled.value
                else ""
            )
            raise ValueError(
                f"{name} must be a multiple of {num}, the devices along mesh axis {axes} over which "
                f"batch_spec splits it{instead}, got {size}"
            )


def with_rule(trainer: "Trainer", rule: Rule) -> "Trainer":
    """The trainer with one more rule, after those it has."""
    return trainer.replace(rules=(*trainer.rules, rule))


def measured_names(trainer: "Trainer") -> list[str]:
    """The names of what is measured after an epoch, in order: what a rule may watch."""
    problem = trainer.problem
    names = ["train_loss", "grad_norm"] if trainer.grad_norm.value else ["train_loss"]
    if problem.valid is not None:
        names += ["valid_loss", *(f"valid_{name}" for name in problem.metrics)]
    return names + [name for rule in trainer.rules for name in rule.history_names(problem)]
