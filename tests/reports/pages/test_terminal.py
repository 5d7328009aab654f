"""A comparison in a terminal."""

import io
import math
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from jaxgd.reports.pages import terminal
from jaxgd.studies.comparison.baselines import Baseline
from jaxgd.studies.comparison.cells import Cell
from jaxgd.studies.comparison.conclusions import Comparison


def cell(optimizer, batch_size, **changes):
    whole = {
        "learning_rate": 0.1,
        "seeds": 5,
        "chance": True,
        "tuning_valid": 0.985,
        "valid": 0.98,
        "test": 0.978,
        "test_low": 0.962,
        "test_high": 0.989,
        "gap": -0.001,
        "gap_low": -0.007,
        "gap_high": 0.005,
        "bound": -0.006,
        "verdict": "cannot tell",
        "updates": 21560,
        "examples": 21560,
        "seconds": 0.421,
        "bytes": 1000,
        "diverged": 0,
    }
    return Cell(optimizer, batch_size, **{**whole, **changes})


LOST = dict.fromkeys(("test", "test_low", "test_high", "gap", "gap_low", "gap_high", "bound"), math.nan)


@pytest.fixture
def text():
    """What a terminal shows of these cells."""

    def show(*cells, warnings=(), details=(), score="accuracy", recommended=None, width=140, **baselines):
        about = SimpleNamespace(num_train=1078)
        empty = {"grid": None, "fresh": None, "clock": None, "snippet": ""}
        comparison = Comparison(
            data="digits",
            score=score,
            cells=list(cells),
            recommended=recommended,
            sentence="The sentence.",
            details=list(details),
            warnings=list(warnings),
            about=about,  # pyright: ignore[reportArgumentType]
            **empty,  # pyright: ignore[reportArgumentType]
            **baselines,
        )
        console = Console(file=io.StringIO(), width=width)
        console.print(terminal.render(comparison))
        return console.file.getvalue().splitlines()  # pyright: ignore[reportAttributeAccessIssue]

    return show


def test_sentence_details_warnings_table_and_baselines_in_this_order(text):
    baselines = {name: Baseline(f"the {name}", 0.5, np.zeros(1)) for name in ("constant", "linear")}
    lines = text(
        cell("momentum", 1), warnings=["[One] warning.", "Another."], details=["A detail."], **baselines
    )
    stripped = [line.rstrip() for line in lines]
    assert stripped[:5] == ["The sentence.", "A detail.", "", "! [One] warning.", "! Another."]
    assert stripped[6].split()[:4] == ["optimizer", "batch", "rate", "test"]
    assert stripped[-2:] == [
        "Predicting the constant every time gives 50.0 %.",
        "the linear, the strength of its penalty chosen on validation rows: 50.0 %.",
    ]


def test_rows(text):
    first = cell("momentum", 1, verdict="as good")
    once = cell("sgd", 1078, chance=False)
    lost = cell("adam", 32, verdict="no verdict", diverged=1, **LOST)
    rows = [line.split() for line in text(first, once, lost, recommended=first)[3:6]]
    score, gap, costs = (
        ["97.8", "%", "(96.2", "to", "98.9)"],
        ["-0.1,", "-0.7", "to", "+0.5"],
        ["21,560", "0.421"],
    )
    assert rows[0] == ["momentum", "1", "0.1", *score, *gap, "as", "good", "*", "5", *costs]
    assert rows[1] == ["sgd", "full", "0.1", *score, *gap, "cannot", "tell", "one", "run", *costs]
    assert rows[2] == ["adam", "32", "0.1", "diverged", "unknown", "no", "verdict", "5", *costs]


def test_losses(text):
    changes = {"test": 0.2431, "test_low": 0.2302, "test_high": 0.2567, "gap": 0.002, "gap_low": -0.01}
    row = text(cell("sgd", 1, **{**changes, "gap_high": 0.013}), score="loss")[3]
    assert row.split()[3:11] == ["0.243", "(0.230", "to", "0.257)", "+0.002,", "-0.010", "to", "+0.013"]


def test_what_intervals_cover_is_said(text):
    caption = " ".join(line.strip() for line in text(cell("sgd", 1)))
    assert "Intervals cover fresh seeds and test rows; + is better." in caption
    assert "* recommended" in caption


def test_nothing_is_cut_in_a_terminal_of_80_columns(text):
    small = {"gap": -7e-6, "gap_low": -1.2e-5, "gap_high": -2.6e-6, "test_low": 0.224, "test_high": 0.399}
    lines = text(cell("momentum", 1078, **small), score="loss", width=80)
    assert "…" not in "".join(lines)
    assert "-7.0e-06" in "".join(lines)


def test_no_warnings_no_gap(text):
    assert text(cell("sgd", 1))[2].startswith("optimizer")


def test_only_the_best_are_shown(text):
    lines = text(*[cell("sgd", size) for size in range(1, 13)])
    assert sum(line.startswith("sgd") for line in lines) == terminal.NUM_ROWS
    caption = f"The best {terminal.NUM_ROWS} of 12 by validation accuracy of fresh seeds; "
    assert caption in " ".join(lines)


def test_names_are_texts_and_no_markup(text):
    shown = "\n".join(text(cell("own[/b] :smile:", 1), cell("[bold]adam", 32), score="[red]score"))
    for name in ("own[/b] :smile:", "[bold]adam", "test [red]score"):
        assert name in shown
