import dataclasses
import sys

import numpy as np
import pytest

import jaxgd
from jaxgd.cli import main

SPEC = {
    "data": "breast_cancer",
    "epochs": 3,
    "fixed": {"optimizer": "sgd", "model": "linear", "batch_size": 32},
    "axes": {"learning_rate": [0.01, 0.1], "seed": [0, 1]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from jaxgd.specs.runs import SpecRuns
    from jaxgd.specs.spec import parse_spec

    folder = tmp_path_factory.mktemp("sweep")
    SpecRuns(parse_spec(SPEC, "spec.json")).run(progress=False).save(folder)
    return folder


def test_a_saved_sweep_becomes_a_page(folder, tmp_path, capsys):
    out = tmp_path / "page.html"
    assert main(["landscape", str(folder), "--out", str(out), "--no-cache"]) == 0
    html = out.read_text(encoding="utf-8")
    assert "learning rate 0.1: plane that holds" in html
    assert f"jaxgd landscape {folder} --out {out}" in html
    printed = capsys.readouterr()
    assert printed.out == f"Page: {out}\n"
    assert "curvature at the end of 4 runs" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "there is no folder 'nowhere'; `jaxgd sweep SPEC --out DIR` makes one"),
        (["."], "has no manifest.json: no sweep was saved there"),
        ([".", "--out", "none/page.html"], "out is 'none/page.html', but there is no folder 'none'"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["landscape", *arguments, "--no-cache"]) == 2
    assert message in capsys.readouterr().err


def test_a_sweep_from_python_has_no_spec(folder, tmp_path, capsys):
    dataclasses.replace(jaxgd.load(folder), spec=None).save(tmp_path)
    assert main(["landscape", str(tmp_path), "--out", str(tmp_path / "page.html"), "--no-cache"]) == 2
    assert "the sweep has no spec" in capsys.readouterr().err
    assert np.isfinite(jaxgd.load(tmp_path).dataset.train_loss).all()


@pytest.mark.parametrize("data", ["{folder}/evil.py:problem", "os:abort"])
def test_a_received_folder_runs_no_code(folder, data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    received = tmp_path / "received"
    result = jaxgd.load(folder)
    spec = {
        **result.spec,
        "data": data.format(folder=received),
        "fixed": {"optimizer": "sgd", "batch_size": 32},
    }
    dataclasses.replace(result, spec=spec).save(received)
    (received / "evil.py").write_text("open('RAN', 'w').write('x')\nproblem = None\n")
    assert main(["landscape", "received", "--no-cache"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "and a saved folder does not choose what is run" in error
    assert "--problem my.py:problem" in error
    assert main(["report", "received"]) == 0
    assert not (tmp_path / "RAN").exists()
    capsys.readouterr()
    (tmp_path / "own_of_mine.py").write_text("problem = 1 / 0\n")
    assert main(["landscape", "received", "--problem", "own_of_mine.py:problem", "--no-cache"]) == 2
    assert "own_of_mine.py:1: ZeroDivisionError" in capsys.readouterr().err
    del sys.modules["own_of_mine"]


def test_a_problem_beside_what_has_its_own(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["landscape", str(folder), "--problem", "my.py:problem", "--no-cache"]) == 2
    assert "but the sweep's data are 'breast_cancer', which is no code" in capsys.readouterr().err
    assert main(["landscape", "sphere", "--problem", "my.py:problem", "--no-cache"]) == 2
    assert "problem belongs to a saved sweep, but 'sphere' is a surface" in capsys.readouterr().err
