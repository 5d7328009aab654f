import math

import numpy as np
import pytest

from jaxgd.studies.comparison.cells import Cell
from jaxgd.studies.comparison.constants import Constant
from jaxgd.studies.comparison.findings import (
    beats,
    constant_text,
    find_faster,
    write_sentence,
    write_warnings,
)

N = 1078
FIRST = Cell(
    "momentum", 32, 0.1, 0.98, 0.978, 0.004, 680, 21560, 0.42, 1000, 0, 0.0, 0.0, indistinguishable=True
)


def other(optimizer="momentum", batch_size=128, difference=-0.001, halfwidth=0.006, seconds=0.2, **changes):
    cell = {
        **vars(FIRST),
        "optimizer": optimizer,
        "batch_size": batch_size,
        "valid": 0.97,
        "test": FIRST.test + difference,
        "difference": difference,
        "difference_halfwidth": halfwidth,
        "seconds": seconds,
        "indistinguishable": abs(difference) <= halfwidth,
    }
    return Cell(**{**cell, **changes})


def sentence(*others, first=FIRST, score="accuracy", data="digits", epochs=20):
    return write_sentence(data, score, epochs, 5, N, [first, *others])


def test_the_sentence_with_a_faster_batch_size():
    assert sentence(other()) == (
        "On digits, 20 epochs: momentum, batch 32, rate 0.1: 97.8 % ± 0.4 (5 fresh seeds). "
        "Batch 128 is indistinguishable (± 0.6) and 2.1x faster."
    )


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (other(batch_size=N), "Full batch is"),
        (other("adam", 32), "adam is"),
        (other("adam", 128), "adam, batch 128, is"),
    ],
)
def test_what_sets_the_faster_cell_apart(cell, name):
    assert f"). {name} indistinguishable (± 0.6) and 2.1x faster." in sentence(cell)


def test_the_fastest_of_several_is_named():
    assert "Full batch is indistinguishable" in sentence(other(), other(batch_size=N, seconds=0.1))


def test_a_full_batch_that_comes_first():
    first = Cell(**{**vars(FIRST), "batch_size": N})
    assert sentence(first=first).startswith("On digits, 20 epochs: momentum, full batch, rate 0.1: 97.8 %")


def test_losses():
    first = Cell(**{**vars(FIRST), "test": 0.24312, "test_halfwidth": 0.0042})
    second = other(difference=0.001, halfwidth=0.0061)
    assert sentence(second, first=first, score="loss", data="diabetes", epochs=1) == (
        "On diabetes, 1 epoch: momentum, batch 32, rate 0.1: test loss 0.2431 ± 0.0042 (5 fresh seeds). "
        "Batch 128 is indistinguishable (± 0.0061) and 2.1x faster."
    )


@pytest.mark.parametrize(
    "cell",
    [
        other(difference=-0.008, halfwidth=0.006),  # distinguishable
        other(
            difference=-0.005, halfwidth=0.03
        ),  # its interval reaches 0, its mean is outside the first's own
        other(seconds=0.4),  # 5 % faster
    ],
)
def test_no_recommendation(cell):
    assert find_faster([FIRST, cell]) is None


def test_a_winner_only_if_every_interval_excludes_0():
    worse, same = other(difference=-0.02), other("adam", difference=-0.02, halfwidth=0.03)
    assert sentence(worse).endswith("(5 fresh seeds). It beats the other cell.")
    assert sentence(worse, worse).endswith("It beats each of the 2 other cells.")
    assert sentence(worse, same).endswith("1 of the 2 other cells is indistinguishable from it.")
    assert sentence(same, same).endswith("2 of the 2 other cells are indistinguishable from it.")


def test_no_winner_if_another_is_better_on_test_data():
    assert sentence(other(difference=0.02)).endswith("(5 fresh seeds).")


def test_a_cell_alone():
    assert sentence().endswith("97.8 % ± 0.4 (5 fresh seeds).")


def test_a_factor_needs_every_turn_of_the_clock():
    first = Cell(**{**vars(FIRST), "seconds_by_turn": (0.42, 0.3, 0.5)})
    steady = other(seconds_by_turn=(0.2, 0.2, 0.2))
    assert sentence(steady, first=first).endswith("Batch 128 is indistinguishable (± 0.6) and 2.1x faster.")
    for turns in ((0.2, 0.28, 0.2), (0.2, 0.2, 5.0)):
        shaky = other(seconds_by_turn=turns)
        assert find_faster([first, shaky]) is None
        assert sentence(shaky, first=first).endswith("1 of the 1 other cell is indistinguishable from it.")
    assert find_faster([first, other(seconds_by_turn=(0.2, 0.3 / 1.1, 0.2))]) is None


CLASS = Constant("the most common class", 0.975)


def test_no_winner_that_does_not_beat_a_constant():
    worse, better = other(difference=-0.02), other(difference=0.02)

    def said(*others, constant=CLASS):
        return write_sentence("digits", "accuracy", 20, 5, N, [FIRST, *others], constant)

    reference = "Predicting the most common class every time gives 97.5 %."
    no_winner = (
        f"On digits, 20 epochs: no winner. {reference} momentum, batch 32, rate 0.1, "
        "does not clearly beat that: 97.8 % ± 0.4 (5 fresh seeds)."
    )
    assert said(worse) == no_winner
    assert said(worse, better) == f"{no_winner} 1 of the 2 other cells does."
    assert said(worse, constant=CLASS._replace(score=0.9739)) == sentence(worse)


