"""Warnings of a comparison: each where it is true, and nowhere else."""

import math
import runpy
from pathlib import Path

import numpy as np
import pytest

from jaxgd.studies.comparison.baselines import Baseline
from jaxgd.studies.comparison.findings import write_warnings

made_up = runpy.run_path(str(Path(__file__).with_name("made_up.py")))
make_cell, make_found = made_up["make_cell"], made_up["make_found"]
N, LOST = made_up["NUM_TRAIN"], made_up["LOST"]
NAN = math.nan
FIRST = make_cell(learning_rate=0.1)


def other(optimizer="momentum", batch_size=128, **changes):
    return make_cell(FIRST, optimizer=optimizer, batch_size=batch_size, **changes)


@pytest.fixture
def warn(make_grid, make_fresh):
    """Warnings about cells, from a grid of rates .01, .1, 1 in which nothing else is worth a warning."""

    def warn(
        *others,
        accuracy=((0.8, 0.8), (0.9, 0.9), (0.7, 0.7)),
        score="accuracy",
        made=None,
        first=FIRST,
        linear=None,
        num_test=360,
    ):
        cells = [first, *others]
        optimizers = list(dict.fromkeys(cell.optimizer for cell in cells))
        sizes = list(dict.fromkeys(cell.batch_size for cell in cells))
        rates = [0.01, 0.1, 1.0][: len(accuracy)] if len(accuracy) > 1 else [0.1]
        grid = make_grid(optimizers, sizes, rates, [[accuracy] * len(sizes)] * len(optimizers))
        shape = (len(optimizers), len(sizes), 5, 1)
        fresh = make_fresh(optimizers, sizes, 0.1, np.full(shape, 0.9), score=score)
        linear = (
            None if linear is None else Baseline("scikit-learn's logistic regression", linear, np.zeros(1))
        )
        found = make_found(*others, first=first, constant=None, score=score, num_test=num_test)
        return write_warnings(found, grid, fresh, linear, made)

    return warn


def test_nothing_to_warn_about(warn):
    assert warn(other(verdict="worse"), linear=0.98) == []


def test_a_linear_model_that_is_better_than_every_cell(warn):
    assert warn(linear=0.987) == [
        "scikit-learn's logistic regression scores better than every cell here: 98.7 %."
    ]
    assert warn(linear=0.986) == []
    assert warn(other(test_high=0.99), linear=0.987) == []
    assert warn(other(**LOST), linear=0.987) != []


def test_a_linear_model_with_less_loss(warn):
    first = other(batch_size=32, test=0.3, test_low=0.25, test_high=0.36)
    assert warn(first=first, score="loss", linear=0.2626) == []
    assert warn(first=first, score="loss", linear=0.24) == [
        "scikit-learn's logistic regression scores better than every cell here: 0.2400."
    ]


def test_few_seeds_that_make_differences_wide(warn):
    """An interval of 0.16 beside one of 0.034; what is shown, or has seeds enough, needs no excuse."""
    wide = {"verdict": "cannot tell", "gap_low": -0.08, "gap_high": 0.08}
    first = other(batch_size=32, **wide)
    assert warn(other(), other("adam"), first=first) == [
        "5 fresh seeds are few: the interval of a difference, 5 times as wide as that of a score, holds for "
        "all 3 cells together, and 5 seeds tell little of how far others would differ; that of a score holds "
        "for it alone."
    ]
    assert "holds for both cells together" in warn(other(), first=first)[0]
    narrow = [("gap_high", -0.02), ("verdict", "as good"), ("seeds", 10), ("gap_low", -math.inf)]
    for name, value in narrow:
        assert warn(other(), first=other(batch_size=32, **{**wide, name: value})) == []


def test_few_test_rows(warn):
    assert warn(num_test=115) == [
        "115 test rows are few: a difference on the same rows at every seed must be about 5 points or more "
        "to be shown, however many seeds are run."
    ]
    assert warn(num_test=200) == []
    assert warn(num_test=115, score="loss") == []


