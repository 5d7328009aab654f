"""A comparison that a signal ends: what was complete is kept, and what was not is named."""

import os
import signal

import numpy as np
import pytest

import jaxgd
from jaxgd.reports.pages import of_comparison, terminal
from jaxgd.studies.comparison import comparing, rounds, stages

pytestmark = pytest.mark.usefixtures("default_handlers")

N = 24
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(2 * N, 3)).astype(np.float32)
LABELS = (INPUTS[:, 0] + 0.5 * GENERATOR.normal(size=2 * N) > 0).astype(np.int32)
PARTS = [(INPUTS[part], LABELS[part]) for part in (slice(N), slice(N, N + 12), slice(N + 12, None))]
PROBLEM = jaxgd.classification(jaxgd.linear(3, 2, init="he_normal"), *PARTS)


def compare(**changes):
    given = {"epochs": 2, "seeds": 1, "fresh_seeds": 5, "max_seconds": 0, "progress": False, **changes}
    return jaxgd.compare(PROBLEM, ["sgd", "momentum"], [12, 8], [0.1], **given)


def interrupted(**changes):
    with pytest.raises(jaxgd.Interrupted) as raised:
        compare(**changes)
    return raised.value


def sending(function, number=signal.SIGINT):
    """The function, once a signal has come."""

    def call(*arguments, **keywords):
        os.kill(os.getpid(), number)
        return function(*arguments, **keywords)

    return call


def in_a_stage(monkeypatch, stage):
    """A signal after the first call of the sweep of a stage, 0 for the grid."""
    found, sweep = [], stages.sweep

    def signalled(*arguments, progress, **keywords):
        found.append(None)
        shown = sending(lambda *_: None) if len(found) == stage + 1 else False
        return sweep(*arguments, progress=shown, **keywords)

    monkeypatch.setattr(stages, "sweep", signalled)


def test_in_the_grid(monkeypatch):
    in_a_stage(monkeypatch, 0)
    stop = interrupted()
    assert list(stop.result.axes) == ["optimizer", "batch_size", "rate", "seed"]
    assert 0 < stop.result.num_ended < 4
    assert stop.result.dataset.learning_rate.values.tolist() == [[0.1], [0.1]]
    assert stop.earlier == {}


def test_in_the_first_round(monkeypatch):
    in_a_stage(monkeypatch, 1)
    stop = interrupted()
    assert list(stop.result.axes) == ["cell", "seed"]
    assert 0 < stop.result.num_ended < 20
    assert stop.earlier["grid"].num_ended == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_on_the_clock(monkeypatch, number, tmp_path):
    whole = compare()
    monkeypatch.setattr(comparing, "time_cells", sending(comparing.time_cells, number))
    stop = interrupted(max_seconds=100)
    found = stop.result
    assert stop.signal is number
    assert found.warnings[0] == (
        "Interrupted: the clock is left out: of equals the one with the fewest updates is taken; further "
        "rounds of fresh seeds are left out."
    )
    np.testing.assert_array_equal(found.fresh.test_scores, whole.fresh.test_scores)
    assert [cell.test for cell in found.cells] == [cell.test for cell in whole.cells]
    assert np.isnan([cell.seconds for cell in found.cells]).all()
    assert found.linear is None
    np.testing.assert_equal(found.constant, whole.constant)
    of_comparison.write(found, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert found.warnings[0] in page
    assert "What an update costs" not in page
    assert "What an update costs" in of_comparison.page(whole)
    assert {row[-1] for row in (terminal._row(cell, found) for cell in found.cells)} == {"–"}


def test_in_a_further_round(monkeypatch):
    whole = compare()
    monkeypatch.setattr(comparing, "run_rounds", sending(comparing.run_rounds))
    stop = interrupted()
    assert stop.result.warnings[0] == "Interrupted: further rounds of fresh seeds are left out."
    assert stop.result.about.fresh_counts == (5,)
    np.testing.assert_array_equal(stop.result.fresh.test_scores, whole.fresh.test_scores)
    assert stop.result.clock.seconds_per_update.notnull().all()


def test_rounds_that_were_complete_are_kept(monkeypatch):
    calls, run_cells = [], rounds.run_cells

    def second_fails(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run_cells(*arguments)

    monkeypatch.setattr(rounds, "run_cells", second_fails)
    found = interrupted(max_seconds=1000, max_seeds=20).result
    assert found.about.fresh_counts == (5, 10)
    assert found.fresh.sizes["seed"] == 10
