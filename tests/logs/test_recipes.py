"""The recipes of docs/logging.md for other tools, each run as it stands there.

The tools are stand-ins with the signatures of W&B 0.31, Trackio 0.43 and MLflow 3.17, as far as recipes use
them. They note what they are asked for, and refuse what the real ones refuse.
"""

import json
import re
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxgd

PAGE = Path(__file__).parents[2] / "docs" / "logging.md"
RECIPES = re.findall(r"^```py\n(import (\w+)\n.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
INPUTS = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.linear(3), (INPUTS, INPUTS[:, 0]), (INPUTS[:5], INPUTS[:5, 0]))
SCALARS = (int, float, bool, str, type(None))


def make_trainer(hp):
    return jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.learning_rate), 6)


class Table:
    """A table of W&B or Trackio: rows of as many values as there are columns."""

    def __init__(self, columns: list, data: list):
        assert all(len(row) == len(columns) for row in data)
        self.rows: list[dict] = [dict(zip(columns, row, strict=True)) for row in data]


class Run:
    """A run of W&B's or Trackio's, open until it is finished."""

    def __init__(self, project, config):
        json.dumps([project, config])
        self.logged, self.is_open = [], True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.finish()

    def log(self, data, step=None):
        assert self.is_open
        assert all(isinstance(value, (*SCALARS, Table)) for value in data.values())
        self.logged.append(dict(data))

    def finish(self):
        self.is_open = False


def wandb(runs):
    def init(entity=None, project=None, dir=None, id=None, name=None, notes=None, tags=None, config=None):
        runs.append(Run(project, config))
        return runs[-1]

    return types.SimpleNamespace(init=init, Table=Table)


def trackio(runs):
    def init(project, name=None, group=None, space_id=None, *, config=None):
        runs.append(Run(project, config))
        return runs[-1]

    def log(metrics, step=None):
        assert "run" not in metrics  # which it renames, with a warning
        runs[-1].log(metrics, step)

    return types.SimpleNamespace(init=init, log=log, finish=lambda: runs[-1].finish(), Table=Table)


def mlflow(runs):
    def start_run(run_id=None, experiment_id=None, run_name=None):
        runs.append(Run("", None))
        return runs[-1]

    def log_metric(key, value, step=None):
        log_metrics({key: value}, step)

    def log_metrics(metrics, step=None):
        assert all(type(value) in (int, float) for value in metrics.values())
        assert step is None or type(step) is int
        runs[-1].log(metrics)

    def log_table(data, artifact_file, run_id=None):
        assert artifact_file.endswith((".json", ".parquet"))
        runs[-1].log({"runs": Table(list(data), list(zip(*data.values(), strict=True)))})

    def set_tracking_uri(uri):
        assert uri.startswith("sqlite:///")

    names = (set_tracking_uri, start_run, log_metric, log_metrics, log_table)
    return types.SimpleNamespace(**{function.__name__: function for function in names})


TOOLS = {"wandb": wandb, "trackio": trackio, "mlflow": mlflow}


def follow(tool, monkeypatch, axes):
    """`(runs, namespace)` after the recipe: what was opened, and the names that it made."""
    recipe = next(recipe for recipe, name in RECIPES if name == tool)
    runs = []
    monkeypatch.setitem(sys.modules, tool, TOOLS[tool](runs))
    trainer = jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), 6)
    names = {"jaxgd": jaxgd, "make_trainer": make_trainer, "axes": axes}
    namespace = names | {"trainer": trainer, "key": jax.random.key(0)}
    exec(compile(recipe, str(PAGE), "exec"), namespace)
    return runs, namespace


def test_there_is_a_recipe_for_each_tool_and_it_is_short():
    assert [name for _, name in RECIPES] == list(TOOLS)
    for recipe, _ in RECIPES:
        assert len([line for line in recipe.splitlines() if line]) <= 12


@pytest.mark.parametrize("tool", TOOLS)
def test_a_recipe_gives_one_run_with_a_table_and_one_for_the_training(tool, monkeypatch):
    axes = {"learning_rate": [0.01, 0.1, 1e30], "seed": [0, 1]}
    (sweep, training), namespace = follow(tool, monkeypatch, axes)
    assert not sweep.is_open
    assert not training.is_open
    (table,) = [value for data in sweep.logged for value in data.values() if isinstance(value, Table)]
    assert repr(table.rows) == repr(namespace["rows"])
    assert sorted(row["run"] for row in table.rows) == list(range(6))
    history = jaxgd.fit(namespace["trainer"], namespace["key"], 3).history
    assert [data["epoch"] for data in training.logged] == [1, 2, 3]
    for name, column in history.items():
        np.testing.assert_array_equal([data[name] for data in training.logged], column)


def test_the_best_is_a_number_of_the_run(monkeypatch):
    (sweep, _), namespace = follow("mlflow", monkeypatch, {"learning_rate": [0.01, 0.1], "seed": [0, 1]})
    assert sweep.logged[-1] == {"best_valid_loss": namespace["result"].best().value}


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_ten_thousand_lanes_open_one_run(tool, monkeypatch):
    axes = {"learning_rate": [0.0001 * place for place in range(1, 101)], "seed": list(range(100))}
    (sweep, _), namespace = follow(tool, monkeypatch, axes)
    (table,) = [value for data in sweep.logged for value in data.values() if isinstance(value, Table)]
    assert len(table.rows) == len(namespace["rows"]) == 10_000
    assert len(sweep.logged) in (1, 2, 10_001)  # W&B gets each row as it comes too
