"""What a comparison will run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jaxgd.optim import optimizers as named
from jaxgd.specs.choices import Seeds
from jaxgd.specs.presets import Rates
from jaxgd.specs.sources import Source
from jaxgd.training import Trainer, trainer


class CellPlace(NamedTuple):
    """Where a cell is: an optimizer, and a batch size as it was given, a number or "full"."""

    optimizer: str
    batch_size: int | str


@dataclass(frozen=True)
class Experiment:
    """What a comparison will run, checked."""

    source: Source
    optimizers: tuple[str, ...]
    batch_sizes: tuple[int | str, ...]
    learning_rates: dict[str, Rates]
    epochs: int
    seeds: Seeds
    margin: float | None = None  # None: what the scores call for

    @property
    def score(self) -> str:
        """What decides: the accuracy where the problem has one, else the loss."""
        return "accuracy" if "accuracy" in self.source.problem.metrics else "loss"

    @property
    def num_train(self) -> int:
        """How many training examples there are: the batch size that figures call full."""
        return self.source.problem.num_examples

    @property
    def num_rates(self) -> int:
        """How many rates each optimizer tries."""
        return len(self.learning_rates[self.optimizers[0]])

    @property
    def places(self) -> Sequence[CellPlace]:
        """Every optimizer at every batch size."""
        return [CellPlace(name, size) for name in self.optimizers for size in self.batch_sizes]

    def index(self, place: CellPlace) -> tuple[int, int]:
        """Where a place is among the optimizers and the batch sizes."""
        return self.optimizers.index(place.optimizer), self.batch_sizes.index(place.batch_size)

    def trainer(self, place: CellPlace, learning_rate: float) -> Trainer:
        """The trainer of one run."""
        return trainer(self.source.problem, getattr(named, place.optimizer)(learning_rate), place.batch_size)
