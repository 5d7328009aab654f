"""Rows of a sweep: one for every run as it ends, with the dataset's numbers."""

import collections
import json
import math
import os
import sys

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.logs.delivery import Delivery
from jaxgd.sweeps.axes import checked_axes
from jaxgd.sweeps.blocks import Block
from jaxgd.sweeps.engine.driver import Ended
from jaxgd.sweeps.logged import Logged
from jaxgd.sweeps.runs import Run

GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(20, 3)).astype(np.float32)
TARGETS = (INPUTS[:, 0] + 0.1 * GENERATOR.normal(size=20)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.linear(3), (INPUTS, TARGETS), (INPUTS[:5], TARGETS[:5]))
AXES = {"batch_size": ["full", 6], "learning_rate": [0.01, 0.3, 1e30], "seed": [0, 3]}


def make_trainer(hp):
    return jaxgd.trainer(PROBLEM, jaxgd.momentum(hp.learning_rate), hp.batch_size)


def logged(make_trainer=make_trainer, axes=AXES, epochs=3, log=(), **options):
    """The result of a sweep, and its rows."""
    rows = []
    log = [rows.append, *(log if isinstance(log, list) else [log] if log else [])]
    return jaxgd.sweep(make_trainer, axes, epochs, log=log, progress=False, **options), rows


def run_of(result, row):
    """The run in the dataset that a row is about, by its place in the grid."""
    dims = result.dataset.status.dims
    places = np.unravel_index(row["run"], result.dataset.status.shape)
    return result.dataset.isel(dict(zip(dims, places, strict=True)))


def is_same(one, other):
    one = one.item() if isinstance(one, np.generic) else one
    return type(one) is type(other) and (one == other or (one != one and other != other))


def assert_rows_are_the_datasets(result, rows):
    dims = result.dataset.status.dims
    assert sorted(row["run"] for row in rows) == list(range(result.dataset.status.size))
    measured = [name for name, values in result.dataset.data_vars.items() if "epoch" in values.dims]
    axes = [
        str(name) for name, coord in result.dataset.coords.items() if coord.dims in [(dim,) for dim in dims]
    ]
    for row in rows:
        run, score = run_of(result, row), run_of(result, row).sel(epoch=row["epoch"])
        ending = ["run", *sorted(axes), "status", "stopped_at", "updates", "examples", "epoch", *measured]
        assert sorted(row) == sorted(ending)
        assert all(is_same(run[name].values[()], row[name]) for name in (*axes, "status", "stopped_at"))
        assert all(is_same(run[name].values[-1], row[name]) for name in ("updates", "examples"))
        assert all(is_same(score[name].values[()], row[name]) for name in measured)
        assert all(type(value) in (int, float, bool, str, type(None)) for value in row.values())


def test_rows_have_the_numbers_of_the_dataset(tmp_path):
    path = tmp_path / "sweep.jsonl"
    result, rows = logged(log=path)
    assert_rows_are_the_datasets(result, rows)
    keys = [
        "run",
        "batch_size",
        "learning_rate",
        "seed",
        "status",
        "stopped_at",
        "updates",
        "examples",
        "epoch",
    ]
    scores = ["train_loss", "grad_norm", "valid_loss", "valid_squared_error"]
    assert all(list(row) == keys + scores for row in rows)
    assert {row["batch_size"] for row in rows} == {6, 20}
    assert {row["status"] for row in rows} == {"completed", "diverged"}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{k: None if v != v else v for k, v in row.items()} for row in rows]


FORCED = {
    "at once": {"kind": "vmap"},
    "one program for all batch sizes, in turn": {"merge": True},
    "in micro-batches, at once": {"merge": 2, "kind": "vmap"},
    "several at a time, few places": {"kind": "map", "lanes": 4, "width": 2},
    "in turn, one place": {"kind": "map", "lanes": 1},
}


@pytest.mark.parametrize("options", FORCED.values(), ids=FORCED)
def test_however_runs_move_a_row_is_of_its_run(options):
    plan = jaxgd.plan(make_trainer, AXES, 3, **options)
    assert_rows_are_the_datasets(*logged(plan=plan))


def test_optimizers_that_share_a_program():
    def make_trainer(hp):
        return jaxgd.trainer(PROBLEM, getattr(jaxgd, hp.optimizer)(hp.learning_rate), 6)

    axes = {"learning_rate": [0.01, 0.1], "optimizer": ["adam", "sgd", "momentum"]}
    plan = jaxgd.plan(make_trainer, axes, 2, generalize=True)
    assert len(plan.groups) == 1
    result, rows = logged(make_trainer, axes, 2, plan=plan)
    assert_rows_are_the_datasets(result, rows)
    assert len({row["valid_loss"] for row in rows}) == 6


def test_runs_that_stop_give_the_scores_of_what_they_kept():
    def make_trainer(hp):
        made = jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.learning_rate), 6)
        return jaxgd.budget(made, updates=5) if hp.rule == "budget" else jaxgd.early_stopping(made, 1)

    axes = {"rule": ["budget", "stopping"], "learning_rate": [0.3, 1.0, 1e30]}
    result, rows = logged(make_trainer, axes, 8)
    assert_rows_are_the_datasets(result, rows)
    assert {row["status"] for row in rows} > {"budget spent", "diverged"}
    for row in rows:
        run = run_of(result, row)
        if row["status"] == "budget spent":
            assert (row["updates"], row["epoch"]) == (5, 2)
        elif run.kept_epoch > 0:
            assert row["epoch"] == run.kept_epoch
            params = result.states[row["run"]][0]
            assert jaxgd.evaluate(PROBLEM, params)["loss"] == pytest.approx(row["valid_loss"], rel=1e-5)


