"""What the command does where it cannot write, or where JAX cannot start."""

import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import jaxgd
from jaxgd import cli
from jaxgd.cli import jax_start, streams
from jaxgd.cli.inputs import InputError


def shell(*arguments, stdout=subprocess.PIPE, **environment):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "jaxgd", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2]), **environment},
    )


@pytest.mark.parametrize("command", ["list", "--help"])
def test_a_closed_pipe_is_silent(command):
    read, write = os.pipe()
    os.close(read)
    run = shell(command, stdout=write)
    os.close(write)
    assert run.returncode in (0, 141)
    assert run.stderr == ""


def test_a_warning_for_the_user_is_one_line(monkeypatch, capsys):
    told = []
    monkeypatch.setattr(warnings, "showwarning", lambda *given: told.append(given[0]))
    streams.show_warnings_plainly()
    warnings.showwarning("a log\n is lost", UserWarning, "somewhere.py", 12)
    warnings.showwarning("soon gone", DeprecationWarning, "elsewhere.py", 3)
    assert capsys.readouterr().err == "jaxgd: warning: a log is lost\n"
    assert told == ["soon gone"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        run = shell("list", stdout=full)
    assert (run.returncode, run.stderr.count("\n")) == (1, 1)
    assert run.stderr.startswith("jaxgd: error: ")
    assert "No space left" in run.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_sweep_whose_output_is_full_is_saved(tmp_path):
    spec = Path(__file__).parents[1] / "data" / "format_1.toml"
    with open("/dev/full", "w") as full:
        run = shell("sweep", str(spec), "--out", str(tmp_path / "out"), "--no-cache", stdout=full)
    errors = [line for line in run.stderr.splitlines() if "error" in line]
    assert (run.returncode, len(errors)) == (1, 1)
    assert errors[0].startswith("jaxgd: error: ")
    assert "No space left" in errors[0]
    assert "Traceback" not in run.stderr
    assert jaxgd.load(tmp_path / "out").dataset.status.size == 12


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("utf-8", "97.8 % ± 0.4 ≈ λ – 2 × 3"),
        ("cp1252", "97.8 % ± 0.4 ~ ? – 2 × 3"),
        ("ascii", "97.8 % +- 0.4 ~ ? - 2 x 3"),
    ],
)
def test_an_encoding_without_the_signs(monkeypatch, encoding, written):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    streams.replace_missing_signs()
    print("97.8 % ± 0.4 ≈ λ – 2 × 3", end="")
    streams.flush()
    assert raw.getvalue().decode(encoding) == written


def test_a_name_that_is_no_text_is_shown(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    streams.replace_missing_signs()
    print("caf\udce9.html", end="")
    streams.flush()
    assert raw.getvalue() == b"caf?.html"


def test_the_choice_of_a_person_stays(monkeypatch):
    own = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="surrogateescape")
    monkeypatch.setattr(sys, "stdout", own)
    streams.replace_missing_signs()
    assert own.errors == "surrogateescape"


def test_a_platform_that_is_not_there(tmp_path):
    run = shell("landscape", "sphere", "--out", str(tmp_path / "page.html"), JAX_PLATFORMS="abacus")
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1), run.stderr
    assert (
        "jaxgd landscape: error: JAX_PLATFORMS asks for 'abacus', which cannot be had; there is: "
        in run.stderr
    )
    assert "cpu" in run.stderr


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("no device\nand more"), "JAX cannot start: no device"),
        (MemoryError(), "JAX cannot start: MemoryError"),
        (AssertionError(), "JAX cannot start: AssertionError"),
    ],
)
def test_whatever_keeps_jax_from_starting_is_one_line(monkeypatch, error, text):
    def fails():
        raise error

    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setattr(jax_start, "_set_up_devices", fails)
    with pytest.raises(InputError, match=f"^{text}$"):
        jax_start.start_jax(cache=False)
