"""From the scores of fresh seeds to verdicts, and to the one cell that is recommended."""

import math

import numpy as np
import pytest

from jaxgd.studies.comparison.baselines import Baseline
from jaxgd.studies.comparison.judging import Looks

NAN = math.nan


def hits(wrong, seeds=5, rows=400):
    """Right but for the first so many test rows, and for one more that is another one at each seed."""
    right = np.ones((seeds, rows))
    right[:, :wrong] = 0
    right[np.arange(seeds), rows - 1 - np.arange(seeds)] = 0
    return right


def verdicts(found):
    """The verdict on each optimizer, in their order."""
    return [cell.verdict for cell in sorted(found.cells, key=lambda cell: cell.optimizer)]


def names(found):
    return "".join(cell.optimizer for cell in found.cells)


def test_validation_orders_and_test_scores_judge(find):
    found = find([hits(100), hits(20), hits(150)], valid=[0.99, 0.9, 0.95])
    assert names(found) == "acb"
    assert verdicts(found) == ["worse", "better", "worse"]
    assert (found.recommended.optimizer, found.shown) == ("b", True)
    assert [cell.test for cell in found.cells] == pytest.approx([299 / 400, 249 / 400, 379 / 400])
    assert [cell.valid for cell in found.cells] == [0.99, 0.95, 0.9]
    assert [cell.tuning_valid for cell in found.cells] == [0.9] * 3


def test_a_gap_is_over_the_best_of_the_others(find):
    found = find([hits(20), hits(60), hits(120)])
    assert [cell.gap for cell in found.cells] == pytest.approx([0.1, -0.1, -0.25])
    for cell in found.cells:
        assert cell.gap_low < cell.gap < cell.gap_high
        assert cell.test_low < cell.test < cell.test_high


def test_the_cheapest_of_those_as_good_is_recommended(find):
    same = [hits(20, rows=2000)] * 3
    found = find([*same, hits(200, rows=2000)], valid=[0.9, 0.8, 0.7, 0.95], seconds=[3, 1, 2, 0.1])
    assert verdicts(found) == ["as good", "as good", "as good", "worse"]
    assert (found.recommended.optimizer, found.shown) == ("b", True)


def test_among_equally_fast_ones_memory_decides_then_validation(find):
    same = [hits(20, rows=2000)] * 3
    assert find(same, seconds=[1, 1.05, 1.3], memory=[20, 10, 5]).recommended.optimizer == "b"
    assert find(same, valid=[0.8, 0.9, 0.7], seconds=[1, 1.05, 1.3]).recommended.optimizer == "b"


def test_where_nothing_is_shown_the_first_by_validation_is_recommended(find):
    found = find(
        [hits(20, rows=60), hits(19, rows=60), hits(45, rows=60)], valid=[0.9, 0.8, 0.95], seconds=[3, 1, 1]
    )
    assert verdicts(found) == ["cannot tell", "cannot tell", "worse"]
    assert (found.recommended.optimizer, found.shown) == ("a", False)


@pytest.mark.parametrize(("rows", "margin"), [(400, 0.005), (50, 0.02)])
def test_the_margin_of_accuracy_is_half_a_point_or_one_row(find, rows, margin):
    assert find([hits(3, rows=rows)] * 2).margin == pytest.approx(margin)


@pytest.mark.parametrize(("constant", "margin"), [(None, 0.006), (1.0, 0.02)])
def test_the_margin_of_a_loss_is_a_part_of_it_or_of_the_constants(find, constant, margin):
    constant = None if constant is None else Baseline("the mean", constant, np.full(200, constant))
    found = find([losses(0.3), losses(0.4)], score="loss", constant=constant)
    assert found.margin == pytest.approx(margin, rel=1e-6)


def losses(mean, seeds=5, rows=200):
    """Losses of test rows that differ a little by seed; their mean is exact."""
    spread = np.linspace(-0.5, 0.5, rows) + 0.02 * np.sin(np.arange(seeds)[:, None] + np.arange(rows))
    return mean * (1 + spread - spread.mean())


