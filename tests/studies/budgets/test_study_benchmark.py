"""The benchmark of a study: few trials of it, which have more on the page."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "study.py"


@pytest.mark.slow
def test_equal_methods_seldom_have_a_winner(benchmark):
    """At 5 % of 40 trials, six or more are as probable as 0.014."""
    for _, _, _, (either, first, second) in benchmark.null_rows(40):
        assert either <= 5 / 40
        assert max(first, second) <= either <= first + second


@pytest.mark.slow
def test_decisions_are_about_as_good_as_the_oracle_s(benchmark):
    rows = list(benchmark.decision_rows(60))
    assert [row[0] for row in rows[::3]] == list(benchmark.SEEDS)
    for ours, oracle in zip(rows[::3], rows[1::3], strict=True):
        assert ours[2] >= oracle[2] - 0.1
        assert abs(ours[2] - ours[3]) < 0.2  # as often as was said


def test_what_is_decided(benchmark):
    true, seconds = np.array([1.0, 1.01, 1.05]), np.array([4.0, 2.0, 1.0])
    good, slow, bad = (benchmark._decision(cell, true, seconds) for cell in (1, 0, 2))
    assert good[:3] == (pytest.approx(0.01 / benchmark.MARGIN), 1.0, True)
    assert (slow.is_good, slow.seconds, slow.score) == (False, 2.0, 0.0)
    assert not bad.is_good


def test_a_table_is_printed():
    command = [sys.executable, str(SCRIPT), "--null", "--trials", "2"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.count("\n| a method and itself") == 24
    assert "micro-batch" not in printed
