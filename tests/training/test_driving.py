"""`train`: the run of `fit`, driven from the host."""

import json
import os
import signal

import jax
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import jaxgd
from jaxgd.training.fitting import begin_run
from jaxgd.training.segments import Course, segment

KEY = jax.random.key(0)
ROWS = np.random.default_rng(0).normal(size=(23, 3)).astype(np.float32)
PROBLEM = jaxgd.regression(jaxgd.linear(3, 1), (ROWS, ROWS[:, 0]), (ROWS[:7], ROWS[:7, 0]))


def make_trainer(**options):
    return jaxgd.trainer(PROBLEM, jaxgd.adam(0.05), **({"batch_size": 4} | options))


def assert_same_arrays(one, two):
    jax.tree.map(np.testing.assert_array_equal, one, two)


def assert_same(one, two):
    assert_same_arrays((one.state.params, one.history), (two.state.params, two.history))


@pytest.mark.parametrize("options", [{}, {"microbatch": 3}], ids=str)
def test_the_bits_of_fit_however_it_is_cut(options):
    tr = jaxgd.average_weights(jaxgd.early_stopping(make_trainer(**options), 3, min_delta=1e-3))
    whole = jaxgd.fit(tr, KEY, 6)
    assert_same(jaxgd.train(tr, KEY, 6, progress=False), whole)
    for width in (1, 5, 23, 50, 1000):
        course = begin_run(tr, KEY, 6)
        while course.gone < course.whole:
            course.go_to(min(course.gone + width, course.whole))
        assert_same_arrays(course.history, whole.history)


def test_it_compiles_nothing_that_fit_has_not():
    tr = make_trainer()
    jaxgd.fit(tr, KEY, 5)
    before = segment._cache_size()
    jaxgd.train(tr, KEY, 5, progress=False)
    assert segment._cache_size() == before


def test_orders_are_made_anew_where_a_block_ends():
    begun = begin_run(make_trainer(), KEY, 5)
    course = Course(begun.trainer, KEY, 5, begun.state, begun.history, max_orders=50)
    for end in (60, 115):
        course.go_to(end)
    whole = jaxgd.fit(make_trainer(), KEY, 5)
    assert_same_arrays((course.state.params, course.history), (whole.state.params, whole.history))


def test_rows_are_logged(tmp_path):
    rows, path, seen = [], tmp_path / "log.jsonl", []
    tr = jaxgd.budget(make_trainer(), epochs=3)
    jaxgd.train(tr, KEY, 5, progress=lambda *done: seen.append(done), log=[path, rows.append])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[:3] == rows[:3]
    assert lines[3]["valid_loss"] is None
    assert np.isnan(rows[3]["valid_loss"])
    assert rows[4]["updates"] == 18
    assert seen[-1][:2] == (5, 5)
    history = jaxgd.fit(tr, KEY, 5).history
    np.testing.assert_array_equal([row["train_loss"] for row in rows], history["train_loss"])


def test_one_log_needs_no_list_and_tensorboard_reads_every_epoch(tmp_path):
    rows = []
    fit = jaxgd.train(make_trainer(), KEY, 3, progress=False, log=rows.append)
    jaxgd.train(make_trainer(), KEY, 3, progress=False, log=jaxgd.tensorboard(tmp_path))
    found = EventAccumulator(str(tmp_path)).Reload()
    assert found.Tags()["scalars"] == ["epoch", *fit.history]
    for name, column in fit.history.items():
        events = found.Scalars(name)
        np.testing.assert_array_equal([row[name] for row in rows], column)
        assert [(event.step, np.float32(event.value)) for event in events] == list(
            enumerate(np.float32(column), 1)
        )


