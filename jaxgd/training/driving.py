"""`train`: a run driven from the host in segments, with a progress bar, logs and Ctrl-C."""

import contextlib
from collections.abc import Callable, Sequence
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
from jaxgd.training.trainers import Trainer

# How long Ctrl-C and the progress bar wait.
_PACE = seconds(0.5)


def train(
    trainer: Trainer,
    key: Key,
    epochs: WholeNumber,
    progress: bool | Callable[[int, int, str], None] = True,
    log: Log | Sequence[Log] = (),
    start: Any = None,
) -> Fit:
    """The run that `fit` gives, bit for bit, driven in segments of about half a second.

    Ctrl-C or SIGTERM ends it after the segment under way and raises `jaxgd.Interrupted`, whose `result` is
    what has been trained until then. A second Ctrl-C raises KeyboardInterrupt at once.

    Args:
        trainer: as `trainer(...)` builds it.
        key: a PRNG key.
        epochs: 1 or more.
        progress: show a bar once the run has taken two seconds; or a function of
            `(epochs done, epochs in all, text)`.
        log: files, functions and `jaxgd.tensorboard(...)`, one or a list of them. Between segments they get
            the history's row of each epoch that has ended, `{"epoch": 1, "train_loss": ...}`: epochs count
            from 1, the other keys are those of the history. A file is overwritten and gets a row as one line
            of JSON, NaN and infinities as null. A log that raises gets no more rows, and a warning says so.
        start: as in `fit`. Of a run that goes on, the rows from there on are logged, and a file is appended
            to.

    Raises:
        ValueError, TypeError: as in `fit`, or if traced; what is no log, and a log file that holds something
            else than lines of JSON.
        OSError: a log file that cannot be written, before anything runs.
        Interrupted: a KeyboardInterrupt, with the `Fit` up to there.
    """
    epochs = check_run(trainer, key, epochs, start)
    if is_traced((trainer, key, start)):
        raise TypeError("train drives a run from the host: inside jit, vmap or grad use fit")
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


def _row(history: dict[str, np.ndarray], epoch: int) -> Row:
    """The history's row of an epoch, counted from 0."""
    return {"epoch": epoch + 1} | {name: column[epoch].item() for name, column in history.items()}