def test_runs_without_chance(warn):
    once = other(batch_size=N, chance=False)
    assert warn(once) == [
        "No seed changes momentum, full batch, rate 0.1: one run, whose interval covers test rows alone."
    ]
    two = warn(once, other("sgd", N, chance=False, learning_rate=0.1))
    assert two[0].startswith(
        "No seed changes momentum, full batch, rate 0.1 and sgd, full batch, rate 0.1: one"
    )


def test_what_diverged_at_every_seed_is_no_run_without_chance(warn):
    assert warn(other(batch_size=N, chance=False, **{**LOST, "diverged": 5, "tuning_valid": 0.5})) == []


def test_a_cell_passed_over_because_it_diverged(warn):
    diverged = other("adam", 1, **LOST, tuning_valid=0.99)
    assert warn(diverged) == [
        "adam, batch 1, rate 0.1: better on the tuning seeds, but 1 of 5 fresh seeds diverged, "
        "so it is passed over."
    ]
    assert warn(other("adam", 1, **LOST, tuning_valid=0.5)) == []


def test_less_loss_on_the_tuning_seeds_is_better(warn):
    assert warn(other("adam", 1, **LOST, tuning_valid=0.99), score="loss") == []
    assert warn(other("adam", 1, **LOST, tuning_valid=0.5), score="loss") != []


def test_a_disturbed_machine(warn):
    """Half of the cells must have varied: one slow call is a slow call."""
    shaky = {"seconds_by_turn": (0.4, 1.2, 0.4)}
    calm, busy = other(verdict="worse"), other("adam", 32, **shaky)
    assert warn(calm, busy) == []
    first = other(batch_size=32, **shaky)
    assert warn(busy, calm, first=first) == [
        "Timings of one cell varied up to 3.0-fold: the machine was busy, seconds are rough."
    ]


def test_best_rate_at_the_edge(warn):
    cells = other("adam", 128, learning_rate=1.0), other("adam", N, learning_rate=1.0)
    assert warn(*cells) == [
        "adam's best rate is at the grid's edge: 1, the highest tried (full batch and batch 128)."
    ]
    assert warn(other("adam", 32, learning_rate=0.01)) == [
        "adam's best rate is at the grid's edge: 0.01, the lowest tried (batch 32)."
    ]


def test_one_rate_is_not_two_edges(warn):
    assert warn(accuracy=((0.9, 0.9),)) == ["One learning rate was tried: no optimizer was tuned."]


def test_one_seed(warn):
    assert warn(accuracy=((0.8,), (0.9,), (0.7,))) == ["Rates were chosen on one seed."]


def test_many_diverged(warn):
    assert warn(accuracy=((0.8, 0.8), (0.9, 0.9), (NAN, NAN))) == [
        "33 % of the 6 runs of the grid diverged, momentum's most often."
    ]
    assert warn(accuracy=((0.8, 0.8), (0.9, 0.9), (0.7, NAN))) == []


def test_a_split_that_was_made(warn):
    assert warn(made="A test split was drawn.") == ["A test split was drawn."]


def test_order_reverses_at_equal_updates(make_curves, make_grid):
    jitter = 1e-3 * np.array([[-1], [0], [1]])
    fresh = make_curves([100, 50], [np.array([0.3, 0.7]) + jitter, np.array([0.6, 0.8]) - jitter])
    first = other("sgd", 50)
    grid = make_grid(["sgd"], [100, 50], [0.01, 0.1, 1.0], [[[[0.8, 0.8], [0.9, 0.9], [0.7, 0.7]]] * 2])
    found = make_found(first=first, epochs=2, num_train=100)
    assert write_warnings(found, grid, fresh, None, None) == [
        "BGD made 2 updates, batch 50 4: at equal updates the order reverses (sgd)."
    ]
