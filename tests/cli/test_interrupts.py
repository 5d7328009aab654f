"""Ctrl-C and SIGTERM at the commands: the exit code, what is kept, the line that says it."""

import os
import re
import shlex
import signal
import subprocess
import sys

import pytest

import jaxgd
from jaxgd import cli
from jaxgd.cli import jax_start
from jaxgd.landscape.networks import close_up
from jaxgd.studies.comparison import comparing
from jaxgd.sweeps import conducting

pytestmark = pytest.mark.usefixtures("default_handlers")

SPEC = """
data = "breast_cancer"
epochs = 2
[fixed]
optimizer = "sgd"
model = "linear"
[axes]
batch_size = ["full", 64]
learning_rate = [0.1, 0.2]
"""
SWEEP = ["sweep", "spec.toml", "--out", "out", "--exact", "--no-cache"]
COMPARE = (
    "compare breast_cancer --optimizers sgd,adam --batch-sizes 64 --learning-rates 0.1 --epochs 1 --seeds 1"
)
COMPARE = [*COMPARE.split(), "--out", "page.html", "--no-cache"]
CODES = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jax_start, "start_jax", lambda cache: None)
    (tmp_path / "spec.toml").write_text(SPEC)
    return tmp_path


def send_after(monkeypatch, count, number=signal.SIGINT):
    """A signal when so many calls of sweeps have ended runs."""
    take, calls = conducting.Shown.take, []

    def taken(shown, ended):
        take(shown, ended)
        calls.extend([] if ended.block is None else [ended])
        if len(calls) == count and ended.block is not None:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(conducting.Shown, "take", taken)


def last_line(capsys):
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(("number", "code"), CODES)
def test_a_sweep_keeps_what_has_ended(number, code, folder, monkeypatch, capsys):
    send_after(monkeypatch, 1, number)
    assert cli.main(SWEEP) == code
    result = jaxgd.load("out")
    assert 0 < result.num_ended < 4
    assert result.spec is not None
    assert result.spec["epochs"] == 2
    assert last_line(capsys) == (
        f"jaxgd sweep: interrupted: {result.num_ended} of 4 runs ended and are kept in out; to go on, type "
        f"the same again: {shlex.join(['jaxgd', *SWEEP])}"
    )
    assert cli.main(["report", "out"]) == 0
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert cli.main(SWEEP) == 0
    assert jaxgd.load("out").num_ended == 4


