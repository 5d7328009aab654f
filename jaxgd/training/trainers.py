"""The trainer: a training run as a pytree of its problem, its optimizer and how batches are made."""

from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from jaxgd.optim.combining import chain
from jaxgd.optim.hyperparameters import unknown
from jaxgd.optim.static import Static
from jaxgd.optim.transform import Transform
from jaxgd.training.problem import Problem
from jaxgd.training.pytrees import PyTree


class Trainer(PyTree):
    """A training run as a pytree: a problem, an optimizer, and how batches are made. Built by `trainer`."""

    problem: Problem
    optimizer: Transform
    batch_size: Any
    microbatch: Any
    sampling: Any
    remainder: Any

    def __repr__(self):
        size = self.batch_size.value if isinstance(self.batch_size, Static) else self.batch_size
        return f"trainer({self.problem!r}, {self.optimizer!r}, batch_size={size})"

    def replace(self, **changes: Any) -> "Trainer":
        """A copy with some of its arguments changed, checked as in `trainer`."""
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain = {name: value.value if isinstance(value, Static) else value for name, value in given.items()}
        return trainer(**plain | changes)

    @property
    def examples_per_batch(self) -> Any:
        """The batch size as a number: a Python int where it is structure, else the leaf."""
        if not isinstance(self.batch_size, Static):
            return self.batch_size
        size = self.batch_size.value
        return self.problem.num_examples if size == "full" else size

    @property
    def order_sampling(self) -> str:
        """How an epoch's order is made: a full batch needs none."""
        is_full = isinstance(self.batch_size, Static) and self.batch_size.value == "full"
        return "sequential" if is_full else self.sampling.value

    @property
    def epoch_end(self) -> Any:
        """The examples after which an epoch is over."""
        size, num = self.examples_per_batch, self.problem.num_examples
        return num // size * size if self.remainder.value == "drop" else num


def trainer(
    problem: Problem,
    optimizer: optax.GradientTransformation,
    batch_size: Any,
    microbatch: int | None = None,
    sampling: str = "shuffle",
    remainder: str = "keep",
) -> Trainer:
    """The trainer that runs `optimizer` on `problem` with batches of `batch_size` examples.

    Args:
        problem: initial parameters, loss and data.
        optimizer: a jaxgd or Optax transform.
        batch_size: a Python int, or "full" for batch gradient descent: structure, the fastest program. Or an
            int array or tracer: a leaf, so that `jax.vmap` can run over batch sizes; it needs a `microbatch`.
        microbatch: examples whose gradient is computed at once; a batch is summed over its micro-batches, so
            that its memory does not grow with its size. None: the whole batch at once.
        sampling: "shuffle" (an epoch is every example once, in a new order each time) or "replacement" (an
            epoch is as many independent draws). A full batch is every example once either way.
        remainder: what happens to examples left over when `batch_size` does not divide their number: "keep"
            makes a smaller last batch, whose gradient is the mean over what is in it; "drop" leaves them out.

    Raises:
        ValueError, TypeError: a batch size below 1 or above the number of training examples, an unknown word.
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a jaxgd.Problem, got {type(problem).__name__}")
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(f"optimizer must be a gradient transformation, got {optimizer!r}")
    for name, given, known in (
        ("sampling", sampling, ("shuffle", "replacement")),
        ("remainder", remainder, ("keep", "drop")),
    ):
        if given not in known:
            raise ValueError(unknown(name, given, known))
    is_whole = isinstance(microbatch, Integral) and not isinstance(microbatch, bool)
    if microbatch is not None and (not is_whole or microbatch < 1):
        raise ValueError(f"microbatch must be a whole number, 1 or more, or None, got {microbatch}")
    return Trainer(
        problem,
        optimizer if isinstance(optimizer, Transform) else chain(optimizer),
        _checked_batch_size(batch_size, problem.num_examples, microbatch),
        Static(None if microbatch is None else int(microbatch)),
        Static(sampling),
        Static(remainder),
    )


def _checked_batch_size(batch_size: Any, num: int, microbatch: int | None) -> Any:
    allowed = f"a whole number from 1 to {num} (the number of training examples)"
    if isinstance(batch_size, str):
        if batch_size != "full":
            raise ValueError(f'batch_size must be {allowed} or "full", got {batch_size!r}')
        return Static("full")
    is_structure = isinstance(batch_size, Integral) and not isinstance(batch_size, bool)
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
