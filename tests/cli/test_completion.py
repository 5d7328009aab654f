"""`jaxgd completion`: scripts that shells read, and what bash then offers."""

import shutil
import subprocess
import sys

import pytest

from jaxgd import cli


def script(capsys, shell):
    assert cli.main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_is_in_the_script(capsys, shell):
    text = script(capsys, shell)
    for word in ("sweep", "compare", "completion", "optimizers", "adadelta"):
        assert word in text
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=text, text=True, check=True)


OFFER = """
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_shtab_jaxgd
echo "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["sw"], "sweep"),
        (["sweep", "s.toml", "--par"], "--part"),
        (["compare", "--optimizers", "ada"], "adagrad adadelta adam adamw"),
        (["compare", "--task", ""], "classification regression"),
        (["report", "st"], "stored"),
        (["plan", "s"], "s.toml stored"),
    ],
)
def test_what_bash_offers(capsys, tmp_path, typed, offered):
    (tmp_path / "s.toml").touch()
    (tmp_path / "stored").mkdir()
    program = script(capsys, "bash") + OFFER
    bash = [shutil.which("bash"), "-c", program, "bash", "jaxgd", *typed]
    run = subprocess.run(bash, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert sorted(run.stdout.split()) == sorted(offered.split())


def test_without_its_package_a_line_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["completion", "bash"]) == 2
    error = 'jaxgd completion: error: the package shtab is missing: pip install "jaxgd[completion]"\n'
    assert capsys.readouterr().err == error
