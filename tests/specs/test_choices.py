import math
from itertools import pairwise

import numpy as np
import pytest

from jaxgd.arguments import whole_number
from jaxgd.specs.choices import (
    Seeds,
    check_batch_sizes,
    check_choices,
    check_learning_rates,
    check_optimizers,
    check_seeds,
)
from jaxgd.specs.presets import ALL_OPTIMIZERS, DEFAULT, LEARNING_RATES, QUICK


def test_counts():
    assert whole_number("epochs", np.int64(3)) == 3
    assert whole_number("fresh_seeds", 2, 2) == 2


@pytest.mark.parametrize("value", [0, -1])
def test_too_few(value):
    with pytest.raises(ValueError, match=rf"epochs must be a whole number, 1 or more, got {value}"):
        whole_number("epochs", value)


@pytest.mark.parametrize("value", [2.0, "2", True, None, np.array([2]), np.float32(2), np.True_])
def test_no_whole_number(value):
    with pytest.raises(TypeError, match=r"epochs must be a whole number, 1 or more, got"):
        whole_number("epochs", value)


def test_optimizers():
    assert check_optimizers(None) == DEFAULT.optimizers
    assert check_optimizers("all") == ALL_OPTIMIZERS
    assert "adamw" not in ALL_OPTIMIZERS
    assert check_optimizers("adamw") == ("adamw",)


def test_an_optimizer_twice():
    with pytest.raises(ValueError, match=r"^optimizers has 'sgd' twice; each name is given once$"):
        check_optimizers(["adam", "sgd", "sgd"])


def test_unknown_optimizer():
    with pytest.raises(ValueError, match=r"unknown optimizer 'adm'; did you mean 'adam'\?"):
        check_optimizers(["sgd", "adm"])
    with pytest.raises(ValueError, match=r"unknown optimizer 'xyz'; known: sgd, "):
        check_optimizers(["xyz"])
    with pytest.raises(ValueError, match=r"optimizers is empty"):
        check_optimizers([])


def test_rates():
    assert check_learning_rates(None, ("sgd",)) == {"sgd": LEARNING_RATES["sgd"]}
    assert check_learning_rates([1, 0.1, 1.0], ("sgd", "adam")) == {"sgd": (0.1, 1.0), "adam": (0.1, 1.0)}
    assert check_learning_rates(0.1, ("sgd",)) == {"sgd": (0.1,)}
    assert check_learning_rates(np.array([0.1]), ("sgd",)) == {"sgd": (0.1,)}
    assert check_learning_rates(np.float32(0.5), ("sgd",)) == {"sgd": (0.5,)}
    assert check_learning_rates({"sgd": [1.0], "adam": [0.1]}, ("adam",)) == {"adam": (0.1,)}


@pytest.mark.parametrize("rate", [-1.0, 0.0, math.nan, math.inf])
def test_bad_rates(rate):
    with pytest.raises(ValueError, match=r"learning_rates has .*; a finite number above 0 is needed"):
        check_learning_rates([0.1, rate], ("sgd",))


def test_other_bad_rates():
    with pytest.raises(TypeError, match=r"learning_rates has 'x'"):
        check_learning_rates(["x"], ("sgd",))
    with pytest.raises(ValueError, match=r"learning_rates is empty"):
        check_learning_rates([], ("sgd",))
    with pytest.raises(ValueError, match=r"learning_rates has no rates for 'adam'"):
        check_learning_rates({"sgd": [0.1]}, ("sgd", "adam"))
    with pytest.raises(ValueError, match=r"sgd has 1, adam has 2; each optimizer needs as many"):
        check_learning_rates({"sgd": [0.1], "adam": [0.1, 0.2]}, ("sgd", "adam"))


def test_batch_sizes():
    assert check_batch_sizes(["full", 32, 1, 32], 100) == ("full", 32, 1)
    assert check_batch_sizes([32, 100, "full"], 100) == (32, "full")
    assert check_batch_sizes("full", 100) == ("full",)
    assert check_batch_sizes(7) == check_batch_sizes(np.int64(7)) == check_batch_sizes(np.array([7])) == (7,)
    assert [type(size) for size in check_batch_sizes(np.arange(1, 3), 100)] == [int, int]


@pytest.mark.parametrize("size", [0, -1, 101])
def test_batch_size_out_of_range(size):
    with pytest.raises(
        ValueError, match=rf"batch_sizes has {size}; allowed: .* 1 to 100, the number of training"
    ):
        check_batch_sizes([size], 100)


@pytest.mark.parametrize("size", ["half", 2.5, True])
def test_batch_size_that_is_none(size):
    with pytest.raises(TypeError, match=r'batch_sizes has .*; allowed: "full"'):
        check_batch_sizes([size], 100)


