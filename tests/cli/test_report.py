"""`jaxgd report`: the page of a folder, and one line for bad input."""

import numpy as np
import pytest

import jaxgd
from jaxgd import cli


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    inputs = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    problem = jaxgd.regression(jaxgd.linear(2, 1), (inputs, inputs[:, 0]), (inputs, inputs[:, 0]))
    result = jaxgd.sweep(
        lambda hp: jaxgd.trainer(problem, jaxgd.sgd(hp.learning_rate), "full"),
        {"learning_rate": [0.1, 0.2]},
        epochs=2,
        progress=False,
    )
    folder = tmp_path_factory.mktemp("saved")
    result.save(folder)
    return folder


def test_a_report(saved, tmp_path, capsys):
    assert cli.main(["report", str(saved)]) == 0
    assert capsys.readouterr().out == f"Report: {saved / 'report.html'}\n"
    assert "Best validation loss: " in (saved / "report.html").read_text()
    assert cli.main(["report", str(saved), "--metric", "train_loss", "--out", str(tmp_path / "a.html")]) == 0
    assert "Best train loss: " in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "train_los"], "unknown metric 'train_los'; did you mean 'train_loss'"),
        (["--metric", "stopped_at", "--mode", "least"], "invalid choice: 'least'"),
        (["--out", "/nowhere/a.html"], "out is '/nowhere/a.html', but there is no folder '/nowhere'"),
    ],
)
def test_bad_input(saved, capsys, arguments, message):
    try:
        code = cli.main(["report", str(saved), *arguments])
    except SystemExit as error:
        code = error.code
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("jaxgd report: error: ")
    assert message in err


def test_a_folder_without_a_sweep(tmp_path, capsys):
    for folder in (tmp_path, tmp_path / "none"):
        assert cli.main(["report", str(folder)]) == 2
        assert "has no manifest.json: no sweep was saved there" in capsys.readouterr().err