def test_the_margin_decides_what_is_as_good(find):
    # 40 of 400 rows more are right: 10 points.
    two = [hits(20), hits(60)]
    assert verdicts(find(two)) == ["better", "worse"]
    assert verdicts(find(two, margin=0.2)) == ["as good", "as good"]
    assert verdicts(find(two, margin=0.1)) == ["as good", "cannot tell"]


def test_a_difference_far_below_the_margin_makes_no_winner(find):
    # Seven millionths of a loss of 0.3 at every seed and row, give or take a little.
    seeds = 7e-6 + 1e-7 * np.arange(5)[:, None]
    found = find([losses(0.3), losses(0.3) + seeds], score="loss")
    assert verdicts(found) == ["as good", "as good"]
    first = found.cells[0]
    assert first.gap == pytest.approx(7.2e-6)
    assert 0 < first.gap_low < first.gap < first.gap_high < found.margin


def test_less_loss_is_better(find):
    found = find([losses(0.5), losses(0.3)], score="loss")
    assert names(found) == "ba"
    assert verdicts(found) == ["worse", "better"]
    assert found.cells[0].gap == pytest.approx(0.2)


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_fewer_than_five_seeds_allow_no_verdict(find, seeds):
    found = find([hits(20, seeds), hits(200, seeds)], looks=Looks((seeds,), 40, True))
    assert verdicts(found) == ["no verdict"] * 2
    assert (found.recommended.optimizer, found.shown) == ("a", False)
    assert math.isnan(found.cells[0].gap_low)


def test_runs_without_chance_are_one_run(find):
    """A full batch from a start at zeros: five seeds say no more than one, so they make nothing surer."""
    once = [np.repeat(hits(wrong, 1, 115), 5, axis=0) for wrong in (4, 2)]
    found = find(once, losses=[[0.1] * 5, [0.2] * 5])
    assert [cell.chance for cell in found.cells] == [False, False]
    assert "better" not in verdicts(found)
    assert "worse" not in verdicts(found)
    more = find([np.repeat(each[:1], 40, axis=0) for each in once], losses=[[0.1] * 40, [0.2] * 40])
    for cell, other in zip(found.cells, more.cells, strict=True):
        assert (cell.gap_low, cell.gap_high) == pytest.approx((other.gap_low, other.gap_high), rel=1e-9)
        assert (cell.test_low, cell.test_high) == pytest.approx((other.test_low, other.test_high), rel=1e-9)
        assert cell.gap_low < cell.gap < cell.gap_high


def test_equal_hits_of_runs_that_differ_have_chance(find):
    found = find([np.repeat(hits(20, 1), 5, axis=0)] * 2)
    assert [cell.chance for cell in found.cells] == [True, True]


def test_a_run_without_chance_is_judged_beside_others(find):
    found = find(
        [np.repeat(hits(20, 1), 5, axis=0), hits(200)], losses=[[0.1] * 5, [0.1, 0.2, 0.3, 0.4, 0.5]]
    )
    assert {cell.optimizer: cell.chance for cell in found.cells} == {"a": False, "b": True}
    assert verdicts(found) == ["better", "worse"]


def test_a_cell_with_a_diverged_seed_is_not_recommended(find):
    lost = hits(0)
    lost[2] = NAN
    found = find([lost, hits(100), hits(200)])
    assert verdicts(found) == ["no verdict", "better", "worse"]
    assert found.recommended.optimizer == "b"
    last = found.cells[-1]
    assert (last.optimizer, last.diverged) == ("a", 1)
    assert math.isnan(last.test)


def test_where_every_cell_diverged_nothing_is_recommended(find):
    lost = hits(0)
    lost[0] = NAN
    for constant in (None, Baseline("the most common class", 0.5, np.zeros(400))):
        found = find([lost, lost], constant=constant)
        assert found.recommended is None
        assert not found.shown


