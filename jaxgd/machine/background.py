"""Work in threads that a person need not wait for: programs that compile."""

import atexit
import contextlib
import functools
import os
import queue
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any

from jaxgd.machine.interrupts import Interrupts

# How long a signal may wait to be heard.
_POLL_SECONDS = 0.2
# How long the interpreter's end may wait without a word.
_SILENT_SECONDS = 1.0
# What a shell gives to a process that Ctrl-C has ended.
_INTERRUPTED = 130
# Those whose threads may be at work: each thread holds its own.
_living: "weakref.WeakSet[Background]" = weakref.WeakSet()


class Background(Executor):
    """Threads as of a `ThreadPoolExecutor`, but the interpreter's end waits for them only until Ctrl-C.

    Nothing stops a thread in the middle of compiling a program, and without a wait the interpreter would end
    beneath it.
    """

    def __init__(self, num_threads: int):
        self._tasks: queue.SimpleQueue = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(num_threads)]
        _wait_at_end()
        _living.add(self)
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        """The future of a call in one of the threads."""
        future: Future = Future()
        self._tasks.put((future, functools.partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; those that have not begun are made or cancelled."""
        with contextlib.suppress(queue.Empty):
            while cancel_futures:
                if task := self._tasks.get_nowait():
                    task[0].cancel()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def is_at_work(self, until: float) -> bool:
        """Whether a call is not done at that time of `time.monotonic`; returns earlier if all are."""
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))
        return any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        """Make the calls, one after the other, until there is None."""
        while (task := self._tasks.get()) is not None:
            future, call = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)
            del task, future, call  # nothing is held while it waits


@functools.cache
def _wait_at_end() -> None:
    """Wait for the threads at the interpreter's end: before JAX, imported earlier, lets go of its devices."""
    atexit.register(_wait_or_leave)


def _wait_or_leave() -> None:
    try:
        for background in list(_living):
            background.shutdown(wait=False)
        until = time.monotonic() + _SILENT_SECONDS
        if any(background.is_at_work(until) for background in list(_living)):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                print("a program is still compiling, which cannot be stopped: Ctrl-C leaves", file=sys.stderr)  # noqa: T201
        for background in list(_living):
            background.shutdown()
    except KeyboardInterrupt:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(_INTERRUPTED)


def completed(futures: Sequence[Future], interrupts: Interrupts) -> Iterator[Future]:
    """The futures as they complete, until a signal comes."""
    waiting = set(futures)
    while waiting and not interrupts:
        done, waiting = wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
        for future in futures:
            if future in done and not interrupts:
                yield future
