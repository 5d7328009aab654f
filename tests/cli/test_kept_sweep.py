"""`jaxgd sweep` twice, wider, against what is there, and on a full disk; `jaxgd status` during and after."""

import os
import resource
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import jaxgd
from jaxgd import cli
from jaxgd.cli import jax_start
from jaxgd.sweeps import conducting
from jaxgd.sweeps.store.lock import only_writer

SPEC = """
data = "breast_cancer"
epochs = 2
fixed = { optimizer = "sgd", batch_size = "full", model = "linear" }
axes = { learning_rate = [0.1, 1e30], seed = [0, 1] }
"""
COMMAND = ["sweep", "spec.toml", "--out", "out"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a spec."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(jax_start, "start_jax", lambda cache: None)
    (tmp_path / "spec.toml").write_text(SPEC)
    return tmp_path


@pytest.fixture
def kept(folder):
    """That directory with the sweep in `out`."""
    assert cli.main(COMMAND) == 0
    return folder


def command(capsys, *arguments):
    """`(exit code, lines on standard output, lines on standard error)`."""
    capsys.readouterr()
    code = cli.main([*arguments])
    out, err = capsys.readouterr()
    return code, out.splitlines(), err.splitlines()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_command_again_trains_nothing(kept, capsys):
    before = contents(kept / "out")
    code, out, err = command(capsys, *COMMAND)
    assert (code, err) == (0, ["out has 4 of 4 runs: nothing is left to train"])
    assert out[0] == "SweepResult(learning_rate 2 x seed 2; 2 epochs; 2 completed, 2 diverged)"
    assert contents(kept / "out") == before


def test_more_seeds_are_trained_and_no_others(kept, capsys):
    whole = jaxgd.load("out")
    (kept / "spec.toml").write_text(SPEC.replace("seed = [0, 1]", "seed = [0, 1, 2]"))
    code, out, err = command(capsys, *COMMAND)
    assert (code, err[0]) == (0, "out has 4 of 6 runs: the others are trained")
    assert "3 completed, 3 diverged" in out[0]
    found = jaxgd.load("out").dataset.sel(seed=[0, 1])
    np.testing.assert_array_equal(found.train_loss, whole.dataset.train_loss)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("epochs = 2", "epochs = 3", "epochs was 2 there, and is 3 now (a schedule made for one length"),
        ('"sgd"', '"momentum"', "fixed of its spec was"),
        ("seed = [0, 1]", "seed = [0]", "axis 'seed' was [0, 1] there, and is [0] now"),
    ],
)
def test_what_contradicts_is_one_line_and_replaced_when_asked_for(kept, capsys, old, new, text):
    before = contents(kept / "out")
    (kept / "spec.toml").write_text(SPEC.replace(old, new))
    code, out, (line,) = command(capsys, *COMMAND)
    assert (code, out) == (2, [])
    assert line.startswith(f"jaxgd sweep: error: out holds another sweep: {text}")
    assert "--replace (replace=True) begins anew" in line
    assert contents(kept / "out") == before
    assert command(capsys, *COMMAND, "--replace")[0] == 0
    assert command(capsys, *COMMAND)[2][-1].endswith("nothing is left to train")


def test_two_at_once(kept, capsys):
    with only_writer(kept / "out"):
        code, out, (line,) = command(capsys, *COMMAND)
    owner = f"process {os.getpid()} on {socket.gethostname()}"
    assert (code, out) == (2, [])
    assert line == f"jaxgd sweep: error: out is in use: {owner} trains into it"
    assert command(capsys, *COMMAND)[0] == 0


def test_status_while_it_trains_and_after(folder, capsys, monkeypatch):
    take, seen = conducting.Shown.take, []

    def asking(shown, ended):
        seen.append(command(capsys, "status", "out", "--check"))
        take(shown, ended)

    monkeypatch.setattr(conducting.Shown, "take", asking)
    assert cli.main(COMMAND) == 0
    code, lines, err = seen[0]
    assert (code, lines[:2], lines[-1], err) == (
        0,
        ["0 of 4 runs have ended", "4 left"],
        "every file is what was saved",
        [],
    )
    code, lines, _ = command(capsys, "status", "out")
    assert (code, lines[0]) == (0, "4 of 4 runs have ended: 2 completed, 2 diverged")
    size = sum(path.stat().st_size for path in (folder / "out").iterdir())
    assert lines[1:] == [f"{size:,} bytes"]


