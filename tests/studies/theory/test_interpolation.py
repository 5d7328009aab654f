"""The critical batch size of interpolation: the hand calculation, and what it says of SGD."""

import math

import numpy as np
import pytest

from jaxgd.studies import interpolation_batch_size

ROWS = [[1, 0], [0.6, 0.8]]


def test_two_rows():
    found = interpolation_batch_size(ROWS)
    assert found.critical == pytest.approx(2.66667, rel=1e-5)
    assert (found.largest_norm, found.largest, found.smallest) == pytest.approx((1, 0.8, 0.2))
    np.testing.assert_allclose(found.learning_rate([1, 2, 8]), [1, 1.66667, 2], rtol=1e-5)
    np.testing.assert_allclose(found.contraction([1, 2, 8]), [0.8, 0.666667, 0.44], rtol=1e-5)
    np.testing.assert_allclose(found.speed_up([1, 2]), [1, math.log(2 / 3) / math.log(0.8)], rtol=1e-12)
    assert isinstance(found.speed_up(4), float)


def test_the_rate_is_the_best():
    rng = np.random.default_rng(0)
    found = interpolation_batch_size(rng.normal(size=(6, 3)) * [1, 2, 4])
    for size in (1, 2, found.critical, 20):
        rates = found.learning_rate(size) * np.linspace(0.5, 1.5, 1001)
        at = np.array([found.largest, found.smallest])[:, None]
        bound = 1 - 2 * rates * at + rates**2 * (found.largest_norm * at + (size - 1) * at**2) / size
        assert bound.max(axis=0).min() == pytest.approx(found.contraction(size), abs=1e-5)


def test_rows_beyond_the_rank_do_not_count():
    rows = np.array(ROWS)
    wide = np.hstack([rows, rows[:, :1] + rows[:, 1:]])  # a third column that depends on the others
    found = interpolation_batch_size(wide)
    assert found.smallest > 0.1
    assert interpolation_batch_size(np.eye(3)).critical == math.inf


def test_one_update_shrinks_the_distance_as_it_says():
    """Equal rows norms: the bound is exact along the worst eigenvector."""
    rows, found = np.array(ROWS), interpolation_batch_size(ROWS)
    vector = np.linalg.eigh(rows.T @ rows / 2)[1][:, 0]
    rate = found.learning_rate(1)
    after = [vector - rate * row * (row @ vector) for row in rows]
    assert np.mean([a @ a for a in after]) == pytest.approx(found.contraction(1))


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"inputs must have shape \[examples, features\], got \[3\]"):
        interpolation_batch_size([1, 2, 3])
    with pytest.raises(ValueError, match="inputs must be finite, got nan"):
        interpolation_batch_size([[1, math.nan]])
    with pytest.raises(ValueError, match="inputs must not be all 0"):
        interpolation_batch_size([[0, 0]])
    with pytest.raises(ValueError, match="batch_size must be finite and 1 or more, got 0"):
        interpolation_batch_size(ROWS).learning_rate([1, 0])
