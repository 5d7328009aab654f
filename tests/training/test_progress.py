"""How far work is: a bar in a terminal, one line in a notebook, a line at every tenth in a file."""

import io
import sys
import threading
from itertools import pairwise
from types import SimpleNamespace

import pytest

from jaxgd.training import progress
from jaxgd.training.progress import Progress

KERNEL, TERMINAL = SimpleNamespace(kernel=object()), SimpleNamespace()


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def run(monkeypatch):
    """run(stderr, shell, steps): what work of 40 runs writes there, within an IPython of that shell or none.

    A look at the clock is a second after the last one, and with `quick` a ten-thousandth.
    """

    def run(stderr, shell=None, steps=40, quick=False):
        clock = iter([0.0] + [10 + place * (1e-4 if quick else 1.0) for place in range(1000)])
        monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
        ipython = None if shell is None else SimpleNamespace(get_ipython=lambda: shell)
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setattr(sys, "stderr", stderr)
        with Progress(True, 40, 400, "runs") as shown:
            for step in range(steps):
                shown.advance(1, 10, 1 / (step + 1))
        return stderr.getvalue()

    return run


def test_a_file_gets_a_line_at_every_tenth(run, monkeypatch):
    monkeypatch.setattr(progress, "_FILE_SECONDS", 1e9)
    lines = run(io.StringIO()).splitlines()
    assert lines[0] == "1 of 40 runs, compiled"
    assert [int(line.split()[0]) for line in lines[1:]] == [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]


def test_a_file_gets_a_line_every_few_seconds_and_fewer_as_work_goes_on(monkeypatch):
    now, stderr = [0.0], io.StringIO()
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(sys, "stderr", stderr)
    with Progress(True, 10, 10_000, "runs") as shown:
        for second in range(3, 1003):  # of a first run that takes that long
            now[0] = float(second)
            shown.advance(0, 1)
            if second in (30, 102, 1002):
                now[0] += 0.5
                stderr.write("so far\n")
    early, later, last = (part.count("0 of 10 runs") for part in stderr.getvalue().split("so far\n")[:3])
    assert early == 5  # at 3, 9, 15, 21 and 27 seconds
    assert 8 <= later <= 12
    assert 20 <= last <= 25


def test_what_compiles_for_long_is_said_to(monkeypatch):
    stderr, wrote = io.StringIO(), threading.Event()
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stderr", stderr)
    drawn = progress.Progress._tell_of_compiling
    monkeypatch.setattr(Progress, "_tell_of_compiling", lambda self: (drawn(self), wrote.set()))
    with Progress(True, 40, 400, "runs", "on 1 of 2 cores") as shown:
        assert wrote.wait(60)
        assert stderr.getvalue() == "0 of 40 runs, compiling, on 1 of 2 cores\n"
        shown.advance(4, 40)
    assert stderr.getvalue().splitlines()[1] == "4 of 40 runs, compiled, on 1 of 2 cores"


def test_what_was_done_before_counts(run, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    told = []
    with Progress(lambda *so_far: told.append(so_far[:2]), 40, 100, "runs", done=30) as shown:
        shown.advance(2, 20)
    assert told == [(32, 40)]


@pytest.mark.parametrize("stderr", [io.StringIO, Terminal])
def test_a_notebook_has_one_line(run, stderr):
    text = run(stderr(), KERNEL)
    assert text.count("\n") == 1 == text.endswith("\n")
    first, *written = text.rstrip("\n").split("\r")
    assert first == ""
    assert [int(line.split()[0]) for line in written] == [*range(1, 41)]
    assert written[-1].startswith("40 of 40 runs, ")
    assert "lowest loss 0.025" in written[-1]
    # Nothing of a longer text is left beside a shorter one.
    assert all(len(later) >= len(line.rstrip()) for line, later in pairwise(written))


def test_many_short_steps_are_written_a_few_times(run):
    written = run(io.StringIO(), KERNEL, quick=True).split("\r")
    assert [line.split(",")[0] for line in written[1:]] == ["1 of 40 runs", "40 of 40 runs"]


def test_a_notebook_is_left_on_a_line_of_its_own_when_work_stops(run):
    assert run(io.StringIO(), KERNEL, steps=3).endswith(" lowest loss 0.3333\n")


def test_ipython_in_a_terminal_is_a_terminal(run):
    text = run(Terminal(), TERMINAL)
    assert "40/40" in text
    assert not run(io.StringIO(), TERMINAL).startswith("\r")


def test_a_terminal_without_rich_has_one_line(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    assert run(Terminal()).count("\n") == 1


def test_work_of_less_than_two_seconds_is_not_shown(monkeypatch):
    stderr = io.StringIO()
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: 0.0))
    monkeypatch.setattr(sys, "stderr", stderr)
    with Progress(True, 4, 40, "runs") as shown:
        shown.advance(4, 40)
    assert stderr.getvalue() == ""
