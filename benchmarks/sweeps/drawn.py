"""Random specs of bounded work: sweeps that nobody tuned for."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HIDDEN: dict[str, tuple[tuple[int, ...], ...]] = {
    "linear": ((),),
    "mlp": ((16,), (64,), (256,), (48, 48), (128, 64)),
    "deep": ((64,) * 4, (96,) * 4),
    "conv": ((4,), (8,), (16,)),  # feature maps of the one convolution
}
EXAMPLES = (256, 512, 1024)
VALIDATION = 500
BATCH_SIZES = (1, 4, 16, 32, 64, 128, 256, 512, 1024)
RATES, SEEDS, EPOCHS = (1, 2, 4, 8, 20, 50), (1, 2, 4, 10, 20), (1, 3, 5, 10, 20)
# The learning rates that each is swept over, from the lowest to the highest.
OPTIMIZERS = {
    "sgd": (1e-3, 1e-1),
    "momentum": (1e-3, 1e-1),
    "nesterov": (1e-3, 1e-1),
    "adagrad": (1e-3, 1e-1),
    "adam": (1e-4, 1e-2),
    "rmsprop": (1e-4, 1e-2),
}
MOMENTUM = 0.9
SIDE, CLASSES, WINDOW, STRIDE = 8, 10, 3, 2
# Seconds of a core that a spec may be: neither start-up alone nor minutes. For an update and for a flop.
SECONDS = 0.15, 2.5
UPDATE, FLOP = 4e-6, 3e-11


class Spec(NamedTuple):
    """One sweep: every batch size with every rate and seed.

    hidden: units of each hidden layer, or the feature maps of a convolution. examples: to train on.
    """

    family: str
    hidden: tuple[int, ...]
    optimizer: str
    examples: int
    batch_sizes: tuple[int, ...]
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    epochs: int

    @property
    def num_lanes(self) -> int:
        """Runs in all."""
        return len(self.batch_sizes) * len(self.rates) * len(self.seeds)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the weights, the inputs' first."""
        if self.family == "conv":
            maps, places = self.hidden[0], (SIDE // STRIDE) ** 2
            return [(WINDOW, WINDOW, 1, maps), (places * maps, CLASSES)]
        return list(itertools.pairwise((SIDE**2, *self.hidden, CLASSES)))

    @property
    def seconds(self) -> float:
        """Seconds of a core, roughly: an example's gradient takes 6 flops for each weight that it meets."""
        weights = [float(np.prod(shape)) for shape in self.shapes]
        if self.family == "conv":
            weights[0] *= (SIDE // STRIDE) ** 2
        runs = len(self.rates) * len(self.seeds) * self.epochs
        updates = runs * sum(self.examples / size for size in self.batch_sizes)
        return updates * UPDATE + runs * len(self.batch_sizes) * self.examples * 6 * sum(weights) * FLOP

    def __str__(self):
        model, sizes = "-".join([self.family, *map(str, self.hidden)]), ", ".join(map(str, self.batch_sizes))
        return (
            f"{model}, {self.optimizer}, {self.examples} examples, B {sizes}, "
            f"{len(self.rates)} rates, {len(self.seeds)} seeds, {self.epochs} epochs"
        )


def draw(seed: int) -> Iterator[Spec]:
    """Specs without end, always the same for a seed."""
    generator = np.random.default_rng(seed)
    while True:
        spec = _draw(generator)
        if SECONDS[0] < spec.seconds < SECONDS[1]:
            yield spec


def _draw(generator: np.random.Generator) -> Spec:
    """A spec of any size."""

    def one(values):
        return values[generator.integers(len(values))]

    family, examples, optimizer = one(list(HIDDEN)), one(EXAMPLES), one(list(OPTIMIZERS))
    possible = [size for size in BATCH_SIZES if size <= examples]
    sizes = generator.choice(possible, generator.integers(1, 4), replace=False)
    rates = np.geomspace(*OPTIMIZERS[optimizer], one(RATES))
    return Spec(
        family,
        one(HIDDEN[family]),
        optimizer,
        examples,
        tuple(sorted(map(int, sizes))),
        tuple(round(float(rate), 8) for rate in rates),
        tuple(range(one(SEEDS))),
        one(EPOCHS),
    )


def as_text(spec: Spec) -> str:
    """The spec as one argument of a command."""
    return json.dumps(spec._asdict())


def from_text(text: str) -> Spec:
    """The spec that `as_text` wrote."""
    parts = json.loads(text)
    return Spec(**{key: tuple(part) if isinstance(part, list) else part for key, part in parts.items()})


class Digits(NamedTuple):
    """What every side trains on and validates with, `(float32[n, 64], int32[n])` each."""

    train: tuple[Any, Any]
    valid: tuple[Any, Any]


def write_digits(path: Path) -> None:
    """Write the digits in an order of their own, so that no side has to load scikit-learn."""
    import jaxgd

    splits = jaxgd.datasets.load("digits")
    inputs, labels = (np.concatenate(parts) for parts in zip(*splits, strict=True))
    np.savez(path, inputs=inputs.astype(np.float32), labels=labels.astype(np.int32))


def read_digits(path: Path, spec: Spec) -> Digits:
    """The first examples to train on, the last to validate with."""
    with np.load(path) as arrays:
        inputs, labels = arrays["inputs"], arrays["labels"]
    train, valid = slice(spec.examples), slice(-VALIDATION, None)
    return Digits((inputs[train], labels[train]), (inputs[valid], labels[valid]))
