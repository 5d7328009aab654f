import math

import numpy as np
import pytest

from jaxgd.studies.comparison.cells import best_rates, rank_cells

NAN = math.nan
TWO = (["sgd", "adam"], [100, 10])


def test_best_rate_by_mean_over_seeds(make_grid):
    # Rate 1 has the best single run, rate 0 the best mean.
    grid = make_grid(["sgd"], [10], [0.1, 1.0], [[[[0.8, 0.8], [0.9, 0.6]]]])
    assert best_rates(grid, "accuracy").values.tolist() == [[0]]


def test_a_rate_with_a_diverged_seed_is_worst(make_grid):
    grid = make_grid(["sgd"], [10], [0.1, 1.0], [[[[0.2, 0.2], [0.9, NAN]]]])
    assert best_rates(grid, "accuracy").values.tolist() == [[0]]


def test_equal_accuracies_are_decided_by_loss_then_by_the_smaller_rate(make_grid):
    same = [[[[0.9], [0.9], [0.9]]]]
    grid = make_grid(["sgd"], [10], [0.1, 1.0, 2.0], same, loss=[[[[0.5], [0.3], [0.3]]]])
    assert best_rates(grid, "accuracy").values.tolist() == [[1]]


def test_smallest_rate_where_all_diverged(make_grid):
    grid = make_grid(["sgd"], [10], [1.0, 0.1], [[[[NAN], [NAN]]]])
    assert best_rates(grid, "accuracy").values.tolist() == [[1]]


def test_lower_loss_is_better(make_grid):
    grid = make_grid(["sgd"], [10], [0.1, 1.0], [[[[0.9], [0.1]]]], loss=[[[[0.4], [0.2]]]])
    assert best_rates(grid, "loss").values.tolist() == [[1]]


@pytest.fixture
def two_by_two(make_grid, make_fresh, make_clock):
    """Best rates 0.1, 0.1, 1.0, 0.1, so validation scores .80, .90, .95, .85."""
    valid = [[[[0.8], [0.7]], [[0.9], [0.3]]], [[[0.7], [0.95]], [[0.85], [0.2]]]]
    test = [[[0.7, 0.8, 0.9], [0.8, 0.9, 1.0]], [[0.9, 0.9, 0.9], [0.5, 0.5, 0.5]]]
    rates = [[0.1, 0.1], [1.0, 0.1]]

    def build(test=test):
        return (
            make_grid(*TWO, [0.1, 1.0], valid),
            make_fresh(*TWO, rates, test),
            make_clock(*TWO, [[0.01, 0.002], [0.02, 0.004]]),
        )

    return build


def test_order_is_by_validation_and_scores_are_of_the_test_split(two_by_two):
    cells = rank_cells(*two_by_two(), "accuracy")
    assert [(c.optimizer, c.batch_size, c.valid) for c in cells] == [
        ("adam", 100, 0.95),
        ("sgd", 10, 0.9),
        ("adam", 10, 0.85),
        ("sgd", 100, 0.8),
    ]
    assert [c.test for c in cells] == pytest.approx([0.9, 0.9, 0.5, 0.8])
    assert [c.learning_rate for c in cells] == [1.0, 0.1, 0.1, 0.1]


def test_differences_are_paired_against_the_first(two_by_two):
    first, second, third, fourth = rank_cells(*two_by_two(), "accuracy")
    assert (first.difference, first.difference_halfwidth, first.indistinguishable) == (0, 0, True)
    # Differences -.1, 0, .1: mean 0, s = .1, t(2) = 4.302653: 4.302653 * .1 / sqrt(3).
    assert (second.difference, second.difference_halfwidth) == pytest.approx((0, 0.248414), abs=1e-6)
    assert second.indistinguishable
    assert (third.difference, third.difference_halfwidth) == pytest.approx((-0.4, 0), abs=1e-9)
    assert not third.indistinguishable
    assert fourth.difference == pytest.approx(-0.1)


def test_costs_of_one_run(two_by_two):
    first, second = rank_cells(*two_by_two(), "accuracy")[:2]
    assert (first.updates, first.examples, first.seconds) == (1, 100, pytest.approx(0.02))
    assert (second.updates, second.examples, second.seconds) == (10, 100, pytest.approx(0.02))
    assert first.bytes == 1000


def test_a_cell_with_a_diverged_fresh_seed_comes_last(two_by_two):
    test = [[[0.7, 0.8, 0.9], [0.8, 0.9, 1.0]], [[0.9, NAN, 0.9], [0.5, 0.5, 0.5]]]
    cells = rank_cells(*two_by_two(test), "accuracy")
    assert (cells[0].optimizer, cells[0].batch_size) == ("sgd", 10)
    last = cells[-1]
    assert (last.optimizer, last.batch_size, last.diverged) == ("adam", 100, 1)
    assert np.isnan(last.test)
    assert not last.indistinguishable