def test_a_file_of_a_run_that_goes_on_is_appended_to_and_of_a_new_one_overwritten(tmp_path):
    path = tmp_path / "log.jsonl"
    epochs = lambda: [json.loads(line)["epoch"] for line in path.read_text().splitlines()]  # noqa: E731
    pairs = list(jaxgd.iterate(make_trainer(), KEY, 5))
    jaxgd.train(make_trainer(), KEY, 2, progress=False, log=path)
    with path.open("a") as file:
        file.write('{"epoch": 3, "tr')  # as a killed process leaves it
    jaxgd.train(make_trainer(), KEY, 5, progress=False, log=path, start=pairs[1])
    assert epochs() == [1, 2, 3, 4, 5]
    jaxgd.train(make_trainer(), KEY, 1, progress=False, log=path, start=pairs[1][0])
    assert epochs() == [1]


def test_a_log_that_raises_costs_a_warning_and_no_number():
    called, rows = [], []

    def broken(row):
        called.append(row)
        raise OSError("no route to the server")

    with pytest.warns(
        UserWarning, match=r"log .*broken failed and gets no more rows: OSError: no route"
    ) as told:
        fit = jaxgd.train(make_trainer(), KEY, 4, progress=False, log=[broken, rows.append])
    assert len(called) == len(told) == 1
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert_same(fit, jaxgd.fit(make_trainer(), KEY, 4))


@pytest.mark.usefixtures("default_handlers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_raises_with_what_has_been_trained(number):
    def interrupt(row):
        if row["epoch"] == 2:
            os.kill(os.getpid(), number)

    with pytest.raises(jaxgd.Interrupted, match=r"interrupted after \d+ of 200 epochs") as raised:
        jaxgd.train(make_trainer(), KEY, 200, progress=False, log=[interrupt])
    fit = raised.value.result
    done = int(fit.state.epoch)
    assert (2 <= done < 200, raised.value.signal) == (True, number)
    assert f"after {done} of" in str(raised.value)
    assert np.isfinite(fit.history["train_loss"][:done]).all()
    assert np.isnan(fit.history["train_loss"][done:]).all()
    whole = jaxgd.fit(make_trainer(), KEY, 200)
    np.testing.assert_array_equal(fit.history["train_loss"][:done], whole.history["train_loss"][:done])
    rest = jaxgd.fit(make_trainer(), KEY, 200, start=fit)
    np.testing.assert_array_equal(rest.history["train_loss"], whole.history["train_loss"])


def test_bad_arguments(tmp_path):
    (tmp_path / "train.py").write_text("import jaxgd\n")
    with pytest.raises(ValueError, match=r"train\.py', which holds no lines of JSON and is not written to"):
        jaxgd.train(make_trainer(), KEY, 1, log=tmp_path / "train.py")
    with pytest.raises(TypeError, match="log must be a path, a function of a row"):
        jaxgd.train(make_trainer(), KEY, 1, log=[3])  # pyright: ignore[reportArgumentType]
    with pytest.raises(FileNotFoundError):
        jaxgd.train(make_trainer(), KEY, 1, log=[tmp_path / "none" / "log.jsonl"])
    with pytest.raises(TypeError, match="train drives a run from the host: inside jit, vmap or grad use fit"):
        jax.jit(lambda tr: jaxgd.train(tr, KEY, 1).state.params)(make_trainer())
    with pytest.raises(TypeError, match="trainer must be"):
        jaxgd.train(PROBLEM, KEY, 1)


def test_a_loss_that_is_nan_from_the_start_is_an_error():
    problem = jaxgd.Problem(lambda key: np.zeros(3, np.float32), lambda p, x: np.nan * (x @ p), ROWS)
    tr = jaxgd.trainer(problem, jaxgd.sgd(0.1), 4)
    for run in (jaxgd.fit, jaxgd.train):
        with pytest.raises(
            ValueError, match="the loss or its gradient on the first batch is NaN or infinite"
        ):
            run(tr, KEY, 1000)
    assert jax.jit(lambda: jaxgd.fit(tr, KEY, 2).state.status)() == 2
