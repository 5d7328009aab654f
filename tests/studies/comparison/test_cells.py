"""Which rate a cell gets, and the order of cells."""

import math

import numpy as np

from jaxgd.studies.comparison.cells import best_rates, first_round, order_of

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


def scores(cells, rows=4):
    """Test scores [optimizer, batch_size, seed, example], alike for every example."""
    return np.repeat(np.asarray(cells, float)[..., None], rows, axis=-1)


def test_the_order_is_by_the_fresh_seeds_validation_score(make_fresh):
    test = scores([[[0.9] * 3, [0.1] * 3], [[0.5] * 3, [0.2] * 3]])
    valid = [[[0.8] * 3, [0.9] * 3], [[0.95] * 3, [0.85] * 3]]
    assert order_of(make_fresh(*TWO, 0.1, test, valid), "accuracy") == [(1, 0), (0, 1), (1, 1), (0, 0)]


def test_what_a_fresh_seed_lost_comes_last(make_fresh):
    test = scores([[[0.9, NAN, 0.9], [0.1] * 3], [[NAN] * 3, [0.2] * 3]])
    valid = [[[0.99] * 3, [0.9] * 3], [[0.95] * 3, [0.85] * 3]]
    order = order_of(make_fresh(*TWO, 0.1, test, valid), "accuracy")
    assert order[:2] == [(0, 1), (1, 1)]
    assert set(order[2:]) == {(0, 0), (1, 0)}


def test_equal_accuracies_are_ordered_by_the_loss(make_fresh):
    fresh = make_fresh(*TWO, 0.1, scores([[[0.9] * 3] * 2] * 2), np.full((2, 2, 3), 0.9))
    fresh.valid_loss[:] = np.reshape([0.4, 0.1, 0.2, 0.3], (2, 2, 1, 1))
    assert order_of(fresh, "accuracy") == [(0, 1), (1, 0), (1, 1), (0, 0)]


def test_the_first_round_has_the_seeds_of_every_cell(make_fresh):
    test = scores(np.full((2, 2, 4), 0.9))
    test[0, 1, 2:] = NAN
    fresh = make_fresh(*TWO, 0.1, test, not_run=[(0, 1, 2), (0, 1, 3)])
    assert first_round(fresh).seed.values.tolist() == [3, 4]
    # A mean is over the seeds that a cell was run on.
    assert order_of(fresh, "accuracy") == [(0, 0), (0, 1), (1, 0), (1, 1)]