def test_status_of_a_damaged_file_and_the_command_that_mends_it(kept, capsys):
    before = jaxgd.load("out").dataset
    (unit,) = (kept / "out").glob("unit-*")
    content = unit.read_bytes()
    unit.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    code, out, (line,) = command(capsys, "status", "out", "--check")
    assert code == 1
    assert out[-1] == f"out/{unit.name} is damaged: it does not hold what was saved"
    assert line.startswith(
        "jaxgd status: error: 1 damaged files in out: the `jaxgd sweep` that made it trains"
    )
    with pytest.warns(UserWarning, match=f"{unit.name} is damaged: .*: its 4 runs are trained again"):
        assert cli.main(COMMAND) == 0
    assert command(capsys, "status", "out", "--check")[0] == 0
    np.testing.assert_array_equal(jaxgd.load("out").dataset.train_loss, before.train_loss)


@pytest.mark.parametrize("name", ["nothing", "spec.toml", "a\0b"])
def test_status_of_no_sweep(folder, capsys, name):
    for options in ([], ["--check"]):
        code, out, err = command(capsys, "status", name, *options)
        assert (code, out, len(err)) == (2, [], 1)
        assert "no sweep was saved there" in err[0] or name != "nothing"


def test_links_of_somebody_else_are_not_followed(folder, capsys):
    """Neither those among the files of the lock nor those in place of data are written through."""
    (folder / "out").mkdir()
    (folder / "precious").write_text("mine")
    names = [".jaxgd-lock", ".jaxgd-owner", f"unit-{'0' * 16}.npz"]
    for name in names:
        (folder / "out" / name).symlink_to(folder / "precious")
    assert cli.main(COMMAND) == 0
    assert (folder / "precious").read_text() == "mine"
    assert not any((folder / "out" / name).is_symlink() for name in names[:2])
    before = jaxgd.load("out")
    (unit,) = set((folder / "out").glob("unit-*")) - {folder / "out" / names[2]}
    unit.rename(folder / "elsewhere")
    unit.symlink_to(folder / "elsewhere")
    content = (folder / "elsewhere").read_bytes()
    assert cli.main([*COMMAND, "--replace"]) == 0
    assert not unit.is_symlink()
    assert (folder / "elsewhere").read_bytes() == content
    np.testing.assert_array_equal(jaxgd.load("out").dataset.train_loss, before.dataset.train_loss)


@contextmanager
def largest_file(size):
    """No file may grow beyond so many bytes, as on a disk that is full."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_before_anything_is_trained(folder, capsys):
    with largest_file(500):
        code, out, (line,) = command(capsys, *COMMAND)
    assert (code, out) == (1, [])
    assert line == "jaxgd sweep: error: out cannot be written: File too large"
    assert [name for name in contents(folder / "out") if not name.startswith(".jaxgd-lock")] == []


FULL = """
import resource, signal
from jaxgd.cli import command

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))
command()
"""


@pytest.mark.slow
def test_a_disk_that_is_full_for_results(folder, capsys):
    """The manifest has room, its runs have not: the command still prints what it found."""
    (folder / "spec.toml").write_text(SPEC.replace('model = "linear"', 'model = "mlp", width = 100'))
    environment = {**os.environ, "PYTHONPATH": str(Path(jaxgd.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", FULL, *COMMAND, "--no-cache"], capture_output=True, text=True, env=environment
    )
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert done.stdout.startswith("SweepResult(")
    assert "Traceback" not in done.stderr
    assert lines[-1] == (
        "jaxgd sweep: error: out cannot be written: File too large; there is no other place for the result "
        "either: free some space, and run it again"
    )
    assert sum("the sweep goes on" in line for line in lines) == 1
    assert command(capsys, "status", "out", "--check")[1][0] == "0 of 4 runs have ended"


def test_a_device_is_no_folder(folder, capsys):
    code, out, err = command(capsys, "sweep", "spec.toml", "--out", "/dev/full")
    assert (code, out, len(err)) == (2, [], 1)
