"""`train`: a run driven from the host in segments, with a progress bar, logs and Ctrl-C."""

import contextlib
import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgd.machine.switches import own_programs
from jaxgd.training.fitting import (
    Fit,
    begin_run,
    check_end,
    check_run,
    check_start,
    extent,
    finished,
    is_traced,
    orders_of,
    segment,
)
from jaxgd.training.progress import Progress
from jaxgd.training.states import RUNNING
from jaxgd.training.trainers import Trainer

# Seconds that a segment aims at: so long Ctrl-C and the progress bar wait.
_SEGMENT_SECONDS = 0.5

Log = str | Path | Callable[[dict[str, float | int]], Any]


def train(
    trainer: Trainer,
    key: jax.Array,
    epochs: int,
    progress: bool | Callable[[int, int, str], None] = True,
    log: Sequence[Log] = (),
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

    Raises:
        ValueError, TypeError: as in `fit`, or if traced.
        OSError: a log file that cannot be written, before anything runs.
    """
    epochs = check_run(trainer, key, epochs)
    if is_traced((trainer, key)):
        raise TypeError("train drives a run from the host: inside jit, vmap or grad use fit")
    num = trainer.problem.num_examples
    with contextlib.ExitStack() as stack:
        writers = [_writer(item, stack) for item in log]
        interrupted = stack.enter_context(_deferred_interrupt())
        shown = stack.enter_context(Progress(progress, epochs, epochs * num, "epochs"))
        checks = stack.enter_context(own_programs())
        state, history = begin_run(trainer, key, epochs)
        first, orders = orders_of(trainer, key, 0, epochs)
        begin, width, done = 0, num, 0
        while begin < epochs * num:
            ended = int(state.status) != RUNNING
            end = epochs * num if ended else min(begin + width, epochs * num)
            if begin // num >= first + len(orders):
                first, orders = orders_of(trainer, key, begin // num, epochs)
            end = min(end, (first + len(orders)) * num)
            started = time.perf_counter()
            state, history = segment(trainer, state, history, orders, first, extent(begin, end, num))
            jax.block_until_ready(state)
            width = _next_width(width, time.perf_counter() - started, num)
            rows = range(done, int(state.epoch))
            _write(writers, jax.device_get(history), rows)
            shown.advance(len(rows), end - begin)
            begin, done = end, int(state.epoch)
            if not any(checks):
                check_start(trainer, state)
            if interrupted:
                print(f"interrupted after {done} of {epochs} epochs", file=sys.stderr)  # noqa: T201
                break
        check_end(trainer, key, epochs, state, history, checks)
        return Fit(finished(trainer, state) if trainer.rules else state, history)


def _next_width(width: int, seconds: float, num: int) -> int:
    """Examples in the next segment: whole epochs where they are short enough."""
    wanted = width * min(4.0, _SEGMENT_SECONDS / max(seconds, 1e-3))
    return int(wanted) // num * num if wanted >= num else max(1, int(wanted))


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
