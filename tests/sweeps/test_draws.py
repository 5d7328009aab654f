"""Draws of points: where they lie, how evenly, and that a seed repeats them."""

import math

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.sweeps.draws import METHODS, draw, int_uniform, log_uniform, uniform

RANGES = {
    "learning_rate": log_uniform(1e-4, 1),
    "b1": uniform(0.8, 0.99),
    "width": [32, 64, 128],
    "layers": int_uniform(1, 4),
}


def column(points, name):
    return np.array([point[name] for point in points])


@pytest.mark.parametrize("method", METHODS)
def test_points_lie_in_their_ranges(method):
    points = draw(200, RANGES, method)
    assert len(points) == 200
    assert all(list(point) == list(RANGES) for point in points)
    rates = column(points, "learning_rate")
    assert rates.min() >= 1e-4
    assert rates.max() <= 1
    assert 0.8 <= column(points, "b1").min() < column(points, "b1").max() < 0.99
    assert set(column(points, "width")) == {32, 64, 128}
    assert set(column(points, "layers")) == {1, 2, 3, 4}
    assert {type(value) for value in points[0].values()} == {float, int}


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_repeats_its_draws(method):
    assert draw(8, RANGES, method, seed=3) == draw(8, RANGES, method, seed=3)
    assert draw(8, RANGES, method, seed=3) != draw(8, RANGES, method, seed=4)


@pytest.mark.parametrize("num", [1, 5, 16, 21])
def test_the_first_sobol_points_do_not_depend_on_how_many(num):
    assert draw(num, RANGES) == draw(64, RANGES)[:num]


def test_sobol_points_are_even_in_two_ranges_at_once():
    points = draw(64, {"x": uniform(0, 1), "y": log_uniform(1, math.exp(8))})
    cells = np.floor(8 * column(points, "x")), np.floor(np.log(column(points, "y")))
    counts = np.zeros((8, 8), int)
    np.add.at(counts, tuple(cell.astype(int) for cell in cells), 1)
    assert (counts == 1).all()


def test_latin_points_are_even_in_each_range():
    points = draw(10, {"x": uniform(0, 1), "y": uniform(-5, 5)}, "latin")
    assert sorted(np.floor(10 * column(points, "x"))) == list(range(10))
    assert sorted(np.floor(column(points, "y"))) == list(range(-5, 5))


def test_whole_numbers_by_their_logarithm():
    values = column(draw(2048, {"n": int_uniform(1, 1000, log=True), "x": uniform(0, 1)}), "n")
    assert values.min() == 1
    assert 990 < values.max() <= 1000
    shares = [np.mean((values >= low) & (values < 10 * low)) for low in (1, 10, 100)]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.02)


def test_no_point_twice():
    points = draw(12, {"width": [1, 2, 3], "layers": int_uniform(1, 4)}, "random")
    assert len({tuple(point.values()) for point in points}) == 12
    with pytest.raises(ValueError, match="num is 13, but the ranges have only 12 different points"):
        draw(13, {"width": [1, 2, 3], "layers": int_uniform(1, 4)})
    with pytest.raises(ValueError, match=r"num is 3000, but the ranges gave only \d+ different points"):
        draw(3000, {"n": int_uniform(1, 3000, log=True)}, "random")


def test_values_of_a_list_may_be_anything():
    assert {point["f"] for point in draw(4, {"f": [jaxgd.sgd, "full", None, 2]})} == {
        jaxgd.sgd,
        "full",
        None,
        2,
    }
    rates = jax.numpy.logspace(-3, -1, 3)
    assert {point["r"] for point in draw(3, {"r": rates})} == set(np.asarray(rates))
    assert {point["n"] for point in draw(3, {"n": np.arange(3)})} == {0, 1, 2}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw(0, RANGES), "num must be a whole number, 1 or more, got 0"),
        (lambda: draw(2.0, RANGES), "num must be a whole number"),
        (lambda: draw(2, RANGES, seed=-1), "seed must be a whole number, from 0 to 4294967295, got -1"),
        (lambda: draw(2, {}), "ranges must have at least one name"),
        (lambda: draw(2, [uniform(0, 1)]), "ranges must have at least one name"),
        (lambda: draw(2, {1: [1, 2]}), "names that are strings, got 1"),
        (lambda: draw(2, {"b1": 0.9}), r"ranges\['b1'\] must be uniform\(low, high\), .* got 0.9"),
        (lambda: draw(2, {"b1": "ab"}), r"ranges\['b1'\] must be"),
        (lambda: draw(2, {"b1": []}), r"ranges\['b1'\] must be"),
        (lambda: draw(2, RANGES, "sobl"), "unknown method 'sobl'; did you mean 'sobol'"),
        (lambda: uniform(1, 0), "uniform needs two finite numbers, the lower one first, got 1 and 0"),
        (lambda: uniform(1, 1), "uniform needs two finite numbers"),
        (lambda: uniform(0, math.inf), "uniform needs two finite numbers"),
        (lambda: uniform("0", 1), "uniform needs numbers, got '0'"),
        (lambda: log_uniform(0, 1), "log_uniform needs two finite numbers above 0, the lower one first"),
        (lambda: int_uniform(1, 2.5), "int_uniform needs whole numbers, got 2.5"),
        (lambda: int_uniform(0, 2, log=True), "int_uniform needs two finite numbers above 0"),
    ],
)  # fmt: skip
def test_bad_arguments(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_counts_of_any_spelling():
    ranges = {"width": jaxgd.int_uniform(np.int8(1), np.int8(100)), "rate": jaxgd.uniform(0, 1)}
    drawn = jaxgd.draw(np.uint8(4), ranges, seed=np.int64(3))
    plain = {"width": jaxgd.int_uniform(1, 100), "rate": jaxgd.uniform(0, 1)}
    assert drawn == jaxgd.draw(4, plain, seed=3)
    assert all(type(point["width"]) is int for point in drawn)
