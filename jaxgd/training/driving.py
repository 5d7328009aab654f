"""`train`: a run driven from the host in segments, with a progress bar, logs and Ctrl-C."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from jaxgd.aliases import Key, WholeNumber
from jaxgd.logs.delivery import Delivery, Log
from jaxgd.logs.destination import Row
from jaxgd.machine.compiling import own_programs
from jaxgd.machine.interrupts import deferred_interrupts
from jaxgd.training.fitting import Fit, begin_run, check_run, drive, end_run, is_traced
from jaxgd.training.pacing import pace_of, seconds
from jaxgd.training.progress import Progress
from jaxgd.training.starts import goes_on
from jaxgd.training.streamed import Stream, check_stream
from jaxgd.training.trainers import Trainer

# How long Ctrl-C and the progress bar wait.
_PACE = seconds(0.5)


def train(
    trainer: Trainer,
    key: Key,
    epochs: WholeNumber | None = None,
    progress: bool | Callable[[int, int, str], None] = True,
    log: Log | Sequence[Log] = (),
    start: Any = None,
    *,
    updates: WholeNumber | None = None,
    batches: Iterable | None = None,
) -> Fit:
    """The run that `fit` gives, bit for bit, driven in segments of about half a second.

    With `batches` the training data come from there, batch by batch, and need not fit into memory. One pass
    is an epoch; if the batches come in the order of those of `fit`, the numbers are those of `fit`, bit for
    bit. What comes next is read while the device works.

    Ctrl-C or SIGTERM ends it after the segment under way and raises `jaxgd.Interrupted`, whose `result` is
    what has been trained until then. A second Ctrl-C raises KeyboardInterrupt at once.

    Args:
        trainer: as `trainer(...)` builds it.
        key: a PRNG key.
        epochs: 1 or more. With `batches` it may be None, where `updates` ends the run.
        progress: show a bar once the run has taken two seconds; or a function of
            `(epochs done, epochs in all, text)`; with `batches`, of updates wherever their number is known:
            from `updates`, or from the loader's length.
        log: files, functions and `jaxgd.tensorboard(...)`, one or a list of them. Between segments they get
            the history's row of each epoch that has ended, `{"epoch": 1, "train_loss": ...}`: epochs count
            from 1, the other keys are those of the history. A file is overwritten and gets a row as one line
            of JSON, NaN and infinities as null. A log that raises gets no more rows, and a warning says so.
        start: as in `fit`. Of a run that goes on, the rows from there on are logged, and a file is appended
            to. With `batches` a `Fit` has a `place`, what the loader said of where it was, and the run goes
            on from there; a loader that says nothing is read again up to there, and a warning says so.
        updates: with `batches`, how many updates the run has at most; its last epoch may be a part of a pass.
        batches: what gives the batches of a problem with `train=None`: a list, a generator, a Grain or torch
            `DataLoader`, batches of a Hugging Face data set, `jaxgd.datasets.batches(...)`. Trees of arrays,
            or of what NumPy makes arrays of; each has the trainer's `batch_size`, but for the last of a pass,
            which may have fewer examples. A loader's `set_epoch` is called before each pass.

    Raises:
        ValueError, TypeError: as in `fit`, or if traced; what is no log, and a log file that holds something
            else than lines of JSON.
        BatchError: a ValueError, with the `Fit` up to there as `.result`: batches that raise, differ in shape
            or dtype from the first, are empty, or end before so many epochs or updates.
        OSError: a log file that cannot be written, before anything runs.
        Interrupted: a KeyboardInterrupt, with the `Fit` up to there.
    """
    if is_traced((trainer, key, start)):
        raise TypeError("train drives a run from the host: inside jit, vmap or grad use fit")
    if batches is not None:
        return _train_on(batches, trainer, key, epochs, updates, progress, log, start)
    if updates is not None:
        raise ValueError(
            "updates is for batches=...: a run on a problem's own data ends after so many updates by "
            "jaxgd.budget(trainer, updates=...)"
        )
    epochs = check_run(trainer, key, epochs, start)
    overwrite = start is None or not goes_on(start)
    with contextlib.ExitStack() as stack:
        logs = stack.enter_context(Delivery(log, overwrite))
        interrupts = stack.enter_context(deferred_interrupts())
        checks = stack.enter_context(own_programs())
        course = begin_run(trainer, key, epochs, start)
        done, gone = int(course.state.epoch), course.gone
        shown = stack.enter_context(Progress(progress, epochs - done, course.whole - gone, "epochs"))
        for _ in drive(course, pace_of(_PACE, trainer, epochs), checks):
            rows = range(done, int(course.state.epoch))
            if logs:
                history = jax.device_get(course.history)
                logs.write([_row(history, epoch) for epoch in rows])
            shown.advance(len(rows), course.gone - gone)
            done, gone = rows.stop, course.gone
            if interrupts:
                text = f"interrupted after {done} of {epochs} epochs, which are .result of this exception"
                raise interrupts.interrupted(end_run(course), text)
        return end_run(course)


def _train_on(batches, trainer, key, epochs, updates, progress, log, start) -> Fit:
    """`train` on batches."""
    overwrite = start is None or not goes_on(start)
    with contextlib.ExitStack() as stack:
        interrupts = stack.enter_context(deferred_interrupts())
        checks = stack.enter_context(own_programs())
        stream = Stream(trainer, key, epochs, updates, batches, start)
        logs = stack.enter_context(Delivery(log, overwrite))
        total, size, done = stream.total, stream.size, stream.epoch
        by_updates = total is not None
        if by_updates:
            shown = Progress(progress, total, total * size, "updates")
        else:
            shown = Progress(progress, (stream.epochs or done + 1) - done, None, "epochs")
        stack.enter_context(shown)
        for num_batches in stream.go():
            rows = range(done, stream.epoch)
            if logs and rows:
                history = jax.device_get(stream.history)
                logs.write([_row(history, epoch) for epoch in rows])
            shown.advance(num_batches if by_updates else len(rows), num_batches * size)
            done = rows.stop
            if interrupts and not stream.is_over:
                made = int(stream.state.updates)
                text = f"interrupted after {made} updates, which are .result of this exception"
                raise interrupts.interrupted(stream.end(), text)
        check_stream(stream, checks)
        return stream.end()


def _row(history: dict[str, np.ndarray], epoch: int) -> Row:
    """The history's row of an epoch, counted from 0."""
    return {"epoch": epoch + 1} | {name: column[epoch].item() for name, column in history.items()}
