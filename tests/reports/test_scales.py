import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from jaxgd.reports.scales import (
    bytes_text,
    log_places,
    round_values,
    rounded,
    score_scale,
    seconds_text,
    short_count,
    thin,
)


def test_a_fraction_stands_at_the_logarithm_of_its_error():
    scale = score_scale([0.5, 0.9], "accuracy", 50)
    # -log10(1 - value); no error among 50 examples is drawn as half an error: -log10(1/100).
    np.testing.assert_allclose(scale.position([0.9, 0.99, 1.0]), [1, 2, 2])
    assert scale.better == 1
    assert scale.text(0.978) == "97.8 %"
    assert scale.text(math.nan) == "diverged"


def test_a_loss_stands_at_its_logarithm():
    scale = score_scale([0.01, 10], "loss", 50)
    np.testing.assert_allclose(scale.position([0.01, 1, 10]), [-2, 0, 1])
    assert np.isnan(scale.position([np.nan])).all()
    assert scale.better == -1


@pytest.mark.parametrize("values", [[-1.0, 2.0], [0.0, 1.0], [np.nan]])
def test_a_loss_without_a_logarithm_stands_at_its_value(values):
    scale = score_scale(values, "loss", 50)
    assert scale.position([-1.0, 2.0]).tolist() == [-1, 2]
    assert scale.better == -1


def test_ticks_of_fractions_are_written_as_percent():
    places, texts = score_scale([0.5, 0.99], "accuracy", 1000).ticks(0, 2)
    assert {"90 %", "99 %"} <= set(texts)
    np.testing.assert_allclose(places[texts.index("90 %")], 1)


def test_ticks_of_losses_are_round_values():
    places, texts = score_scale([0.1, 2], "loss", 1).ticks(-1, math.log10(2))
    np.testing.assert_allclose([10**place for place in places], [float(text) for text in texts])
    assert "1" in texts


@given(st.floats(-8, 8), st.floats(1e-3, 8))
def test_log_places_lie_inside_and_apart(low, width):
    places = log_places(low, low + width)
    assert all(low - 1e-6 <= place <= low + width + 1e-6 for place in places)
    assert len(places) <= 8
    assert np.all(np.diff(places) >= width / 7 - 1e-9)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_round_values_lie_inside(low, width):
    values = round_values(low, low + width)
    assert 2 <= len(values) <= 11
    assert min(values) >= low - 1e-3 * width
    assert max(values) <= low + width + 1e-3 * width


def test_thin_keeps_both_ends():
    assert thin(3, 60) == [0, 1, 2]
    kept = thin(1000, 60)
    assert len(kept) == 60
    assert (kept[0], kept[-1]) == (0, 999)


def test_rounded_has_no_nan():
    assert rounded([0.123456, np.nan, np.inf]) == [0.1235, None, None]
    assert rounded([[1.0], [np.nan]]) == [[1.0], [None]]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (3.2e-6, "3.2 µs"), (0.0123, "12 ms"), (1.5, "1.5 s"), (0.9999, "1 s"), (720, "12 min")],
)
def test_seconds(seconds, text):
    assert seconds_text(seconds) == text


def test_counts_and_bytes():
    assert [short_count(n) for n in (850, 1000, 21_560, 1_500_000)] == ["850", "1 k", "22 k", "1.5 M"]
    assert [bytes_text(n) for n in (850, 230_000, 1_500_000)] == ["850 B", "230 kB", "1.5 MB"]