def test_points_and_values_of_several_kinds():
    def make_trainer(hp):
        momentum = 0.0 if hp.momentum is None else hp.momentum
        return jaxgd.trainer(PROBLEM, jaxgd.momentum(hp.learning_rate, momentum), 6)

    points = [{"learning_rate": np.float32(0.1), "momentum": None}, {"learning_rate": 0.2, "momentum": 0.5}]
    result, rows = logged(make_trainer, {"point": points, "seed": [0, 1]}, 2)
    assert_rows_are_the_datasets(result, rows)
    first = next(row for row in rows if row["run"] == 1)
    named = {name: first[name] for name in ("point", "learning_rate", "momentum", "seed")}
    assert named == {"point": 0, "learning_rate": 0.1, "momentum": None, "seed": 1}


def test_all_rows_have_the_same_keys_where_runs_measure_different_things():
    def make_trainer(hp):
        made = jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), 6)
        return jaxgd.average_weights(made, decay=hp.decay) if hp.decay else made

    result, rows = logged(make_trainer, {"decay": [None, 0.9]}, 2)
    assert_rows_are_the_datasets(result, rows)
    assert list(rows[0]) == list(rows[1])
    averages = {row["decay"]: row["average_valid_loss"] for row in rows}
    assert math.isnan(averages[None])
    assert math.isfinite(averages[0.9])


def test_rows_come_as_runs_end_and_in_that_order():
    events = []
    plan = jaxgd.plan(make_trainer, AXES, 3, kind="map", lanes=1)
    jaxgd.sweep(
        make_trainer,
        AXES,
        3,
        plan=plan,
        progress=lambda done, *_: events.append(("done", done)),
        log=lambda row: events.append(("row", row["run"])),
    )
    rows = 0
    for kind, number in events:
        rows += kind == "row"
        assert kind == "row" or number - rows in range(len(jax.devices()) + 1)
    assert rows == 12
    assert sum(kind == "done" for kind, _ in events) > 2


def test_a_sweep_that_was_stopped_leaves_whole_lines_and_another_adds_its_own(tmp_path):
    path = tmp_path / "sweep.jsonl"

    def interrupt(row):
        raise KeyboardInterrupt

    plan = jaxgd.plan(make_trainer, AXES, 3, kind="map", lanes=1)
    with pytest.raises(KeyboardInterrupt):
        logged(log=[path, interrupt], plan=plan)
    before = path.read_text()
    assert before.endswith("\n")
    _, rows = logged(log=path, plan=plan)
    assert path.read_text().startswith(before)
    lines = [json.loads(line) for line in path.read_text()[len(before) :].splitlines()]
    assert [line["run"] for line in lines] == [row["run"] for row in rows]
    again = {line["run"]: line for line in lines}
    assert all(again[line["run"]] == line for line in map(json.loads, before.splitlines()))


def test_a_log_that_raises_costs_a_warning_and_no_number():
    called = []

    def broken(row):
        called.append(row)
        raise OSError("no route to the server")

    with pytest.warns(
        UserWarning, match="log .*broken failed and gets no more rows: OSError: no route"
    ) as told:
        result, rows = logged(log=broken)
    assert len(called) == len(told) == 1
    assert_rows_are_the_datasets(result, rows)
    without = jaxgd.sweep(make_trainer, AXES, 3, progress=False)
    jax.tree.map(np.testing.assert_array_equal, list(result.states), list(without.states))


def test_bad_logs_are_named_before_anything_else(tmp_path):
    def never(hp):
        raise AssertionError("make_trainer was called")

    for log, error, match in [
        (tmp_path, IsADirectoryError, "log is '.*', which cannot be written: it is a folder"),
        (tmp_path / "no" / "log", FileNotFoundError, "there is no folder"),
        (3, TypeError, "log must be a path, a function of a row"),
    ]:
        with pytest.raises(error, match=match):
            jaxgd.sweep(never, AXES, 3, log=log)
    axes = {"run": [0.1, 0.2]}
    with pytest.raises(ValueError, match="axis 'run' has the name of a row's place in a log"):
        logged(lambda hp: jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.run), 6), axes)
    jaxgd.sweep(lambda hp: jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.run), 6), axes, 1, progress=False)


def test_ten_thousand_runs_cost_the_sink_no_memory_and_a_sync_a_call(tmp_path, monkeypatch):
    path, synced, told, held = tmp_path / "sweep.jsonl", [], collections.Counter(), []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(sync(handle)))
    axes = checked_axes({"learning_rate": list(range(1, 101)), "seed": list(range(100))})
    trainer = jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), 6)
    runs = [Run(index, trainer, index % 100) for index in range(10_000)]
    with Delivery([lambda row: told.update([row["valid_loss"] == row["run"] / 2]), path]) as logs:
        sink = Logged(logs, axes, runs)
        for begin in range(0, 10_000, 1000):
            sink.take(Ended(block_of(np.arange(begin, begin + 1000))))
            held.append(sys.getallocatedblocks())
        sink.take(Ended())
    assert told == {True: 10_000}
    assert len(synced) == 10
    assert held[-1] - held[0] < 2000  # Python's blocks, of 9,000 rows with 13 values each: none is kept
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["run"], line["learning_rate"], line["seed"]) for line in lines] == [
        (place, place // 100 + 1, place % 100) for place in range(10_000)
    ]


def block_of(places):
    """What runs of two epochs give, whose last validation losses are half their places in the grid."""
    losses = np.stack([np.zeros(len(places)), places / 2], axis=1)
    history = dict.fromkeys(("train_loss", "grad_norm", "valid_loss", "valid_squared_error"), losses)
    history |= {name: np.array([[4, 8]] * len(places)) for name in ("updates", "examples")}
    return Block(places, history, np.zeros(len(places), int), np.full(len(places), -1), None, ())
