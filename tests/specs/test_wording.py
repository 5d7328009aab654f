import math

import pytest

from jaxgd.specs.wording import (
    batch_text,
    count_text,
    difference_text,
    halfwidth_text,
    list_text,
    regime_text,
    score_text,
)


@pytest.mark.parametrize(
    ("value", "halfwidth", "score", "text"),
    [
        (0.978, 0.004, "accuracy", "97.8 % ± 0.4"),
        (1.0, 0.0, "accuracy", "100.0 % ± 0.0"),
        (0.5, math.nan, "accuracy", "50.0 %"),
        (0.24312, 0.0042, "loss", "test loss 0.2431 ± 0.0042"),
        (0.24312, 0.42, "loss", "test loss 0.24 ± 0.42"),
        (1234.4, 57.0, "loss", "test loss 1234 ± 57"),
        (0.24312, 0.0, "loss", "test loss 0.2431 ± 0.0000"),
        (0.24312, math.nan, "loss", "test loss 0.2431"),
        (math.nan, math.nan, "loss", "diverged"),
    ],
)
def test_scores(value, halfwidth, score, text):
    assert score_text(value, halfwidth, score) == text


def test_differences():
    assert difference_text(-0.003, 0.006, "accuracy") == "-0.3 ± 0.6"
    assert difference_text(0.0012, 0.0042, "loss") == "+0.0012 ± 0.0042"
    assert difference_text(math.nan, math.nan, "loss") == "diverged"
    assert halfwidth_text(0.006, "accuracy") == "± 0.6"


def test_names():
    assert [batch_text(size, 100) for size in (100, 1)] == ["full batch", "batch 1"]
    assert [regime_text(size, 100) for size in (100, 1, 32)] == ["BGD", "SGD", "batch 32"]
    assert [list_text(list(words)) for words in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
    assert [count_text(count, "epoch") for count in (1, 2, 21560)] == ["1 epoch", "2 epochs", "21,560 epochs"]
