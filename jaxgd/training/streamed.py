"""A run on batches that come one after the other: what `train(..., batches=...)` does with them."""

import time
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.aliases import Key
from jaxgd.arguments import whole_number_or_none
from jaxgd.machine.compiling import Checks
from jaxgd.pytrees import Static
from jaxgd.training.batching import Window
from jaxgd.training.feeding import SECONDS, UNKNOWN, Batches, Bookmark, Chunk, LoaderError
from jaxgd.training.fitting import (
    Fit,
    begun,
    check_first_loss,
    check_key,
    check_trainer,
    ended,
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
    """A run on batches that came one after the other: a `Fit`, and its place in them.

    place: how many passes and, of the next one, batches are behind it, and what the loader said of where it
    was. A run that goes on from this goes on from there.
    """

    place: Bookmark

    def __new__(cls, state: TrainState, history: Any, place: Bookmark):
        """The run, with its place."""
        made = super().__new__(cls, state, history)
        object.__setattr__(made, "place", place)
        return made

    def __getnewargs__(self):
        return (*self, self.place)


class Stream:
    """A run on its way through batches, its state and its history, from one chunk of them to the next.

    epochs, updates: how many there are to be, None for as many as come. place: where it is in its batches.
    epoch, position: which epoch it is in, and how many examples of that are behind it. left: how many batches
    are still to be used, None for as many as come.
    """

    def __init__(self, trainer: Trainer, key: Key, epochs: Any, updates: Any, source: Any, start: Any):
        check_trainer(trainer)
        check_key(key)
        self.size = _checked_size(trainer)
        self.epochs, self.updates = _checked_length(epochs, updates)
        self.trainer = trainer.fed(_EMPTY)
        rows = self.epochs or _ROWS
        if start is not None:
            check_start(start, self.trainer, key, fresh_run(self.trainer, key, rows))
        self.place, self.epoch, self.position = Bookmark(0, 0), 0, 0
        if goes_on(start):
            before: Any = start
            self.epoch, self.position = int(before[0].epoch), used_in_epoch(*before)
            self.place = getattr(before, "place", Bookmark(self.epoch, self.position // self.size))
            rows = max(rows, len(before[1]["examples"]))
            self.state, self.history = resumed(self.trainer, *before, rows)
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
        if not self.is_over and (again := self.batches.go_to(self.place)):
            warnings.warn(
                f"batches does not say where it was: {again} of its batches have been read again",
                stacklevel=5,
            )

    @property
    def total(self) -> int | None:
        """How many batches the run has in all from here on, where that is known."""
        length, known = self.batches.length, []
        if length is not None and self.epochs is not None:
            known.append(max(length * (self.epochs - self.epoch) - self.place.batches, 0))
        if self.left is not None:
            known.append(self.left)
        return min(known, default=None)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be trained."""
        return self.has_stopped or not self.wants_more

    @property
    def has_stopped(self) -> bool:
        """Whether the run has stopped by itself; waits for the device, which then reads no chunk any more."""
        jax.block_until_ready(self.state.updates)  # no update leaves it as it was
        return int(self.state.status) != RUNNING

    @property
    def wants_more(self) -> bool:
        """Whether there are to be more batches, unless it stops."""
        return self.left != 0 and (self.epochs is None or self.epoch < self.epochs)

    def go(self) -> Iterator[int]:
        """Train to the end; the number of batches used, each time that a chunk of them has been.

        The next chunk is read, and waits for the device, while that works on the one before.

        Raises:
            BatchError: what the batches are, or what they raise.
            ValueError: the loss of an example depends on others, and the problem does not say so.
        """
        if self.has_stopped:
            return
        while self.wants_more:
            chunks = self.batches.read(self.place)
            chunk = self._first(chunks)
            if self.has_stopped:
                break
            if chunk is None:
                raise self._error(self._why_none())
            self._check_coupling(chunk)
            before, started = None, time.perf_counter()
            while chunk is not None:
                num_batches, stop = chunk.batches, self.position + chunk.examples
                self.trainer = self.trainer.fed(chunk.window(self.position))
                ends = chunk.is_last or self._stops_before(stop)
                self._train(stop, ends)
                self.place = chunk.place
                self.left = None if self.left is None else self.left - num_batches
                # It waits for the chunk before, whose memory the next one takes.
                has_stopped = before is not None and int(jax.block_until_ready(before)[0]) != RUNNING
                if has_stopped and not ends:
                    self._train(stop, True)
                    ends = True
                before = _copied((self.state.status, self.state.updates))
                self._pace(time.perf_counter() - started)
                started = time.perf_counter()
                chunk = None if ends else self._next(chunks)
                yield num_batches
        self._end_rows()

    def _train(self, stop: int, ends: bool) -> None:
        """Use the examples of the window up to there, where the epoch may end."""
        if self.epoch == len(self.history["updates"]):
            self.state, self.history = resumed(self.trainer, self.state, self.history, 2 * self.epoch)
        trainer = self._ending(stop) if ends else self.trainer
        extent = Extent(np.int32(self.position), np.int32(1), np.int32(stop), np.bool_(True))
        self.state, self.history = segment(trainer, self.state, self.history, None, np.int32(0), extent)
        self.epoch, self.position = (self.epoch + 1, 0) if ends else (self.epoch, stop)

    def _ending(self, num: int) -> Trainer:
        """The trainer in an epoch that is known to end after so many examples."""
        window: Window = self.trainer.problem.train
        return self.trainer.fed(window._replace(num=np.int32(num)))

    def _end_rows(self) -> None:
        """Rows without numbers for the epochs that a run has not come to which has stopped."""
        left = 0 if self.epochs is None else self.epochs - self.epoch
        if left > 0 and int(self.state.status) != RUNNING:
            extent = Extent(np.int32(0), np.int32(left), np.int32(1), np.bool_(True))
            trainer = self._ending(1)
            self.state, self.history = segment(trainer, self.state, self.history, None, np.int32(0), extent)
            self.epoch += left

    def _first(self, chunks: Iterator[Chunk]) -> Chunk | None:
        """The first chunk of a pass; none where a run that has stopped needs none."""
        try:
            return next(chunks, None)
        except (LoaderError, ValueError) as error:
            if self.has_stopped:
                return None
            raise self._error(str(error)) from error.__cause__

    def _next(self, chunks: Iterator[Chunk]) -> Chunk | None:
        try:
            return next(chunks, None)
        except (LoaderError, ValueError) as error:
            raise self._error(str(error)) from error.__cause__

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

    def _stops_before(self, stop: int) -> bool:
        """Whether a rule ends the run among these examples of the window."""
        if not self.trainer.rules:
            return False
        found = _earliest_stop(self.trainer, self.state, np.int32(self.position), np.int32(stop))
        return int(found) < stop

    def _check_coupling(self, chunk: Chunk) -> None:
        if self.position or self.epoch:
            return
        num = min(self.size, chunk.examples)
        problem = self.trainer.problem.fed(jax.tree.map(lambda rows: rows[:num], chunk.rows))
        check_coupling(problem, self.state.params, self.size)

    def _pace(self, seconds: float) -> None:
        """Choose how many batches the chunk after the next one has."""
        if seconds < SECONDS / 4:
            self.batches.limit *= 4
        elif seconds > 2 * SECONDS:
            self.batches.limit = max(1, self.batches.limit // 2)

    def end(self) -> StreamedFit:
        """What the run gives, at its end or wherever it is left."""
        state, history = ended(self.trainer, self.state), self.history
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
def _copied(tree):
    """A copy of what the next segment takes over."""
    return jax.tree.map(jnp.copy, tree)


@jax.jit
def _earliest_stop(trainer, state, start, stop):
    return earliest_stop(trainer, state, start, stop)
