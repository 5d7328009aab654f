"""Sweeps as TOML files: what is read, and one line for whatever cannot be used."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from jaxgd.specs.runs import SpecRuns
from jaxgd.specs.spec import parse_spec, read_spec

GRID = """
data = "digits"
epochs = 20
[fixed]
optimizer = "sgd"
dropout = "none"
[axes]
batch_size = [8, "full"]
learning_rate = [0.01, 1]
momentum = ["none", 0.9]
activation = ["relu", "tanh"]
"""
DRAW = """
data = "digits"
epochs = 20
[fixed]
optimizer = "adam"
batch_size = 32
[draw]
num = 8
seed = 1
[draw.ranges]
learning_rate = { log_uniform = [1e-4, 1.0] }
b1 = { uniform = [0.8, 0.99] }
width = { int_uniform = [8, 64], log = true }
activation = ["relu", "tanh"]
[axes]
seed = [0, 1]
"""
POINTS = """
data = "digits"
epochs = 20
fixed = { batch_size = 32 }
points = [
    { optimizer = "sgd", learning_rate = 0.1 },
    { optimizer = "adam", learning_rate = 0.001 },
]
[early_stopping]
patience = 5
[budget]
updates = 100
"""


def parse(text):
    return parse_spec(tomllib.loads(text), "mine.toml")


def test_a_grid():
    spec = parse(GRID)
    assert spec.fixed == {"optimizer": "sgd", "dropout": "none"}
    assert spec.axes == {
        "batch_size": [8, "full"],
        "learning_rate": [0.01, 1],
        "momentum": ["none", 0.9],
        "activation": ["relu", "tanh"],
    }


def test_drawn_points_come_first_and_are_the_same_each_time():
    spec = parse(DRAW)
    assert list(spec.axes) == ["point", "seed"]
    assert len(spec.axes["point"]) == 8
    assert all(list(p) == ["learning_rate", "b1", "width", "activation"] for p in spec.axes["point"])
    assert parse(DRAW).axes == spec.axes
    assert parse(DRAW.replace("seed = 1", "seed = 2")).axes != spec.axes


def test_a_list_of_points():
    assert parse(POINTS).axes == {
        "point": [
            {"optimizer": "sgd", "learning_rate": 0.1},
            {"optimizer": "adam", "learning_rate": 0.001},
        ]
    }


@pytest.mark.parametrize("text", [GRID, DRAW, POINTS])
def test_json_keeps_a_spec(text):
    spec = parse(text)
    assert parse_spec(json.loads(json.dumps(spec.document)), "mine.toml") == spec


def test_data_are_found_beside_the_file_and_kept_as_typed(tmp_path):
    for given, path in {
        "a/b.csv": str(tmp_path / "a/b.csv"),
        "a/B.CSV.GZ": str(tmp_path / "a/B.CSV.GZ"),
        "b.tsv": str(tmp_path / "b.tsv"),
        "b.txt": str(tmp_path / "b.txt"),
        "my.py:problem": str(tmp_path / "my.py:problem"),
        "package.module:problem": "package.module:problem",
        "/elsewhere/b.npz": "/elsewhere/b.npz",
        "digits": "digits",
    }.items():
        (tmp_path / "mine.toml").write_text(
            GRID.replace("digits", given)
            .replace('activation = ["relu", "tanh"]', "")
            .replace('dropout = "none"', "")
        )
        spec = read_spec(tmp_path / "mine.toml")
        assert (spec.data, spec.document["data"]) == (path, given)


def test_a_file_with_a_byte_order_mark(tmp_path):
    text = (tmp_path / "mine.toml", b'\xef\xbb\xbfdata = "breast_cancer"\nepochs = 2\n')
    text[0].write_bytes(
        text[1] + b'axes = { learning_rate = [0.1] }\n[fixed]\noptimizer = "sgd"\nbatch_size = 8\n'
    )
    assert read_spec(text[0]).axes == {"learning_rate": [0.1]}


def test_a_file_that_is_not_toml(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("epochs = \n")
    with pytest.raises(ValueError, match=r"mine\.toml: Invalid value \(at line 1"):
        read_spec(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"mine\.toml: 'utf-8' codec"):
        read_spec(path)


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [
        (GRID, "epochs = 20", "", "epochs is missing; a whole number of at least 1 is needed"),
        (GRID, 'data = "digits"', "", "data is missing; a text is needed"),
        (GRID, "epochs = 20", "epoch = 20", "unknown key 'epoch'; did you mean 'epochs'"),
        (GRID, "epochs = 20", "epochs = 2.5", "epochs is 2.5; a whole number of at least 1 is expected"),
        (GRID, "epochs = 20", "epochs = true", "epochs is True; a whole number of at least 1 is expected"),
        (GRID, "epochs = 20", "epochs = 0", "epochs is 0; a whole number of at least 1 is expected"),
        (GRID, '"digits"', "3", "data is 3; a text is expected"),
        (GRID, '"digits"', '"digits"\ntask = "classify"', "task: unknown word 'classify'; did you mean"),
        (GRID, "[fixed]", "[fxed]", "unknown key 'fxed'; did you mean 'fixed'"),
        (GRID, "dropout =", "dropot =", "unknown key in fixed 'dropot'; did you mean 'dropout'"),
        (GRID, 'dropout = "none"', 'dropout = "off"', "fixed.dropout is 'off'; a number or"),
        (GRID, '"sgd"', '"sdg"', "fixed.optimizer: unknown word 'sdg'; did you mean 'sgd'"),
        (GRID, '"sgd"', "1", "fixed.optimizer is 1; one of .* is expected"),
        (GRID, '[8, "full"]', "8", "axes.batch_size is 8; a list of values is expected"),
        (GRID, '[8, "full"]', "[]", "axes.batch_size is empty; at least one value is needed"),
        (GRID, '[8, "full"]', '[8, "half"]', r"axes.batch_size\[1\] is 'half'; a whole"),
        (GRID, "[0.01, 1]", '[0.01, "1"]', r"axes.learning_rate\[1\] is '1'; a number is expected"),
        (GRID, "momentum = [\"none\", 0.9]", "b3 = [0.9]", r"unknown hyperparameter of sgd 'b3' \("),
        (GRID, "momentum = [", "momentm = [", "unknown key in axes 'momentm'; did you mean 'momentum'"),
        (GRID, '"relu"', '"rleu"', r"axes.activation\[0\]: unknown word 'rleu'; did you mean 'relu'"),
        (GRID, "[axes]", "width = 8\n[axes]\nwidth = [8]", "width is given twice"),
        (GRID, "learning_rate = [0.01, 1]", "", "learning_rate is missing; give it in fixed, axes"),
        (GRID, "digits", "my.py:problem", "activation cannot be set: 'my.py:problem' has a"),
        (GRID, "[axes]", "model = 'linear'\n[axes]", "activation cannot be set: a linear model has none"),
        (GRID, "[axes]", "[axes]\npatience = [1]", "unknown key in axes 'patience'"),
        (GRID, "[axes]", "[early_stopping]\n[axes]", "early_stopping.patience is missing"),
        (DRAW, "num = 8", "", "draw.num is missing; a whole number from 1 to 1048576 is needed"),
        (DRAW, "num = 8", "number = 8", "unknown key in draw 'number'; did you mean 'num'"),
        (DRAW, "num = 8", 'num = 8\nmethod = "sobel"', "draw.method: unknown word 'sobel'; did"),
        (DRAW, "log_uniform", "loguniform", "unknown key in draw.ranges.learning_rate 'loguni"),
        (DRAW, "[1e-4, 1.0]", "[0, 1]", "draw.ranges.learning_rate: log_uniform needs"),
        (DRAW, "[1e-4, 1.0]", "[1e-4]", r"draw.ranges.learning_rate.log_uniform is \[0.0001\]; a"),
        (DRAW, "{ uniform = [0.8, 0.99] }", "0.9", "draw.ranges.b1 is 0.9; a list of values or"),
        (DRAW, "{ int_uniform = [8, 64], log = true }", "{ uniform = [8, 64] }", "draw.ranges.width is .*;"),
        (DRAW, "{ uniform = [0.8, 0.99] }", "{ uniform = [0, 1], log = true }", "draw.ranges.b1 is .*; a"),
        (DRAW, "b1 =", "b11 =", "unknown key in draw.ranges 'b11'; did you mean 'b1'"),
        (DRAW, "[axes]", "[axes]\nb1 = [0.9]", "b1 is given twice"),
        (POINTS, "0.001", '"low"', r"points\[1\].learning_rate is 'low'; a number is expected"),
        (POINTS, ", learning_rate = 0.001", "", r"points\[1\] has no learning_rate, which points\[0\] has"),
        (POINTS, "updates = 100", "updates = 100\nepochs = 2", "budget needs exactly one of updates"),
        (POINTS, "patience = 5", 'patience = 5\nmode = "least"', "early_stopping.mode: unknown word 'least'"),
        (POINTS, "patience = 5", "patience = 5.5", "early_stopping.patience is 5.5; a whole number"),
        (POINTS, "updates = 100", "update = 100", "unknown key in budget 'update'; did you mean 'updates'"),
    ],
)  # fmt: skip
def test_bad_input(text, old, new, message):
    assert old in text
    with pytest.raises(ValueError, match=f"^mine.toml: {message}") as error:
        parse(text.replace(old, new))
    assert "\n" not in str(error.value)


def test_a_sweep_over_nothing():
    with pytest.raises(
        ValueError, match=r"mine.toml: there is nothing to sweep over; give axes, points or draw"
    ):
        parse(GRID.partition("[axes]")[0] + "batch_size = 8\nlearning_rate = 0.1")


def test_a_hyperparameter_that_only_some_optimizers_have():
    text = (
        GRID.replace('"sgd"', '"adam"')
        .replace('momentum = ["none", 0.9]', "")
        .replace("[axes]", "b2 = 0.9\n[axes]")
    )
    assert parse(text).fixed["b2"] == 0.9
    both = text.replace('optimizer = "adam"', "").replace("[axes]", '[axes]\noptimizer = ["adam", "sgd"]')
    assert parse(both).fixed["b2"] == 0.9
    swept = both.replace("b2 = 0.9\n", "").replace("[axes]", "[axes]\nb2 = [0.9]")
    with pytest.raises(ValueError, match="unknown hyperparameter of sgd 'b2'"):
        parse(swept)


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.name)
def test_the_examples_can_be_used(path):
    assert SpecRuns(read_spec(path)).check() is None


def test_the_files_of_the_documentation_can_be_used():
    page = ROOT / "docs" / "sweep_files.md"
    blocks = re.findall(r"^```toml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert [list(parse(block).axes) for block in blocks] == [
        ["optimizer", "batch_size", "learning_rate", "width", "seed"],
        ["point", "seed"],
        ["point"],
    ]
