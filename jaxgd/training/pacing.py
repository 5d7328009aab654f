"""How far a run goes before it is looked at: an epoch, so many updates, about so many seconds."""

import math
from typing import Any, NamedTuple

from jaxgd.arguments import as_integer
from jaxgd.training.trainers import Trainer


class Seconds(NamedTuple):
    """What `seconds` gives."""

    number: float

    def __repr__(self):
        return f"seconds({self.number:g})"


def seconds(number: float) -> Seconds:
    """The pace of about so many seconds between two states, for `iterate(..., every=seconds(0.5))`.

    Args:
        number: seconds, above 0.

    Raises:
        ValueError: a number that is not above 0 and finite.
    """
    value = number if isinstance(number, int | float) and not isinstance(number, bool) else math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"seconds must be a finite number above 0, got {number!r}")
    return Seconds(float(value))


class Pace:
    """Where on the clock of examples, from a run's start, it is looked at next."""

    def __init__(self, trainer: Trainer, epochs: int):
        self.trainer, self.epochs, self.num = trainer, epochs, trainer.problem.num_examples

    def end_after(self, begin: int) -> int:
        """Where a segment ends that begins here; beyond the run's end, at its end."""
        raise NotImplementedError

    def took(self, examples: int, seconds: float) -> None:
        """Note how long a segment took."""


class ByEpochs(Pace):
    """At the end of every epoch."""

    def end_after(self, begin: int) -> int:
        """The end of the epoch."""
        return (begin // self.num + 1) * self.num


class ByUpdates(Pace):
    """After so many updates."""

    def __init__(self, trainer: Trainer, epochs: int, updates: int):
        super().__init__(trainer, epochs)
        self.updates = updates

    def end_after(self, begin: int) -> int:
        """The end of the last of these updates.

        Of 20 examples in batches of 8, at 0, 8 and 16, four updates from 8 on are the two that this epoch has
        left and two of the next: they end at 20 + 16. An epoch's last update ends with the epoch.
        """
        left = self.updates
        for epoch in range(begin // self.num, self.epochs):
            trainer = self.trainer.at_epoch(epoch)
            size, last = int(trainer.examples_per_batch), int(trainer.epoch_end)
            used = max(begin - epoch * self.num, 0) // size * size  # a batch under way is one of them
            batches = -(-max(last - used, 0) // size)
            if left < batches:
                return epoch * self.num + used + left * size
            left -= batches
            if left == 0:
                return (epoch + 1) * self.num
        return self.epochs * self.num


class BySeconds(Pace):
    """About every so many seconds: one epoch first, for a guess."""

    def __init__(self, trainer: Trainer, epochs: int, seconds: float):
        super().__init__(trainer, epochs)
        self.seconds, self.width = seconds, self.num

    def end_after(self, begin: int) -> int:
        """As many examples on as should take the seconds."""
        return begin + self.width

    def took(self, examples: int, seconds: float) -> None:
        """Choose the width of the next segment: whole epochs where they are short enough.

        To half a second with epochs of 1000 examples: after an epoch in 0.1 s come 4 (5 would fit, but the
        width grows by 4 at most, since the first call is slower than the rest); after one in 2 s a quarter.
        """
        wanted = examples * min(4.0, self.seconds / max(seconds, 1e-3))
        self.width = int(wanted) // self.num * self.num if wanted >= self.num else max(1, int(wanted))


def pace_of(every: Any, trainer: Trainer, epochs: int) -> Pace:
    """The pace that a person asks for.

    Raises:
        ValueError, TypeError: neither "epoch" nor a number of updates nor `seconds`.
    """
    if isinstance(every, Seconds):
        return BySeconds(trainer, epochs, every.number)
    if isinstance(every, str) and every == "epoch":
        return ByEpochs(trainer, epochs)
    updates = as_integer(every)
    allowed = f'every must be "epoch", a number of updates, 1 or more, or jaxgd.seconds(0.5), got {every!r}'
    if updates is None:
        raise ValueError(allowed) if isinstance(every, str) else TypeError(allowed)
    if updates < 1:
        raise ValueError(allowed)
    return ByUpdates(trainer, epochs, updates)