def test_rounding_is_no_victory():
    constant = Constant("the most common class", 0.8)
    same = Cell(**{**vars(FIRST), "test": float(np.float32(0.8)), "test_halfwidth": 0.0})
    assert not beats(same, constant, "accuracy")


def test_less_loss_is_better():
    constant, loss = Constant("the mean", 0.5), Cell(**{**vars(FIRST), "test": 0.4, "test_halfwidth": 0.05})
    assert beats(loss, constant, "loss")
    assert not beats(loss, constant._replace(score=0.44), "loss")
    assert constant_text(constant, "loss") == "Predicting the mean every time gives a test loss of 0.5000."


def test_everything_diverged():
    first = Cell(**{**vars(FIRST), "test": math.nan, "diverged": 5})
    assert "diverged" in sentence(first=first)
    assert "nan" not in sentence(first=first)


@pytest.fixture
def warn(make_grid, make_fresh):
    """Warnings about cells, from a grid of rates .01, .1, 1 in which nothing else is worth a warning."""

    def warn(
        *others, accuracy=((0.8, 0.8), (0.9, 0.9), (0.7, 0.7)), score="accuracy", made=None, first=FIRST
    ):
        cells = [first, *others]
        optimizers = list(dict.fromkeys(cell.optimizer for cell in cells))
        sizes = list(dict.fromkeys(cell.batch_size for cell in cells))
        rates = [0.01, 0.1, 1.0][: len(accuracy)] if len(accuracy) > 1 else [0.1]
        grid = make_grid(optimizers, sizes, rates, [[accuracy] * len(sizes)] * len(optimizers))
        shape = (len(optimizers), len(sizes))
        fresh = make_fresh(
            optimizers, sizes, [[0.1] * shape[1]] * shape[0], [[[0.9] * 5] * shape[1]] * shape[0]
        )
        return write_warnings(score, N, grid, fresh, cells, made)

    return warn


def test_nothing_to_warn_about(warn):
    assert warn(other(difference=-0.02)) == []


def test_cannot_tell_optimizers_apart(warn):
    assert warn(other("adam", 32)) == [
        "Cannot tell momentum from adam, each at its best: the paired 95 % interval over 5 seeds includes 0."
    ]
    several = warn(other("adam", 32), other("nadam", 32), other("nadam", 128))
    assert several == [
        "Cannot tell momentum from adam and nadam, each at its best: "
        "the paired 95 % intervals over 5 seeds include 0."
    ]


def test_only_an_optimizers_best_cell_counts(warn):
    assert warn(other("adam", 32, difference=-0.02), other("adam", 128)) == []


def test_best_rate_at_the_edge(warn):
    cells = other("adam", 128, -0.02, learning_rate=1.0), other("adam", N, -0.02, learning_rate=1.0)
    assert warn(*cells) == [
        "adam's best rate is at the grid's edge: 1, the highest tried (full batch and batch 128)."
    ]
    assert warn(other("adam", 32, -0.02, learning_rate=0.01)) == [
        "adam's best rate is at the grid's edge: 0.01, the lowest tried (batch 32)."
    ]


def test_one_rate_is_not_two_edges(warn):
    assert warn(accuracy=((0.9, 0.9),)) == ["One learning rate was tried: no optimizer was tuned."]


def test_one_seed(warn):
    assert warn(accuracy=((0.8,), (0.9,), (0.7,))) == ["Rates were chosen on one seed."]


def test_many_diverged(warn):
    nan = math.nan
    assert warn(accuracy=((0.8, 0.8), (0.9, 0.9), (nan, nan))) == [
        "33 % of the 6 runs of the grid diverged, momentum's most often."
    ]
    assert warn(accuracy=((0.8, 0.8), (0.9, 0.9), (0.7, nan))) == []


def test_a_split_that_was_made(warn):
    assert warn(made="A test split was drawn.") == ["A test split was drawn."]


def test_a_cell_that_did_better_on_test_data(warn):
    assert warn(other("adam", 1, difference=0.02)) == [
        "adam, batch 1, rate 0.1 did better on test data (+2.0 ± 0.6), "
        "but validation data put momentum, batch 32, rate 0.1 first."
    ]
    assert warn(other("adam", 1, difference=-0.02, halfwidth=0.001), score="loss")[0].startswith(
        "adam, batch 1"
    )


def test_a_cell_passed_over_because_it_diverged(warn):
    nan = math.nan
    diverged = other("adam", 1, difference=nan, halfwidth=nan, test=nan, valid=0.99, diverged=1)
    assert warn(diverged) == [
        "adam, batch 1, rate 0.1: better on validation data, but 1 of 5 fresh seeds diverged, "
        "so it is passed over."
    ]
    assert warn(Cell(**{**vars(diverged), "valid": 0.5})) == []


def test_order_reverses_at_equal_updates(make_curves, make_grid):
    curves = [[[0.3, 0.7]] * 3, [[0.6, 0.8]] * 3]
    fresh = make_curves([100, 50], curves)
    first = Cell(**{**vars(FIRST), "optimizer": "sgd", "batch_size": 50})
    grid = make_grid(["sgd"], [100, 50], [0.01, 0.1, 1.0], [[[[0.8, 0.8], [0.9, 0.9], [0.7, 0.7]]] * 2])
    assert write_warnings("accuracy", 100, grid, fresh, [first], None) == [
        "BGD made 2 updates, batch 50 4: at equal updates the order reverses (sgd)."
    ]
