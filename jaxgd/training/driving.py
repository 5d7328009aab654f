"""`train`: a run driven from the host in segments, with a progress bar, logs and Ctrl-C."""

import contextlib
import json
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgd.aliases import Key, WholeNumber
from jaxgd.machine.compiling import own_programs
from jaxgd.training.fitting import Fit, begin_run, check_run, drive, end_run, is_traced
from jaxgd.training.pacing import pace_of, seconds
from jaxgd.training.progress import Progress
from jaxgd.training.trainers import Trainer

# How long Ctrl-C and the progress bar wait.
_PACE = seconds(0.5)

Log = str | Path | Callable[[dict[str, float | int]], Any]


def train(
    trainer: Trainer,
    key: Key,
    epochs: WholeNumber,
    progress: bool | Callable[[int, int, str], None] = True,
    log: Sequence[Log] = (),
    start: Any = None,
) -> Fit:
    """The run that `fit` gives, bit for bit, driven in segments of about half a second.

    Ctrl-C ends it after the segment under way: what has been trained until then is returned, with a line on
    the standard error. A second Ctrl-C raises KeyboardInterrupt at once.

    Args:
        trainer: as `trainer(...)` builds it.
        key: a PRNG key.
        epochs: 1 or more.
        progress: show a bar once the run has taken two seconds; or a function of
            `(epochs done, epochs in all, text)`.
        log: files and functions. A file is overwritten and gets each epoch's row of the history as one line
            of JSON, NaN as null; a function is called with each row, `{"epoch": 1, "train_loss": ...}`,
            between segments.
        start: as in `fit`. Of a run that goes on, the rows from there on are logged.

    Raises:
        ValueError, TypeError: as in `fit`, or if traced.
        OSError: a log file that cannot be written, before anything runs.
    """
    epochs = check_run(trainer, key, epochs, start)
    if is_traced((trainer, key, start)):
        raise TypeError("train drives a run from the host: inside jit, vmap or grad use fit")
    with contextlib.ExitStack() as stack:
        writers = [_writer(item, stack) for item in log]
        interrupted = stack.enter_context(_deferred_interrupt())
        checks = stack.enter_context(own_programs())
        course = begin_run(trainer, key, epochs, start)
        done, gone = int(course.state.epoch), course.gone
        shown = stack.enter_context(Progress(progress, epochs - done, course.whole - gone, "epochs"))
        for _ in drive(course, pace_of(_PACE, trainer, epochs), checks):
            rows = range(done, int(course.state.epoch))
            _write(writers, jax.device_get(course.history), rows)
            shown.advance(len(rows), course.gone - gone)
            done, gone = rows.stop, course.gone
            if interrupted:
                print(f"interrupted after {done} of {epochs} epochs", file=sys.stderr)  # noqa: T201
                break
        return end_run(course)


def _writer(item: Log, stack: contextlib.ExitStack) -> Callable[[dict], Any]:
    if callable(item):
        return item
    file = stack.enter_context(open(item, "w"))  # noqa: SIM115

    def write(row):
        finite = {
            name: None if isinstance(x, float) and not math.isfinite(x) else x for name, x in row.items()
        }
        file.write(json.dumps(finite) + "\n")
        file.flush()

    return write


def _write(writers: Sequence[Callable], history: dict[str, np.ndarray], rows: range) -> None:
    for epoch in rows if writers else ():
        row = {"epoch": epoch + 1} | {name: column[epoch].item() for name, column in history.items()}
        for write in writers:
            write(row)


@contextlib.contextmanager
def _deferred_interrupt() -> Iterator[list[int]]:
    """A list that a first Ctrl-C fills: raised in a call, it would lose the state that the call took over."""
    received: list[int] = []

    def handle(number, frame):
        if received:
            raise KeyboardInterrupt
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)