def test_a_sweep_of_which_nothing_has_ended(folder, monkeypatch, capsys):
    make = conducting.Engine.run

    def signalled(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return make(*arguments)

    monkeypatch.setattr(conducting.Engine, "run", signalled)
    assert cli.main(SWEEP) == 130
    assert last_line(capsys).startswith(
        "jaxgd sweep: interrupted: 0 of 4 runs ended and are kept in out; to go on"
    )
    assert jaxgd.load("out").num_ended == 0


def test_a_comparison_keeps_its_grid(folder, monkeypatch, capsys):
    (folder / "page-grid").mkdir()  # somebody else's
    send_after(monkeypatch, 1)
    assert cli.main(COMPARE) == 130
    assert jaxgd.load("page-grid-2").num_ended == 1
    assert last_line(capsys) == (
        "jaxgd compare: interrupted before there was anything to compare: 1 of 2 runs of the grid are saved, "
        "to look at them: jaxgd report page-grid-2"
    )
    assert not list((folder / "page-grid").iterdir())
    assert not (folder / "page.html").exists()
    assert cli.main(["report", "page-grid-2"]) == 0


def test_a_comparison_keeps_both_of_its_sweeps(folder, monkeypatch, capsys):
    send_after(monkeypatch, 3)
    assert cli.main(COMPARE) == 130
    assert jaxgd.load("page-grid").num_ended == 2
    assert 0 < jaxgd.load("page-fresh").num_ended < 10
    assert re.search(r"2 of 2 runs of the grid are saved, .* report page-grid", last_line(capsys))


@pytest.mark.parametrize(("number", "code"), CODES)
def test_a_comparison_keeps_its_rounds(number, code, folder, monkeypatch, capsys):
    monkeypatch.setattr(comparing, "time_cells", lambda *_: os.kill(os.getpid(), number))
    assert cli.main(COMPARE) == code
    out, err = capsys.readouterr()
    assert "! Interrupted: the clock is left out" in out
    assert err.splitlines()[-1] == (
        "jaxgd compare: interrupted: the page, page.html, is of what was complete, and says what is left out"
    )
    assert "Interrupted: the clock is left out" in (folder / "page.html").read_text()


def test_a_landscape_keeps_what_was_looked_at(folder, monkeypatch, capsys):
    (folder / "spec.toml").write_text(
        SPEC.replace("learning_rate = [0.1, 0.2]", "seed = [0]\n").replace(
            'optimizer = "sgd"', 'optimizer = "sgd"\nlearning_rate = 0.1'
        )
    )
    assert cli.main(SWEEP) == 0
    looked, calls = close_up._looked_at, []

    def second_is_interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return looked(*arguments)

    monkeypatch.setattr(close_up, "_looked_at", second_is_interrupted)
    assert cli.main(["landscape", "out", "--out", "page.html"]) == 143
    assert last_line(capsys) == (
        "jaxgd landscape: interrupted: the page, page.html, has what was measured until then"
    )
    assert "Interrupted: runs that were to be looked at are left out." in (folder / "page.html").read_text()


def test_a_landscape_of_which_there_is_nothing(folder, monkeypatch, capsys):
    from jaxgd.landscape.surfaces import survey

    monkeypatch.setattr(survey, "study_surface", lambda **_: os.kill(os.getpid(), signal.SIGINT))
    assert cli.main(["landscape", "sphere", "--out", "page.html"]) == 130
    assert last_line(capsys) == (
        "jaxgd landscape: interrupted before there was anything to draw: there is no page"
    )
    assert not (folder / "page.html").exists()


# A command whose programs compile for ever; while the first one does, signals come.
COMPILING = """
import signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in the foreground of a shell
from jaxgd.cli import command
from jaxgd.sweeps.engine import execution

once, main = threading.Semaphore(1), threading.main_thread().ident

def slow(*arguments):
    while once.acquire(blocking=False) or {more}:
        signal.pthread_kill(main, {number:d})
        time.sleep(0.02)
    time.sleep(1000)

execution.compiled = slow
sys.argv = ["jaxgd", *{arguments!r}]
command()
"""


def ended(arguments, number, more, cwd):
    """What a command gives that gets a signal, or more and more of them, while its programs compile."""
    code = COMPILING.format(arguments=arguments, number=number, more=more)
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=200)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), CODES)
@pytest.mark.parametrize("arguments", [SWEEP, COMPARE], ids=["sweep", "compare"])
def test_while_a_program_compiles(arguments, number, code, folder):
    found = ended(arguments, number, False, folder)
    assert (found.returncode, found.stdout) == (code, "")
    line = found.stderr.splitlines()[-1]
    assert re.match(rf"jaxgd {arguments[0]}: interrupted(: 0 of | before )", line)
    assert "Traceback" not in found.stderr
    assert set(os.listdir(folder)) - {"out"} == {"spec.toml"}


@pytest.mark.slow
def test_a_second_ctrl_c_leaves_at_once(folder):
    found = ended(SWEEP, signal.SIGINT, True, folder)
    assert found.returncode in (130, -signal.SIGINT)
    assert set(os.listdir(folder)) - {"out"} == {"spec.toml"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_when_all_is_done(number, tmp_path):
    """It changes nothing: what was asked for is there, and the exit code says so."""
    program = f"""
import atexit, os, sys
from jaxgd.cli import command
atexit.register(os.kill, os.getpid(), {number:d})
sys.argv = ["jaxgd", "--version"]
command()
"""
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
