"""What is trained: initial parameters, a loss per example, and data."""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.aliases import ModelState, Split
from jaxgd.arguments import one_of, shown
from jaxgd.fingerprints.contents import sha256_of
from jaxgd.pytrees import PyTree, Static, as_function
from jaxgd.training.batching import Window
from jaxgd.training.models.model import asking

SPLITS = ("train", "valid", "test")


class Problem(PyTree):
    """Initial parameters, a loss per example, and data.

    Attributes:
        init: `init(key) -> params`.
        loss: `loss(params, batch) -> losses [batch]`, one loss per example, not their mean. Or
            `(losses, weights)`, both `[batch]`: the update is then the gradient of `sum(w * l) / sum(w)` over
            the batch, weights taken as constants. If it has a parameter named `keys` it is called with one
            PRNG key per example, `keys=[batch]`, in training and with `keys=None` in evaluation.
        train: a pytree of arrays with the examples on axis 0. None where they come batch by batch:
            `jaxgd.train(..., batches=...)` alone trains such a problem.
        valid: such a tree for validation after every epoch, or None.
        test: such a tree for `evaluate`, or None. Training never reads it.
        metrics: `{name: f(params, batch) -> [batch]}`, averaged over the validation examples and reported as
            `valid_<name>`.
        model_state: a tree of arrays that training changes but no gradient does, such as the running averages
            of batch normalisation; None without. The loss, and any metric that has a parameter of that name,
            is then called with `model_state=...`, and the loss returns `(losses, new_model_state)` or
            `(losses, weights, new_model_state)`. Evaluation drops the new one.
        coupled: True where an example's loss depends on the others in its batch, or on its place in it (batch
            normalisation, contrastive losses): such a batch is never split or padded. None, not said: the
            first run looks at a few examples and refuses such a loss. False: it is trained all the same.
        augment: `augment(batch, key) -> batch`, applied to every training batch (to each micro-batch, where
            there are any) before the loss, or None.

    A loss that has a parameter named `training` is told whether it is called in training or in evaluation.

    Raises:
        ValueError: arrays of different lengths, no examples, a NaN or infinity (with its row), a metric named
            "loss".
        TypeError: a function that is none.
    """

    init: Any
    loss: Any
    train: Split
    valid: Split = None
    test: Split = None
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    model_state: ModelState = None
    coupled: Any = Static(None)
    augment: Any = None

    def __post_init__(self):
        functions = {"init": self.init, "loss": self.loss}
        functions |= {f"metric {name!r}": metric for name, metric in self.metrics.items()}
        functions |= {} if self.augment is None else {"augment": self.augment}
        for name, function in functions.items():
            if not callable(function):
                raise TypeError(f"{name} must be a function, got {function!r}")
        if "loss" in self.metrics:
            raise ValueError("metrics must not be named 'loss': valid_loss is the mean of the problem's loss")
        object.__setattr__(self, "init", as_function(self.init))
        object.__setattr__(self, "loss", asking(self.loss))
        object.__setattr__(self, "metrics", {k: asking(v) for k, v in self.metrics.items()})
        if self.augment is not None:
            object.__setattr__(self, "augment", as_function(self.augment))
        if not isinstance(self.coupled, Static):
            coupled = None if self.coupled is None else bool(self.coupled)
            object.__setattr__(self, "coupled", Static(coupled))
        if self.model_state is not None and not self.loss.asks("model_state"):
            raise TypeError("loss must have a parameter model_state: the problem has such a state")
        object.__setattr__(self, "model_state", jax.tree.map(_on_device, self.model_state))
        for split in SPLITS:
            object.__setattr__(self, split, _checked(split, getattr(self, split)))

    def replace(self, **changes: Any) -> "Problem":
        """A copy with some fields changed, checked. Of a new loss it is not known that it couples none."""
        if "loss" in changes and not self.coupled.value:
            changes = {"coupled": None} | changes
        return super().replace(**changes)

    @property
    def num_examples(self) -> int:
        """The number of training examples."""
        if self.train is None:
            raise ValueError(
                "the problem has no training data (train=None): jaxgd.train(trainer, key, epochs=..., "
                "batches=...) alone trains it, on batches that are read as they are needed"
            )
        return num_examples(self.train)

    @property
    def data_sha256(self) -> str:
        """The SHA-256 of its three splits: shapes, dtypes and contents."""
        return sha256_of([self.train, self.valid, self.test])

    def fed(self, window: Window) -> "Problem":
        """The problem with this window on batches as its training data, not looked at again."""
        made = copy.copy(self)
        object.__setattr__(made, "train", window)
        return made

    def split(self, name: str) -> Split:
        """The data of a split by its name."""
        data = getattr(self, one_of("split", name, SPLITS))
        if data is None:
            raise ValueError(f"the problem has no {name} data")
        return data

    def __repr__(self):
        return f"Problem({self.sizes_text}, loss={self.loss!r}, metrics={list(self.metrics)})"

    @property
    def sizes_text(self) -> str:
        """Such as "train=1078, valid=359, test=360 examples"."""
        # Inside of a tree map there may be anything, or nothing, in the place of the arrays.
        shapes = {s: [jnp.shape(x) for x in jax.tree.leaves(getattr(self, s))[:1]] for s in SPLITS}
        counts = ", ".join(f"{split}={shape[0][0]}" for split, shape in shapes.items() if shape and shape[0])
        return f"{counts or 'no'} examples"


