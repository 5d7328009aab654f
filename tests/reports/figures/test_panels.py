import numpy as np
import pytest

from jaxgd.reports.figures import Panel, side_by_side
from jaxgd.reports.figures.panels import LABEL_GAP, MOST_POINTS

X = np.arange(1, 5)


def labels(figure):
    return {note.text: note for note in figure.layout.annotations if not note.text.startswith("<b>")}


def test_seeds_are_a_median_in_a_band():
    seeds = np.array([[1.0, 2, 3, 4], [2, 3, 4, 5], [9, 9, 9, 9]])
    band, median = side_by_side(Panel("a", "x", "y", {"adam": (X, seeds)})).data
    assert list(median.y) == [2, 3, 4, 5]
    assert list(band.y) == [9, 9, 9, 9, 4, 3, 2, 1]


def test_a_name_has_one_colour_in_all_panels():
    lines = {"one": (X, X), "two": (X, X + 1)}
    figure = side_by_side(Panel("a", "x", "y", lines), Panel("b", "x", "y", {"two": (X, X)}))
    colours = [trace.line.color for trace in figure.data if trace.name == "two"]
    assert len(colours) == 2
    assert len(set(colours)) == 1
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0]


@pytest.mark.parametrize("ends", [[1, 1, 1], [1, 1.001, 5], [5, 5, 5], [4.99, 5, 1]])
def test_labels_do_not_overlap_and_stay_inside(ends):
    lines = {f"line {place}": (X, [1, 2, 5, end]) for place, end in enumerate(ends)}
    heights = sorted(note.y for note in labels(side_by_side(Panel("a", "x", "y", lines))).values())
    assert np.diff(heights).min() > LABEL_GAP - 1e-9
    assert heights[-1] <= 1


def test_a_label_stands_where_its_line_ends():
    lines = {"high": (X, [1, 10, 100, 1000]), "short": (X[:2], [1, 10]), "cut": (X, [1, 10, np.nan, np.nan])}
    found = labels(side_by_side(Panel("a", "x", "y", lines, log="y")))
    assert found["high"].x > 0.9
    assert found["short"].x == found["cut"].x == pytest.approx(1 / 3, abs=0.05)
    assert {abs(found[name].y - 1 / 3) < 0.1 for name in ("short", "cut")} == {True}


def test_small_powers_are_written_as_powers():
    axis = side_by_side(Panel("a", "x", "y", {"a": (X, [1e-6, 1e-4, 1, 100])}, log="y")).layout.yaxis
    assert axis.type == "log"
    assert "10<sup>−6</sup>" in axis.ticktext
    assert "100" in axis.ticktext


def test_long_lines_are_thinned():
    points = np.arange(5000)
    line = side_by_side(Panel("a", "x", "y", {"a": (points, points)})).data[0]
    assert len(line.x) == MOST_POINTS
    assert (line.x[0], line.x[-1]) == (0, 4999)
