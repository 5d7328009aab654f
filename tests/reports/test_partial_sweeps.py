"""Figures and pages of a sweep of which some runs were not run: these are shown as that."""

import numpy as np
import pytest

import jaxgd
from jaxgd import cli
from jaxgd.reports import figures
from jaxgd.reports.pages import of_sweep
from jaxgd.sweeps.blocks import Block, StackedStates, states_of
from jaxgd.sweeps.planning.plans import Plan, Program, Recipe
from jaxgd.sweeps.results.dataset import assemble

AXES = {"batch_size": [4, "full"], "learning_rate": [0.01, 0.1, 1.0], "seed": [0, 1]}
PROGRAM = Program("sgd", "4", tuple(range(6)), Recipe("map", 1, 1), "short", 1.0, 1.0, 1000)
PLAN = Plan((PROGRAM,), 3, "1 x cpu", {"jaxgd": "0"}, 12, 1.0, 0.0)
NAMES = ["train_loss", "valid_loss"]


def block(place, loss, status=0):
    """One run at a place of the grid."""
    row = [3 * loss, 2 * loss, np.nan if status else loss]
    history = {name: np.array([row], np.float32) for name in NAMES}
    for name, size in (("updates", 3), ("examples", 12)):
        history[name] = np.array([[1, 2, 3]], np.int32) * size
    states = StackedStates(({"w": np.zeros((1, 2))}, None), 1)
    ends = np.array([status]), np.array([5 if status else -1])
    return Block(np.array([place]), history, *ends, None, states)


def result(*lanes):
    blocks = [block(place, *lane) for place, lane in enumerate(lanes)]
    return jaxgd.SweepResult(assemble(AXES, 12, blocks, None, PLAN, NAMES), PLAN, AXES, states_of(blocks, 12))


# Of batch size 4 a whole point, one with a run that diverged, half a point; of the full batch nothing.
SOME = result((0.5,), (0.7,), (0.1,), (0.2, 2), (0.3,))


def named(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def test_a_map_has_dots_where_runs_were_not_run():
    figure = figures.rate_map(SOME, "valid_loss")
    cells = figure.data[0]
    assert [[value is None for value in row] for row in cells.z] == [[False, True, True], [True] * 3]
    assert [text.split("<br>")[1] for text in cells.text[0]] == [
        "0.6, mean of 2 runs",
        "1 of 2 runs diverged",
        "1 of 2 runs not run",
    ]
    assert cells.text[1][0].endswith("2 of 2 runs not run")
    (hatched,), (dotted,) = named(figure, "a run diverged"), named(figure, "not run")
    assert (len(hatched.x), len(dotted.x)) == (6, 4 * 6)
    assert figure.layout.meta["words"].endswith("1 of 6 cells diverged, 4 were not run.")


def test_a_slice_has_circles_where_runs_were_not_run():
    figure = figures.slice(SOME, "learning_rate", "valid_loss")
    (crosses,), (circles,) = named(figure, "a run diverged"), named(figure, "not run")
    assert crosses.x == (0.1,)
    assert sorted(circles.x) == [0.01, 0.1, 1.0, 1.0]
    assert {text.split("<br>")[0] for text in circles.text} == {"not run"}


def test_curves_are_of_points_that_have_all_runs():
    figure = figures.learning_curves(SOME, "valid_loss", by="batch_size")
    assert [trace.name for trace in figure.data if trace.name] == ["mini-batch 4"]
    assert figure.data[-1].text == ("1.8", "1.2", "0.6")


def test_a_curve_says_what_it_lacks():
    figure = figures.learning_curves(SOME, "valid_loss", by="learning_rate", batch_size=4)
    names = [trace.name for trace in figure.data if trace.name]
    assert names == ["learning_rate 0.01", "learning_rate 0.1", "learning_rate 1 (1 of 2 runs not run)"]
    assert set(figure.data[-1].text) == {"not run"}
    assert len(figure.data) == 3 * 2 + 2  # a mean each, and every run that was run


@pytest.mark.parametrize("found", [SOME, result()], ids=["some", "none"])
def test_the_page_says_it(found, tmp_path, capsys):
    found.save(tmp_path / "d")
    assert cli.main(["report", str(tmp_path / "d")]) == 0
    page = (tmp_path / "d" / "report.html").read_text()
    assert f"The sweep was interrupted: {12 - found.num_ended} of 12 runs were not run" in page
    assert f"{12 - found.num_ended} not run" in page
    assert "runs not run" in page


def test_the_page_of_a_whole_sweep_does_not():
    whole = result(*[(0.5,)] * 12)
    page = of_sweep.page(whole)
    assert "not run" not in page.replace("not run<", "").split("<script")[0]
    for figure in (figures.rate_map(whole), figures.slice(whole, "learning_rate")):
        assert not named(figure, "not run")