def test_preset_sizes_that_fit():
    assert check_choices().batch_sizes_of(100) == ("full", 32, 1)
    assert check_choices(preset=QUICK).batch_sizes_of(32) == ("full",)
    assert check_choices(batch_sizes=[8, 100]).batch_sizes_of(100) == (8, "full")
    with pytest.raises(ValueError, match=r"batch_sizes has 8; allowed: .* to 7"):
        check_choices(batch_sizes=8).batch_sizes_of(7)


@pytest.mark.parametrize("sizes", [DEFAULT, QUICK])
def test_presets_are_valid(sizes):
    optimizers = check_optimizers(sizes.optimizers)
    assert optimizers == sizes.optimizers
    assert set(check_learning_rates(None, optimizers)) == set(optimizers)
    assert check_batch_sizes(sizes.batch_sizes, 1000) == sizes.batch_sizes


def test_seeds():
    assert check_seeds(None, None, None, None, None) == Seeds(0, 3, 5, 40, 60.0)
    assert check_seeds(None, None, None, None, None, QUICK) == Seeds(0, 2, 5, 5, 60.0)
    assert check_seeds(np.int64(2), 6, 10, 7, 0) == Seeds(10, 2, 6, 7, 0.0)
    # More fresh seeds than the preset has at most are all in the first round.
    assert check_seeds(None, 50, None, None, None).rounds == [50]
    assert check_seeds(None, 8, None, None, None, QUICK).rounds == [8]


def test_fresh_seeds_follow_the_tuning_seeds():
    seeds = Seeds(10, 3, 5, 40, 60.0)
    assert list(seeds.tuning) == [10, 11, 12]
    assert list(seeds.fresh(0, 5)) == [13, 14, 15, 16, 17]
    assert list(seeds.fresh(5, 7)) == [18, 19]


@pytest.mark.parametrize(
    ("fresh", "most", "rounds"),
    [
        (5, 40, [5, 10, 20, 40]),
        (5, 5, [5]),
        (5, 13, [5, 10, 13]),
        (3, 40, [3, 6, 12, 24, 40]),
        (8, 16, [8, 16]),
    ],
)
def test_rounds_double(fresh, most, rounds):
    assert Seeds(0, 3, fresh, most, 60.0).rounds == rounds


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"seeds": 0}, ValueError, "^seeds must be a whole number, 1 or more, got 0$"),
        ({"fresh_seeds": 0}, ValueError, "^fresh_seeds must be a whole number, 1 or more, got 0$"),
        ({"fresh_seeds": 2.5}, TypeError, "^fresh_seeds must be a whole number, 1 or more, got 2.5$"),
        ({"first_seed": -1}, ValueError, "^first_seed must be a whole number, from 0 to 4294967295, got -1$"),
        (
            {"first_seed": True},
            TypeError,
            "^first_seed must be a whole number, from 0 to 4294967295, got True$",
        ),
        (
            {"first_seed": 2**32 - 42},
            ValueError,
            r"^first_seed must leave all seeds below 2\*\*32, got 4294967254$",
        ),
        ({"max_seeds": 0}, ValueError, "^max_seeds must be a whole number, 1 or more, got 0$"),
        ({"max_seeds": 4}, ValueError, "^max_seeds must be fresh_seeds or more, 5, got 4$"),
        ({"max_seconds": -0.5}, ValueError, "^max_seconds must be a finite number, 0 or more, got -0.5$"),
        ({"max_seconds": math.inf}, ValueError, "^max_seconds must be a finite number, 0 or more, got inf$"),
        ({"max_seconds": "60"}, TypeError, "^max_seconds must be a number, 0 or more, got '60'$"),
        ({"margin": -0.01}, ValueError, "^margin must be a finite number, 0 or more, got -0.01$"),
        ({"margin": math.nan}, ValueError, "^margin must be a finite number, 0 or more, got nan$"),
        ({"margin": True}, TypeError, "^margin must be a number, 0 or more, got True$"),
        ({"margin": [0.1]}, TypeError, r"^margin must be a number, 0 or more, got \[0.1\]$"),
    ],
)
def test_bad_seeds_and_margins(given, error, message):
    with pytest.raises(error, match=message):
        check_choices(**given)


def test_all_seeds_are_below_2_to_the_32():
    assert check_choices(first_seed=2**32 - 43).seeds.fresh(0, 40).stop == 2**32


def test_margins():
    assert check_choices().margin is None
    assert check_choices(margin=0).margin == 0.0
    assert check_choices(margin=np.float32(0.5)).margin == 0.5


def test_preset_rates_are_evenly_spread():
    for rates in LEARNING_RATES.values():
        assert all(b / a * (1 + 1e-9) >= 3 and b / a <= 8 * (1 + 1e-9) for a, b in pairwise(rates))
