"""A run on batches that come one after the other: what `train(..., batches=...)` does with them."""

import time
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxgd.aliases import Key
from jaxgd.arguments import whole_number_or_none
from jaxgd.machine.compiling import Checks
from jaxgd.pytrees import Static
from jaxgd.training.batching import Window
from jaxgd.training.feeding import UNKNOWN, Batches, Chunk, LoaderError
from jaxgd.training.fitting import (
    Fit,
    begun,
    check_first_loss,
    check_key,
    check_trainer,
    end_run,
    fresh_run,
    resumed,
)
from jaxgd.training.loop import earliest_stop
from jaxgd.training.problems.coupling import check_coupling
from jaxgd.training.problems.losses import BatchCheck
from jaxgd.training.segments import Extent, segment
from jaxgd.training.starts import check_start, goes_on, used_in_epoch
from jaxgd.training.states import DIVERGED, RUNNING, TrainState
from jaxgd.training.trainers import Trainer

# Reading a chunk while the device trains on the one before should take about so many seconds.
_SECONDS = 0.25
# Rows of the history of a run whose number of epochs is not known, at first.
_ROWS = 64
_EMPTY = Window(None, np.int32(0), np.int32(UNKNOWN), Static(None))


class BatchError(ValueError):
    """Batches ended a run: they raised an error, were no batches, or came to an end too early.

    Attributes:
        result: the `Fit` of what had been trained until then, which can be a `start`; None of nothing.
    """

    def __init__(self, text: str, result: Fit | None):
        super().__init__(text)
        self.result = result


class StreamedFit(Fit):
    """A run on batches that came one after the other: a `Fit`, and where their loader was.

    place: what the loader said of where it was after the last batch; None if it says nothing. A run that goes
    on from this begins there.
    """

    def __new__(cls, state: TrainState, history: Any, place: Any = None):
        """The run, with the loader's place."""
        made = super().__new__(cls, state, history)
        made.place = place
        return made

    def __getnewargs__(self):
        return (*self, self.place)


