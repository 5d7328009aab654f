"""BGD, mini-batches and SGD walking the same landscape on one clock: a regression with two weights."""

from typing import NamedTuple

import numpy as np

from jaxgd.arguments import seed_number, whole_number
from jaxgd.training.data import datasets

FEATURES = {"body mass index": 2, "serum triglycerides": 8}  # columns of diabetes
RATES = tuple(float(f"{10 ** (k / 4):.3g}") for k in range(-12, 5))


class Hike(NamedTuple):
    """One hiker's walk: weights [updates + 1, 2], and how many examples it had seen at each [updates + 1].

    batches: the rows of the examples that each update saw.
    """

    name: str
    learning_rate: float
    weights: np.ndarray
    seen: np.ndarray
    batches: list[np.ndarray]


class Hikers(NamedTuple):
    """Walks on the loss `mean of (inputs @ w - targets)**2 / 2` over the examples of a batch.

    inputs [n, 2] and targets [n] are standardised. best: the weights of least loss. start: where all begin.
    """

    walks: list[Hike]
    inputs: np.ndarray
    targets: np.ndarray
    best: np.ndarray
    start: np.ndarray
    rates_tried: int

    def loss(self, weights: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """The loss at weights [..., 2] over some of the examples, or all: [...]."""
        rows = np.arange(len(self.targets)) if rows is None else rows
        return np.mean((np.asarray(weights) @ self.inputs[rows].T - self.targets[rows]) ** 2, axis=-1) / 2


def hikers(batch_size: int = 32, epochs: int = 3, seed: int = 0) -> Hikers:
    """Three hikers from one start: batch gradient descent, mini-batches, and single examples (SGD).

    BGD has the map of the whole landscape and steps once it has read all of it. Mini-batches are a flashlight
    on a part of it, and SGD feels the slope under its feet: a single example, whose contours are parallel
    lines. All three see the same examples in the same order, on one clock of examples seen.

    The data are the disease progression of scikit-learn's diabetes against body mass index and serum
    triglycerides (its feature s5). Each hiker has the rate, of 17 from 0.001 to 10, with the lowest final
    loss over all examples, averaged over 10 orders.

    Args:
        batch_size: of the mini-batches, from 2.
        epochs: 1 or more.
        seed: of the orders.
    """
    train = datasets.load("diabetes").train
    inputs, targets = (np.asarray(x, np.float64) for x in train)
    inputs = inputs[:, list(FEATURES.values())]
    num = len(targets)
    epochs, batch_size = whole_number("epochs", epochs), whole_number("batch_size", batch_size, 2)
    seed = seed_number("seed", seed)
    if batch_size >= num:
        raise ValueError(f"batch_size is {batch_size}; below {num}, the number of examples, is needed")
    best = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    start = np.array([-0.6, -0.3])
    empty = Hikers([], inputs, targets, best, start, len(RATES))
    sizes = {"BGD": num, f"mini-batch {batch_size}": batch_size, "SGD": 1}
    walks = [_best_walk(empty, name, size, epochs, seed) for name, size in sizes.items()]
    return empty._replace(walks=walks)


def _best_walk(hikers: Hikers, name: str, size: int, epochs: int, seed: int) -> Hike:
    def final_loss(rate: float) -> float:
        ends = [_walk(hikers, name, size, epochs, rate, seed + k).weights[-1] for k in range(10)]
        loss = hikers.loss(np.array(ends)).mean()
        return loss if np.isfinite(loss) else np.inf

    with np.errstate(over="ignore", invalid="ignore"):
        rate = min(RATES, key=final_loss)
    return _walk(hikers, name, size, epochs, rate, seed)


def _walk(hikers: Hikers, name: str, size: int, epochs: int, rate: float, seed: int) -> Hike:
    rng, num = np.random.default_rng(seed), len(hikers.targets)
    batches = [
        order[first : first + size]
        for order in (rng.permutation(num) for _ in range(epochs))
        for first in range(0, num, size)
    ]
    weights = [hikers.start]
    for rows in batches:
        x, y, w = hikers.inputs[rows], hikers.targets[rows], weights[-1]
        weights.append(w - rate * x.T @ (x @ w - y) / len(rows))
    seen = np.cumsum([0, *map(len, batches)])
    return Hike(name, rate, np.array(weights), seen, batches)
