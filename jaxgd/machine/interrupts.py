"""Ctrl-C and SIGTERM, heard where work can be left without losing what is finished. No JAX."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM has ended a call, which kept what was finished.

    Attributes:
        result: what the call would have returned, of what was finished until then: a `Fit` of `train`, a
            `SweepResult` of `sweep`.
        signal: `signal.SIGINT` or `signal.SIGTERM`.
        earlier: results of the stages that a comparison had completed before the one under way, by name.
    """

    def __init__(self, result: Any, signal: signal.Signals, text: str = "interrupted"):
        super().__init__(text)
        self.result, self.signal, self.earlier = result, signal, {}


class Terminated(KeyboardInterrupt):
    """SIGTERM where nothing was kept: what KeyboardInterrupt is to Ctrl-C."""


class Interrupts:
    """Whether a signal has come.

    signal: the first one, None before.
    """

    def __init__(self):
        self.signal: signal.Signals | None = None

    def __bool__(self):
        return self.signal is not None

    def hear(self, number: int, frame: Any) -> None:
        """Note the first signal; the second one raises at once."""
        if self.signal is not None:
            raise_interrupted(number, frame)
        self.signal = signal.Signals(number)

    def interrupted(self, result: Any, text: str) -> Interrupted:
        """What to raise, when a signal has come."""
        assert self.signal is not None
        return Interrupted(result, self.signal, text)


# What the outermost `deferred_interrupts` gave, while it lasts.
_shared: list[Interrupts] = []


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[Interrupts]:
    """Ctrl-C and SIGTERM are noted in here instead of raised: in a call, they would lose what it took over.

    Whoever asks for it acts upon the first signal, between two calls, and raises `Interrupted`; the second
    signal raises at once. A signal that nobody has acted upon is sent again at the end. Within another such
    context it is the other's. Signals that are ignored, and a SIGTERM that somebody else handles, stay so;
    in any other thread than the main one, which alone gets signals, nothing is noted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Interrupts()
    elif _shared:
        yield _shared[0]
    else:
        interrupts = Interrupts()
        _shared.append(interrupts)
        try:
            with _handled(signal.SIGINT, interrupts.hear), _handled(signal.SIGTERM, interrupts.hear):
                yield interrupts
        finally:
            _shared.clear()
        if interrupts.signal is not None:
            signal.raise_signal(interrupts.signal)


@contextlib.contextmanager
def raised_sigterm() -> Iterator[None]:
    """SIGTERM raises `Terminated` in here, as Ctrl-C raises KeyboardInterrupt; in the main thread."""
    if threading.current_thread() is threading.main_thread():
        with _handled(signal.SIGTERM, raise_interrupted):
            yield
    else:
        yield


def ignore_signals() -> None:
    """Hear neither Ctrl-C nor SIGTERM any more: the process is done, and ends in a moment.

    Without it, one that comes while Python lets go of everything ends it with the signal's exit code, though
    everything was done.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def raise_interrupted(number: int, frame: Any) -> None:
    """A handler that raises KeyboardInterrupt or, at SIGTERM, `Terminated`."""
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def signal_of(error: KeyboardInterrupt) -> signal.Signals:
    """The signal behind what it has raised."""
    if isinstance(error, Interrupted):
        return error.signal
    return signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT


@contextlib.contextmanager
def _handled(number: signal.Signals, handler: Callable[[int, Any], None]) -> Iterator[None]:
    """A handler for a signal, unless it is ignored or, of SIGTERM, anybody else's."""
    before = signal.getsignal(number)
    is_free = before in (signal.SIG_DFL, raise_interrupted)
    if number == signal.SIGINT:
        is_free = before not in (signal.SIG_IGN, None)
    if not is_free:
        yield
        return
    signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
