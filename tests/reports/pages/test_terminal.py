import io
import math
from types import SimpleNamespace

import pytest
from rich.console import Console

from jaxgd.reports.pages import terminal
from jaxgd.studies.comparison.cells import Cell
from jaxgd.studies.comparison.comparing import Comparison


def cell(optimizer, batch_size, **changes):
    whole = {
        "learning_rate": 0.1,
        "valid": 0.98,
        "test": 0.978,
        "test_halfwidth": 0.004,
        "updates": 21560,
        "examples": 21560,
        "seconds": 0.421,
        "bytes": 1000,
        "diverged": 0,
        "difference": -0.001,
        "difference_halfwidth": 0.006,
        "indistinguishable": True,
    }
    return Cell(optimizer, batch_size, **{**whole, **changes})


@pytest.fixture
def text():
    """What a terminal of 100 columns shows of these cells."""

    def show(*cells, warnings=(), score="accuracy"):
        about = SimpleNamespace(num_train=1078, fresh_seeds=5)
        empty = {"grid": None, "fresh": None, "clock": None, "snippet": ""}
        comparison = Comparison(
            data="digits",
            score=score,
            cells=list(cells),
            sentence="The sentence.",
            warnings=list(warnings),
            about=about,  # pyright: ignore[reportArgumentType]
            **empty,  # pyright: ignore[reportArgumentType]
        )
        console = Console(file=io.StringIO(), width=100)
        console.print(terminal.render(comparison))
        return console.file.getvalue().splitlines()  # pyright: ignore[reportAttributeAccessIssue]

    return show


def test_sentence_then_warnings_then_table(text):
    lines = text(cell("momentum", 1, difference=0.0), warnings=["[One] warning.", "Another."])
    assert [line.rstrip() for line in lines[:4]] == ["The sentence.", "", "! [One] warning.", "! Another."]
    assert lines[5].split()[:4] == ["optimizer", "batch", "rate", "test"]


def test_rows(text):
    diverged = cell("adam", 32, test=math.nan, difference=math.nan, indistinguishable=False)
    rows = text(cell("momentum", 1), cell("sgd", 1078), diverged)[3:6]
    assert rows[0].split() == ["momentum", "1", "0.1", "97.8", "%", "±", "0.4", "21,560", "0.421"]
    assert rows[1].split() == [
        "sgd",
        "full",
        "0.1",
        "97.8",
        "%",
        "±",
        "0.4",
        "-0.1",
        "±",
        "0.6",
        "≈",
        "21,560",
        "0.421",
    ]
    assert rows[2].split() == ["adam", "32", "0.1", "diverged", "diverged", "21,560", "0.421"]


def test_losses_are_not_called_losses_in_every_row(text):
    row = text(cell("sgd", 1, test=0.2431, test_halfwidth=0.0042), score="loss")[3]
    assert row.split() == ["sgd", "1", "0.1", "0.2431", "±", "0.0042", "21,560", "0.421"]


def test_no_warnings_no_gap(text):
    assert text(cell("sgd", 1))[2].startswith("optimizer")


def test_only_the_best_are_shown(text):
    lines = text(*[cell("sgd", size) for size in range(1, 13)])
    assert sum(line.startswith("sgd") for line in lines) == terminal.NUM_ROWS
    assert f"The best {terminal.NUM_ROWS} of 12 by validation accuracy." in " ".join(lines)


def test_names_are_texts_and_no_markup(text):
    shown = "\n".join(text(cell("own[/b] :smile:", 1), cell("[bold]adam", 32), score="[red]score"))
    for name in ("own[/b] :smile:", "[bold]adam", "test [red]score"):
        assert name in shown
