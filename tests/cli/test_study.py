"""`jaxgd study`: data, a spec, a folder, trials of another tool; one line for bad input; nothing lost."""

import sys

import numpy as np
import pandas as pd
import pytest

import jaxgd
from jaxgd import cli
from jaxgd.cli import jax_start
from jaxgd.machine.interrupts import Interrupted
from tests.studies.scaling.tables import table_of

SPEC = """
data = "breast_cancer"
epochs = 3
[fixed]
optimizer = "sgd"
model = "linear"
[axes]
batch_size = [32, 128]
learning_rate = [0.1, 0.3]
seed = [0, 1, 2, 3]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(jax_start, "start_jax", lambda cache: None)
    (tmp_path / "spec.toml").write_text(SPEC)
    logs = np.log([100.0, 30, 12, 8])[:, None, None] + 0.05 * np.random.default_rng(0).normal(size=(4, 3, 10))
    logs = logs + np.array([0.3, 0.0, 0.3])[:, None]
    pd.DataFrame(table_of(logs, (8, 32, 128, 512), (0.1, 0.2, 0.4))).to_csv("trials.csv", index=False)
    return tmp_path


def failing(capsys, *words):
    assert cli.main(["study", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_trials_of_another_tool(folder, capsys):
    assert cli.main(["study", "--trials", "trials.csv", "--goal", "loss=1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("On trials.csv, to loss=1: use batch size ")
    assert lines[-1] == f"Report: {folder / 'study.html'}"
    page = (folder / "study.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "On trials.csv, to loss=1: use batch size " in page
    assert "jaxgd study --trials trials.csv --goal loss=1" in page


def test_data_whose_runs_are_kept(folder, capsys):
    words = ["study", "breast_cancer", "--batch-sizes", "32,128", "--learning-rates", "0.1,0.3"]
    words += ["--optimizers", "sgd", "--epochs", "3", "--tuning-seeds", "2", "--seeds", "2", "--keep", "runs"]
    assert cli.main(words) == 0
    first = capsys.readouterr()
    assert "On breast_cancer, to valid_loss=" in first.out
    assert "The gradient noise scale is" in first.out
    assert "16 runs of 3 epochs" in first.err
    assert jaxgd.load("runs").num_ended == 16
    assert cli.main(["study", "runs", "--out", "again.html"]) == 0
    assert "On runs, to valid_loss=" in capsys.readouterr().out


def test_a_spec(folder, capsys):
    assert cli.main(["study", "spec.toml", "--goal", "valid_accuracy=0.9"]) == 0
    assert capsys.readouterr().out.startswith("On spec.toml, to valid_accuracy=0.9: ")


def test_an_interrupt_saves_the_runs_that_ended(folder, capsys, monkeypatch):
    from jaxgd.studies.batch_size import asking

    real = asking.sweep

    def stopped(*arguments, **options):
        raise Interrupted(real(*arguments, **options), 2, "stopped")

    monkeypatch.setattr(asking, "sweep", stopped)
    words = ["study", "breast_cancer", "--batch-sizes", "32,128", "--learning-rates", "0.1"]
    words += ["--optimizers", "sgd", "--epochs", "1", "--tuning-seeds", "1", "--seeds", "1"]
    assert cli.main(words) == 130
    assert "4 of 4 runs are saved, to study them: jaxgd study study-runs" in capsys.readouterr().err
    assert jaxgd.load("study-runs").num_ended == 4


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--goal", "valid_loss"], "goal must be METRIC=VALUE, such as valid_loss=0.3, got 'valid_loss'"),
        (["--goal", "valid_loss=low"], "goal must be METRIC=VALUE"),
        (["digits", "--trials", "trials.csv"], "a study is of data or of --trials, not both"),
        (["--trials", "none.csv"], "none.csv"),
        (["digits", "--batch-sizes", "32"], "batch_sizes must be two or more, got 32 alone"),
        (["digits", "--batch-sizes", "0,32"], "batch_sizes has 0"),
        (["digits", "--epochs", "0"], "epochs must be"),
        (["digits", "--goal", "valid_f2=0.5"], "goal must be of one of train_loss"),
        (["nothing"], "unknown data set 'nothing'"),
        (["digits", "--optimizers", "adm"], "did you mean 'adam'"),
    ],
)
def test_bad_input_is_one_line(folder, capsys, words, text):
    assert text in failing(capsys, *words)