class Stream:
    """A run on its way through batches, its state and its history, from one chunk of them to the next.

    epochs, updates: how many there are to be, None for as many as come. used: batches of the pass under way
    that are behind it. left: how many batches are still to be used, None for as many as come.
    """

    def __init__(
        self, trainer: Trainer, key: Key, epochs: int | None, updates: int | None, source: Any, start: Any
    ):
        check_trainer(trainer)
        check_key(key)
        self.size = _checked_size(trainer)
        self.epochs, self.updates = _checked_length(epochs, updates)
        self.trainer, self.key = trainer.fed(_EMPTY), key
        self.epoch, self.used, self.place = 0, 0, None
        rows = _ROWS if self.epochs is None else self.epochs
        if start is not None:
            check_start(start, self.trainer, key, fresh_run(self.trainer, key, rows))
        is_same = start is not None and goes_on(start)
        if is_same:
            rows = max(rows, len(start[1]["examples"]))
            self.state, self.history = resumed(self.trainer, *start, rows)
            self.epoch, self.used = int(self.state.epoch), used_in_epoch(*start) // self.size
        else:
            self.state, self.history = begun(self.trainer, key, rows, start)
        self.left = None if self.updates is None else max(self.updates - int(self.state.updates), 0)
        drop, whole = trainer.remainder.value == "drop", bool(trainer.problem.coupled.value)
        self.batches = Batches(source, self.size, drop, whole, self.left, BatchCheck(trainer.problem))
        if self.batches.is_read_once and (self.epochs or 1) > 1:
            raise ValueError(
                f"batches is an iterator, which can be read once, and epochs is {self.epochs}: give what can "
                "be read anew for each epoch, such as a DataLoader or a list, or updates=... alone"
            )
        if is_same and not self.is_over:
            self._find(getattr(start, "place", None))

    def _find(self, place: Any) -> None:
        """Go on in the batches where the run was; say so if some have to be read again."""
        again = self.batches.go_to(self.epoch, self.used, place)
        if again:
            warnings.warn(
                f"batches does not say where it was: {again} of its batches have been read again",
                stacklevel=6,
            )

    @property
    def total(self) -> int | None:
        """How many batches the run has in all from here on, where that is known."""
        length = self.batches.length
        in_epochs = None
        if length is not None and self.epochs is not None:
            in_epochs = max(length * (self.epochs - self.epoch) - self.used, 0)
        known = [number for number in (in_epochs, self.left) if number is not None]
        return min(known, default=None)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be trained."""
        has_stopped = int(self.state.status) != RUNNING
        return has_stopped or self.left == 0 or (self.epochs is not None and self.epoch >= self.epochs)

    def go(self) -> Iterator[int]:
        """Train to the end; the number of batches used, each time that a chunk of them has been.

        The next chunk is read while the device works on the one before.

        Raises:
            BatchError: what the batches are, or what they raise.
            ValueError: the loss of an example depends on others, and the problem does not say so.
        """
        while not self.is_over:
            chunks = self.batches.read(self.epoch, self.used)
            chunk = self._next(chunks)
            if chunk is None:
                raise self._error(self._why_none())
            self._check_coupling(chunk)
            while chunk is not None:
                started, stop = time.perf_counter(), chunk.stop
                num_batches = -(-chunk.count // self.size)
                self.trainer = self.trainer.fed(chunk.window(UNKNOWN))
                ends = chunk.is_last or self._stops_before(chunk.first, stop)
                self._train(chunk.first, stop, ends)
                self.used, self.place = self.used + num_batches, chunk.place
                self.left = None if self.left is None else self.left - num_batches
                chunk = None if ends else self._next(chunks)
                jax.block_until_ready(self.state)
                self._pace(time.perf_counter() - started)
                if not ends and int(self.state.status) != RUNNING:
                    self._train(stop, stop, True)
                    ends, chunk = True, None
                if ends:
                    self.epoch, self.used = self.epoch + 1, 0
                yield num_batches
        self._end_rows()

    def _train(self, begin: int, stop: int, ends: bool) -> None:
        """Use the examples of the window from one to another, where the pass may end."""
        if self.epoch == len(self.history["updates"]):
            self.state, self.history = resumed(self.trainer, self.state, self.history, 2 * self.epoch)
        trainer = self.trainer
        if ends:
            trainer = trainer.fed(trainer.problem.train._replace(num=np.int32(stop)))
        extent = Extent(np.int32(begin), np.int32(1), np.int32(stop), np.bool_(True))
        self.state, self.history = segment(trainer, self.state, self.history, None, np.int32(0), extent)

    def _end_rows(self) -> None:
        """Rows without numbers for the epochs that a run has not come to which has stopped."""
        left = 0 if self.epochs is None else self.epochs - self.epoch
        if left > 0 and int(self.state.status) != RUNNING:
            trainer = self.trainer.fed(self.trainer.problem.train._replace(num=np.int32(1)))
            extent = Extent(np.int32(0), np.int32(left), np.int32(1), np.bool_(True))
            self.state, self.history = segment(trainer, self.state, self.history, None, np.int32(0), extent)
            self.epoch = self.epochs

    def _next(self, chunks: Iterator[Chunk]) -> Chunk | None:
        try:
            return next(chunks, None)
        except LoaderError as error:
            raise self._error(str(error)) from error.__cause__
        except ValueError as error:
            raise self._error(str(error)) from None

    def _why_none(self) -> str:
        """What there is to say of a pass without a batch."""
        if self.batches.is_read_once and int(self.state.updates):
            asked = f"{self.epochs} epochs" if self.updates is None else f"{self.updates} updates"
            return f"batches has ended, cannot be read again, and {asked} were asked for"
        whole = f" of {self.size} examples" if self.trainer.remainder.value == "drop" else ""
        return f"batches gave no batch{whole} in epoch {self.epoch + 1}"

    def _error(self, text: str) -> BatchError:
        updates = int(self.state.updates)
        if updates == 0:
            return BatchError(text, None)
        return BatchError(f"{text} ({updates} updates are .result of this exception)", self.end())

    def _stops_before(self, begin: int, stop: int) -> bool:
        """Whether a rule ends the run among these examples of the window."""
        if not self.trainer.rules:
            return False
        found = _earliest_stop(self.trainer, self.state, np.int32(begin), np.int32(stop))
        return int(found) < stop

    def _check_coupling(self, chunk: Chunk) -> None:
        problem = self.trainer.problem.fed(jax.tree.map(lambda rows: rows[: chunk.count], chunk.rows))
        check_coupling(problem, self.state.params, self.size)

    def _pace(self, seconds: float) -> None:
        """Choose how many batches the chunk after the next one has."""
        if seconds < _SECONDS / 4:
            self.batches.limit *= 4
        elif seconds > 2 * _SECONDS:
            self.batches.limit = max(1, self.batches.limit // 2)

    def end(self) -> StreamedFit:
        """What the run gives, at its end or wherever it is left."""
        state, history = end_run(self)
        rows = self.epochs if self.left != 0 else None
        rows = int(state.epoch) if rows is None else rows
        if rows < len(history["updates"]):
            history = jax.device_put({name: np.asarray(x)[:rows] for name, x in history.items()})
        return StreamedFit(state, history, self.place)


def check_stream(stream: Stream, checks: Checks) -> None:
    """Raise ValueError or FloatingPointError for a run at its end that `fit` would raise them for."""
    check_first_loss(stream.trainer, stream.state)
    if any(checks) and int(stream.state.status) == DIVERGED:
        raise FloatingPointError(
            f"the run diverged at update {int(stream.state.stopped_at)}: its loss, gradient or parameters "
            "are NaN or infinite"
        )


def _checked_size(trainer: Trainer) -> int:
    """The trainer's batch size; raises unless batches that come one after the other can be trained on."""
    if trainer.problem.train is not None:
        raise ValueError(
            "batches is for problems without training data, Problem(train=None) or classification(model, "
            "None, valid): this one has data of its own"
        )
    if trainer.sampling.value != "shuffle":
        raise ValueError(f"sampling is {trainer.sampling.value!r}, but batches come in an order of their own")
    return trainer.examples_per_batch


def _checked_length(epochs: Any, updates: Any) -> tuple[int | None, int | None]:
    if epochs is None and updates is None:
        raise ValueError("epochs or updates must be given: how long to train on batches")
    return whole_number_or_none("epochs", epochs), whole_number_or_none("updates", updates)


@jax.jit
def _earliest_stop(trainer, state, start, stop):
    return earliest_stop(trainer, state, start, stop)
