"""Signals that are noted, acted upon, sent again; and threads that compile."""

import os
import signal
import subprocess
import sys
import threading

import pytest

import jaxgd
from jaxgd.machine.background import Background, completed
from jaxgd.machine.interrupts import (
    Interrupts,
    Terminated,
    deferred_interrupts,
    raise_interrupted,
    raised_sigterm,
    signal_of,
)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


pytestmark = pytest.mark.usefixtures("default_handlers")


def send(number):
    os.kill(os.getpid(), number)


def deferring(*numbers, act=True):
    """What acts upon the first of these signals, after the last of them."""
    with deferred_interrupts() as interrupts:
        assert not interrupts
        for number in numbers:
            send(number)
        assert interrupts
        if act:
            raise interrupts.interrupted([1], "so far")


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_is_noted(number):
    with pytest.raises(jaxgd.Interrupted, match="so far") as raised:
        deferring(number)
    assert (raised.value.result, raised.value.signal) == ([1], number)
    assert signal_of(raised.value) is number
    assert isinstance(raised.value, KeyboardInterrupt)


def test_the_second_raises_at_once():
    with pytest.raises(KeyboardInterrupt) as raised:
        deferring(signal.SIGTERM, signal.SIGINT)
    assert not isinstance(raised.value, jaxgd.Interrupted)
    assert signal_of(raised.value) is signal.SIGINT
    with pytest.raises(Terminated) as raised:
        deferring(signal.SIGINT, signal.SIGTERM)
    assert signal_of(raised.value) is signal.SIGTERM


def test_what_nobody_acted_upon_is_sent_again():
    with pytest.raises(KeyboardInterrupt):
        deferring(signal.SIGINT, act=False)
    with pytest.raises(Terminated), raised_sigterm():
        deferring(signal.SIGTERM, act=False)


def test_the_inner_one_is_the_outer_one():
    def nested():
        with deferred_interrupts() as outer:
            with deferred_interrupts() as inner:
                send(signal.SIGINT)
            assert inner is outer  # the inner one has not sent it again
            raise outer.interrupted(None, "acted upon")

    with pytest.raises(jaxgd.Interrupted, match="acted upon"):
        nested()


def test_what_is_ignored_or_handled_stays_so():
    heard = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: heard.append("TERM"))
    with deferred_interrupts() as interrupts, raised_sigterm():
        for number in SIGNALS:
            send(number)
        assert not interrupts
    assert heard == ["TERM"]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_sigterm_of_a_command_is_deferred_too():
    with raised_sigterm():
        with pytest.raises(jaxgd.Interrupted, match="so far"):
            deferring(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is raise_interrupted
        with pytest.raises(Terminated):
            send(signal.SIGTERM)


def test_in_another_thread_nothing_is_installed():
    found = []

    def work():
        with deferred_interrupts() as interrupts, raised_sigterm():
            found.extend([*map(signal.getsignal, SIGNALS), bool(interrupts)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler, signal.SIG_DFL, False]


def test_calls_in_the_background():
    background = Background(2)
    futures = [background.submit(divmod, 7, number) for number in (2, 3, 0)]
    assert set(completed(futures, Interrupts())) == set(futures)
    assert [future.result() for future in futures[:2]] == [(3, 1), (2, 1)]
    with pytest.raises(ZeroDivisionError):
        futures[2].result()
    background.shutdown()


def test_a_signal_ends_the_wait_and_cancels_what_has_not_begun():
    begun, gate = threading.Event(), threading.Event()
    background, interrupts = Background(1), Interrupts()

    def call():
        begun.set()
        gate.wait()

    futures = [background.submit(call) for _ in range(3)]
    begun.wait()
    interrupts.hear(signal.SIGINT, None)
    assert list(completed(futures, interrupts)) == []
    background.shutdown(wait=False, cancel_futures=True)
    assert [future.cancelled() for future in futures] == [False, True, True]
    gate.set()
    background.shutdown()
    assert futures[0].done()


LEAVING = """
import signal, sys, threading, time
from jaxgd.machine.background import Background

def work():
    main = threading.main_thread().ident
    while sys._current_frames()[main].f_code.co_name not in ("_wait_for_tstate_lock", "join"):
        time.sleep(0.01)
    print("waited for", flush=True)
    time.sleep({seconds})

signal.signal(signal.SIGINT, signal.default_int_handler)
background = Background(1)
background.submit(work)
background.shutdown(wait=False)
"""


def leaving(seconds):
    code = LEAVING.format(seconds=seconds)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code], **streams, text=True)


def test_the_interpreter_waits_for_what_is_under_way():
    process = leaving(0.5)
    assert process.communicate(timeout=60) == ("waited for\n", "")
    assert process.returncode == 0


def test_until_ctrl_c():
    process = leaving(100)
    assert process.stdout is not None
    assert process.stdout.readline() == "waited for\n"
    assert process.stderr is not None
    said = "a program is still compiling, which cannot be stopped: Ctrl-C leaves\n"
    assert process.stderr.readline() == said
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