def constant_of(share, rows=400):
    """A constant prediction that is right on the last rows."""
    right = np.arange(rows) >= round(rows * (1 - share))
    return Baseline("the most common class of the training examples", share, right.astype(float))


@pytest.mark.parametrize(
    ("share", "beats"), [(0.5, True), (0.9, True), (0.95, False), (0.948, False), (0.99, False)]
)
def test_what_is_recommended_must_be_shown_to_beat_the_constant(find, share, beats):
    # The better cell is right on 379 or 94.75 % of the rows.
    assert find([hits(20), hits(200)], constant=constant_of(share)).beats_constant == beats


def test_a_cell_beats_the_constant_by_itself_however_many_others_there_are(find):
    constant = constant_of(0.9)
    alone = find([hits(20)], constant=constant)
    among = find([hits(20), *[hits(wrong) for wrong in range(200, 220)]], constant=constant)
    assert alone.beats_constant
    assert among.recommended.optimizer == "a"
    assert among.beats_constant


def test_without_a_constant_there_is_nothing_to_beat(find):
    assert find([hits(390), hits(395)]).beats_constant


def test_noise_does_not_beat_the_constant_with_few_seeds_either(find):
    for share, beats in ((0.9, True), (0.95, False)):
        looks = Looks((3,), 40, True)
        found = find([hits(20, 3), hits(200, 3)], constant=constant_of(share), looks=looks)
        assert found.beats_constant == beats


@pytest.mark.parametrize("wrong", [0, 1, 399, 400])
def test_intervals_never_cross_0_or_100_percent(find, wrong):
    same = np.zeros((5, 400))
    same[:, wrong:] = 1
    for cell in find([same, hits(200)]).cells:
        assert 0 <= cell.test_low <= cell.test <= cell.test_high <= 1
        assert -1 <= cell.gap_low <= cell.gap <= cell.gap_high <= 1
        assert cell.test_low < cell.test_high


def test_nor_do_those_of_accuracies_that_are_no_hits(find):
    """Shares of each example's parts that are right; two seeds of five are far off."""
    seeds = np.array([1.0, 0.1, 1.0, 0.2, 1.0])[:, None]
    shares = np.linspace(0.8, 0.98, 10)
    found = find([seeds * shares, np.roll(seeds, 1) * shares])
    for cell in found.cells:
        assert cell.verdict == "cannot tell"
        assert (cell.gap_low, cell.gap_high) == (-1, 1)
        assert (0 < cell.test_low < cell.test, cell.test_high) == (True, 1)


def test_an_interval_of_a_loss_stays_above_0(find):
    rows = np.zeros((5, 30))
    rows[:, 0] = [3, 1, 2, 4, 1]
    found = find([rows, rows[:, ::-1] * 2], score="loss")
    for cell in found.cells:
        assert 0 < cell.test_low < cell.test < cell.test_high


def test_later_looks_are_at_those_that_have_the_seeds(find):
    """A cell that no more seeds were for keeps what its first ones say."""
    test = np.stack([hits(20, 10), hits(22, 10), hits(200, 10)])
    test[2, 5:] = NAN
    found = find(test, not_run=[(2, 0, seed) for seed in range(5, 10)], looks=Looks((5, 10), 40, True))
    assert [cell.seeds for cell in found.cells] == [10, 10, 5]
    assert found.cells[-1].verdict == "worse"
    assert found.cells[-1].diverged == 0
    assert found.cells[-1].test == pytest.approx(199 / 400)


def test_costs_are_of_a_whole_run(find):
    found = find([hits(20), hits(200)], seconds=[2.0, 3.0], memory=[10, 20])
    assert [(cell.updates, cell.examples, cell.bytes) for cell in found.cells] == [
        (10, 100, 10),
        (10, 100, 20),
    ]
    assert [cell.seconds for cell in found.cells] == pytest.approx([2, 3])
    assert found.cells[1].seconds_by_turn == pytest.approx((3, 3, 3))
