"""`--part` and `--executor`: what they take, and what they say of anything else."""

import sys

import pytest

from jaxgd import cli
from jaxgd.cli.inputs import InputError
from jaxgd.cli.parts import executor_at, part_of

SLURM = {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_MAX": "10"}


@pytest.mark.parametrize(("text", "part"), [("1/1", (1, 1)), ("3/8", (3, 8)), ("8/8", (8, 8))])
def test_a_part(text, part):
    assert part_of(text, {}) == part


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/", "/4", "a/b", "-1/4", "1/4/2", "1.0/4", ""])
def test_no_part(text):
    with pytest.raises(InputError, match=r"--part is .*: K/N with K from 1 to N is needed"):
        part_of(text, {})


def test_the_part_of_a_task_of_an_array():
    assert part_of("slurm", SLURM) == (3, 8)
    assert part_of("slurm", SLURM | {"SLURM_ARRAY_TASK_STEP": "1", "SLURM_ARRAY_TASK_COUNT": "8"}) == (3, 8)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"SLURM_ARRAY_TASK_ID": ""}, "SLURM_ARRAY_TASK_ID is not set"),
        ({"SLURM_ARRAY_TASK_MAX": "x"}, "SLURM_ARRAY_TASK_MAX is not set"),
        ({"SLURM_ARRAY_TASK_STEP": "2"}, "without gaps, got tasks 3 to 10 in steps of 2"),
        ({"SLURM_ARRAY_TASK_COUNT": "4"}, "without gaps, got tasks 3 to 10 in steps of 1, 4 of them"),
    ],
)
def test_no_array(changes, match):
    with pytest.raises(InputError, match=match):
        part_of("slurm", SLURM | changes)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--part", "1/2", "--replace"], "--replace would take away what others write to out"),
        (["--executor", "dask://host:1", "--replace"], "--replace would take away"),
        (["--part", "1/2", "--executor", "dask://host:1"], "--part or --executor, not both"),
        (["--part", "0/2"], "K from 1 to N is needed"),
    ],
)
def test_options_that_do_not_go_together(options, match, capsys):
    assert cli.main(["sweep", "spec.toml", "--out", "out", *options]) == 2
    assert match in capsys.readouterr().err


def test_no_executor():
    with executor_at(None) as executor:
        assert executor is None


@pytest.mark.parametrize("address", ["", "dask", "dask://", "dask://host", "ray://host:1", "tcp://host:1"])
def test_no_address(address):
    with (
        pytest.raises(InputError, match=r"--executor is .*: dask://HOST:PORT is needed"),
        executor_at(address),
    ):
        pass


def test_dask_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'jaxgd\[dask\]'"), executor_at("dask://host:8786"):
        pass


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("jaxgd.cli.parts._ANSWER", 1)
    with (
        pytest.raises(InputError, match=r"no Dask scheduler answers at 127.0.0.1:9 within 1 s"),
        executor_at("dask://127.0.0.1:9"),
    ):
        pass
