"""`jaxgd sweep`: a folder with the result, and one line for bad input."""

import json
import re
import sys

import pytest

import jaxgd
from jaxgd import cli
from jaxgd.cli import jax_start

SPEC = """
data = "breast_cancer"
epochs = 2
[fixed]
optimizer = "sgd"
batch_size = "full"
model = "linear"
[axes]
learning_rate = [0.1, 1e30]
seed = [0, 1]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(jax_start, "start_jax", lambda cache: None)
    (tmp_path / "spec.toml").write_text(SPEC)
    return tmp_path


def test_a_sweep(folder, capsys):
    assert cli.main(["sweep", "spec.toml", "--out", "a/b"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "SweepResult(learning_rate 2 x seed 2; 2 epochs; 2 completed, 2 diverged)"
    assert lines[1].startswith("Best valid_accuracy at the last epoch: 0.")
    assert lines[1].endswith("± 0 (standard deviation over seeds), at learning_rate 0.1")
    assert lines[2] == f"Saved: {folder / 'a' / 'b'}"
    result = jaxgd.load("a/b")
    assert result.axes == {"learning_rate": [0.1, 1e30], "seed": [0, 1]}
    assert result.spec["epochs"] == 2


def test_keys_that_are_given_otherwise(folder, capsys):
    """They are what is kept, and what the same command goes on with."""
    words = ["epochs=3", "axes.learning_rate=[0.1, 0.2]"]
    assert cli.main(["sweep", "spec.toml", words[0], "--out", "out", words[1]]) == 0
    assert "2 x seed 2; 3 epochs; 4 completed)" in capsys.readouterr().out
    result = jaxgd.load("out")
    assert (result.spec["epochs"], result.axes["learning_rate"]) == (3, [0.1, 0.2])

    assert cli.main(["sweep", "spec.toml", *words, "--out", "out"]) == 0
    assert "out has 4 of 4 runs: nothing is left to train" in capsys.readouterr().err
    assert cli.main(["sweep", "spec.toml", words[1], "--out", "out"]) == 2
    assert "epochs" in capsys.readouterr().err
    assert cli.main(["sweep", "spec.toml", *words, "axes.seed=[0,1,2]", "--out", "out"]) == 0
    assert "out has 4 of 6 runs: the others are trained" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["epoch=3", "--out", "out"], "unknown key 'epoch'; did you mean 'epochs'?"),
        (["--out", "out", "axes.seeds=[0]"], "unknown key in axes 'seeds'; did you mean 'seed'?"),
        (["--out", "out", "epochs"], "'epochs' is no KEY=VALUE, which is one word, such as epochs=5"),
        (["--out", "out", "--epochs=3"], "unrecognized arguments: --epochs=3"),
    ],
)
def test_keys_that_are_not_known(folder, capsys, words, message):
    try:
        code = cli.main(["sweep", "spec.toml", *words])
    except SystemExit as exit:
        code = exit.code
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_the_plan_is_printed_when_asked_for(folder, capsys):
    assert cli.main(["sweep", "spec.toml", "--out", "out", "--exact", "--explain"]) == 0
    assert "4 runs of 2 epochs in 1 program" in capsys.readouterr().err
    assert all(group.recipe.kind == "map" for group in jaxgd.load("out").plan.groups)


def test_rows_in_a_file(folder, capsys):
    for out in ("one", "two"):
        assert cli.main(["sweep", "spec.toml", "--out", out, "--log", "log.jsonl"]) == 0
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert len(rows) == 8
    dataset = jaxgd.load("two").dataset
    for row in rows[4:]:
        run = dataset.sel(learning_rate=row["learning_rate"], seed=row["seed"], epoch=row["epoch"])
        assert row["status"] == run.status
        assert row["valid_loss"] == (None if row["status"] == "diverged" else run.valid_loss)


@pytest.mark.parametrize("log", ["", "none/log.jsonl", ".", "spec.toml"])
def test_a_log_that_cannot_be_written_is_one_line(folder, capsys, monkeypatch, log):
    monkeypatch.setattr(jax_start, "start_jax", lambda cache: pytest.fail("JAX was started"))
    assert cli.main(["sweep", "spec.toml", "--out", "out", "--log", log]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jaxgd sweep: error: log is {log!r}")
    assert (folder / "spec.toml").read_text() == SPEC
    assert not (folder / "out").exists()


def test_drawn_points(folder, capsys):
    drawn = "[draw]\nnum = 4\n[draw.ranges]\nlearning_rate = { log_uniform = [0.01, 1.0] }\n"
    (folder / "spec.toml").write_text(SPEC.replace("learning_rate = [0.1, 1e30]", "") + drawn)
    assert cli.main(["sweep", "spec.toml", "--out", "out"]) == 0
    assert re.search(r"at point \d, learning_rate 0\.\d{1,8}\n", capsys.readouterr().out)
    result = jaxgd.load("out")
    best = result.best("valid_accuracy")
    assert list(best.coords) == ["point", "learning_rate"]
    assert result.params(**best.coords, seed=1)["w"].shape == (30, 2)
    assert len(result.to_pandas()) == 4 * 2 * 2


def test_seeds_alone(folder, capsys):
    (folder / "spec.toml").write_text(
        SPEC.replace("learning_rate = [0.1, 1e30]\n", "").replace("[axes]", "learning_rate = 0.1\n[axes]")
    )
    assert cli.main(["sweep", "spec.toml", "--out", "out"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert re.fullmatch(
        r"Mean valid_accuracy at the last epoch: \S+ ± 0 \(standard deviation over seeds\)", line
    )
    assert cli.main(["report", "out"]) == 0


def test_everything_diverges(folder, capsys):
    (folder / "spec.toml").write_text(SPEC.replace("[0.1, 1e30]", "[1e30]"))
    assert cli.main(["sweep", "spec.toml", "--out", "out"]) == 0
    assert "No best point: at no point is valid_accuracy finite" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "out", "message"),
    [
        (("epochs", "epoch"), "out", "spec.toml: unknown key 'epoch'; did you mean 'epochs'"),
        (("breast_cancer", "breast_cancr"), "out", "unknown data set 'breast_cancr'; did you mean"),
        (("breast_cancer", "no.npz"), "out", "no.npz'; there is no such file"),
        (('"full"', "5000"), "out", "spec.toml: batch_size must be a whole number from 1 to 341"),
        (("epochs", "epochs"), "spec.toml", "out is 'spec.toml', but 'spec.toml' is a file"),
        (("epochs", "epochs"), "spec.toml/b", "out is 'spec.toml/b', but 'spec.toml' is a file"),
    ],
)
def test_bad_input(folder, capsys, change, out, message):
    (folder / "spec.toml").write_text(SPEC.replace(*change))
    assert cli.main(["sweep", "spec.toml", "--out", out]) == 2
    printed, err = capsys.readouterr()
    assert (printed, err.count("\n")) == ("", 1)
    assert err.startswith("jaxgd sweep: error: ")
    assert message in err
    assert not (folder / "out").exists()


def test_a_missing_file(folder, capsys):
    assert cli.main(["sweep", "none.toml", "--out", "out"]) == 2
    assert "spec is 'none.toml'; there is no such file" in capsys.readouterr().err