def given_state(problem: Problem, model_state: ModelState, name: str = "model_state") -> ModelState:
    """The model state that was given beside parameters, by the argument of this name.

    Raises:
        ValueError: none was given, and the problem has one: its own, from before training, would be silently
            wrong for the parameters of a run.
    """
    if model_state is None and problem.model_state is not None:
        raise ValueError(
            f"{name} is missing: the parameters of this problem have a model state, such as the running "
            f"averages of batch norm: give {name}=fit.state.model_state, of a sweep result.model_state(...), "
            "or problem.model_state for the initial one"
        )
    return model_state


def num_examples(data: Split) -> Any:
    """The length of axis 0 of a tree of arrays, an int; of a window's data as its `num` says."""
    if isinstance(data, Window):
        return data.num
    return jnp.shape(jax.tree.leaves(data)[0])[0]


def with_checked_lengths(split: str, data: Any) -> Any:
    """The tree with lengths checked, leaves as given."""
    lengths = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(data):
        name = split + jax.tree_util.keystr(path)
        if np.ndim(leaf) == 0:
            in_list = "" if len(path) < 2 else "; numpy.asarray(...) makes a list of numbers one"
            raise ValueError(f"{name} must be an array with examples on axis 0, got {shown(leaf)}{in_list}")
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind not in "biufcV":
            raise ValueError(f"{name} must be an array of numbers, got dtype {leaf.dtype}")
        lengths[name] = np.shape(leaf)[0]
    if len(set(lengths.values())) > 1:
        raise ValueError(
            "inputs and labels differ in length: " + ", ".join(f"{k} has {n}" for k, n in lengths.items())
        )
    if not lengths or not all(lengths.values()):
        raise ValueError(f"{split} is empty: at least one example is needed")
    return data


def _checked(split: str, data: Any) -> Any:
    """The tree as JAX arrays, refused if an example holds a NaN, an infinity or too large a number."""
    if data is None:
        return None
    leaves, structure = jax.tree_util.tree_flatten_with_path(with_checked_lengths(split, data))
    return structure.unflatten(_as_finite(split + jax.tree_util.keystr(path), leaf) for path, leaf in leaves)


def _on_device(leaf: Any) -> jax.Array:
    """The leaf as a JAX array, a copy of one of NumPy's: moved by intent, which `jax_transfer_guard` asks."""
    return jnp.asarray(leaf) if isinstance(leaf, jax.Array) else jax.device_put(np.array(leaf))


def _as_finite(name: str, leaf: Any) -> jax.Array:
    with np.errstate(over="ignore"):
        array = _on_device(leaf)
    if isinstance(leaf, Tracer) or jnp.issubdtype(array.dtype, jax.dtypes.extended):
        return array
    check_numbers(name, np.asarray(leaf), np.asarray(array))
    return array


def are_kept(given: np.ndarray, kept: np.ndarray) -> bool:
    """Whether all numbers are surely finite, and those that were given: a quick look."""
    if not jnp.issubdtype(kept.dtype, jnp.inexact):
        return kept.dtype == given.dtype
    flat = kept.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(flat, flat)))  # infinite only where a number is, or is huge


def check_numbers(name: str, given: np.ndarray, kept: np.ndarray) -> None:
    """Raise ValueError if a number is not finite, or too large for the dtype that JAX gives it."""
    if are_kept(given, kept):
        return
    if jnp.issubdtype(kept.dtype, jnp.inexact):
        good, what = np.isfinite(kept), "a NaN or an infinity"
    else:
        good, what = kept == given, "a number too large"
    rows = good.reshape(len(kept), -1).all(axis=1)
    if not rows.all():
        raise ValueError(f"{name} has {what} (as {kept.dtype}), first in row {int(np.argmin(rows))}")
