import math

import numpy as np
import pytest

from jaxgd.specs.wording import (
    batch_text,
    count_text,
    gap_text,
    list_text,
    margin_text,
    regime_text,
    score_text,
)
from jaxgd.studies.verdicts.concluding import CellScores, conclude

NAN = math.nan


@pytest.mark.parametrize(
    ("value", "low", "high", "score", "text"),
    [
        (0.978, 0.962, 0.989, "accuracy", "97.8 % (96.2 to 98.9)"),
        (1.0, 0.984, 1.0, "accuracy", "100.0 % (98.4 to 100.0)"),
        (0.5, NAN, NAN, "accuracy", "50.0 %"),
        (0.24312, 0.2312, 0.2558, "loss", "0.243 (0.231 to 0.256)"),
        (0.24312, 0.1, 0.9, "loss", "0.24 (0.10 to 0.90)"),
        (1234.4, 1180.0, 1290.0, "loss", "1234 (1180 to 1290)"),
        (0.24312, 0.24312, 0.24312, "loss", "0.2431 (0.2431 to 0.2431)"),
        (0.24312, NAN, NAN, "loss", "0.2431"),
        (NAN, NAN, NAN, "loss", "diverged"),
        (NAN, NAN, NAN, "accuracy", "diverged"),
    ],
)
def test_scores(value, low, high, score, text):
    assert score_text(value, low, high, score) == text


@pytest.mark.parametrize(
    ("gap", "low", "high", "score", "text"),
    [
        (0.003, -0.002, 0.008, "accuracy", "+0.3 points, -0.2 to +0.8"),
        (-0.1, -0.2, -0.05, "accuracy", "-10.0 points, -20.0 to -5.0"),
        (0.02, NAN, NAN, "accuracy", "+2.0 points"),
        (0.02, -math.inf, 0.1, "accuracy", "+2.0 points, ? to +10.0"),
        (0.0012, -0.003, 0.0054, "loss", "+0.0012, -0.0030 to +0.0054"),
        (-7.04e-6, -1.2e-5, -2.6e-6, "loss", "-7.0e-06, -1.2e-05 to -2.6e-06"),
        (2.0, -30.0, 40.0, "loss", "+2, -30 to +40"),
        (0.5, -math.inf, math.inf, "loss", "+0.5000"),
        (NAN, NAN, NAN, "loss", "unknown"),
    ],
)
def test_gaps(gap, low, high, score, text):
    assert gap_text(gap, low, high, score) == text


@pytest.mark.parametrize("right", [0, 1, 29, 30])
@pytest.mark.parametrize("seeds", [5, 40])
def test_no_text_crosses_0_or_100_percent(right, seeds):
    """Whatever the rows: the ends that are printed lie within what an accuracy can be."""
    rows = np.tile(np.arange(30) < right, (seeds, 1)).astype(float)
    found = conclude(CellScores([rows, np.tile(np.arange(30) < 15, (seeds, 1)) * 1.0], True, True), 0.02)
    for score, low, high in zip(found.score, found.score_low, found.score_high, strict=True):
        _, ends = score_text(score, low, high, "accuracy").split(" % (")
        least, most = map(float, ends.rstrip(")").split(" to "))
        assert 0 <= least < most <= 100
    for gap, low, high in zip(found.estimate, found.low, found.high, strict=True):
        _, ends = gap_text(gap, low, high, "accuracy").split(" points, ")
        assert all(-100 <= float(end) <= 100 for end in ends.split(" to "))


def test_margins():
    assert margin_text(0.005, "accuracy") == "0.5 points"
    assert margin_text(1 / 115, "accuracy") == "0.87 points"
    assert margin_text(0.00494, "loss") == "0.0049"


def test_names():
    assert [batch_text(size, 100) for size in (100, 1)] == ["full batch", "batch 1"]
    assert [regime_text(size, 100) for size in (100, 1, 32)] == ["BGD", "SGD", "batch 32"]
    assert [list_text(list(words)) for words in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
    assert [count_text(count, "epoch") for count in (1, 2, 21560)] == ["1 epoch", "2 epochs", "21,560 epochs"]
