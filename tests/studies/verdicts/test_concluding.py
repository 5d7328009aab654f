import numpy as np
import pytest

from jaxgd.studies.verdicts.best import Intervals
from jaxgd.studies.verdicts.concluding import CellScores, conclude, differs, verdict_codes
from jaxgd.studies.verdicts.spending import shares_of_error


def hits(*shares, seeds=5, rows=400, key=0):
    rng = np.random.default_rng(key)
    return [rng.random((seeds, rows)) < share for share in shares]


def verdicts(values, margin=0.005, **keywords):
    return conclude(CellScores(values, hits=True, higher_is_better=True, **keywords), margin).verdicts


def test_the_four_verdicts():
    intervals = Intervals(*np.array([[0.02, 0.04, 0.03], [-0.2, -0.02, -0.1], [-0.011, 0.2, -0.01]]).T)
    codes = verdict_codes(intervals, 0.01)
    assert codes.tolist() == [1, 3, 2]
    assert verdict_codes(Intervals(*np.array([[-0.2, 0.2, -0.1]]).T), 0.01).tolist() == [0]


def test_a_clear_winner():
    assert verdicts(hits(0.95, 0.7, 0.6)) == ("better", "worse", "worse")


def test_losses_are_better_below():
    rng = np.random.default_rng(0)
    losses = [rng.lognormal(place, 0.3, (5, 300)) for place in (0.0, 0.5)]
    found = conclude(CellScores(losses, hits=False, higher_is_better=False), 0.02)
    assert found.verdicts == ("better", "worse")
    assert found.estimate[0] == pytest.approx(losses[1].mean() - losses[0].mean())
    assert found.score == pytest.approx([np.mean(loss) for loss in losses])


def test_errors_counted_are_better_below():
    right = hits(0.95, 0.7)
    counted = CellScores([~cell for cell in right], hits=True, higher_is_better=False)
    ours, other = conclude(counted, 0.005), conclude(CellScores(right, True, True), 0.005)
    assert ours.low == pytest.approx(other.low)


def test_one_run_five_times_is_no_evidence():
    # 1.7 points, two of 115 rows, the same at all seeds: an interval over seeds alone has no width.
    one = np.arange(115) < 112
    other = np.arange(115) < 110
    repeated = [np.tile(run, (5, 1)) for run in (one, other)]
    assert verdicts(repeated) == ("cannot tell", "cannot tell")
    once = [run[None] for run in (one, other)]
    assert verdicts(once, chance=[False, False]) == ("cannot tell", "cannot tell")


def test_cells_that_are_alike_on_few_rows():
    assert verdicts([np.ones((5, 50), bool)] * 2) == ("cannot tell", "cannot tell")
    assert verdicts([np.ones((5, 5000), bool)] * 2) == ("as good", "as good")


def test_no_difference_that_matters():
    # 7e-6 of a loss of 0.3, at every seed and nearly every row.
    rng = np.random.default_rng(0)
    loss = rng.lognormal(-1.2, 0.1, (5, 89))
    found = conclude(CellScores([loss, loss - 7e-6], hits=False, higher_is_better=False), 0.006)
    assert found.verdicts == ("as good", "as good")


def test_fewer_than_five_seeds():
    found = conclude(CellScores([*hits(0.95, 0.5), *hits(0.9, seeds=4)], True, True), 0.005)
    assert found.verdicts == ("better", "worse", "no verdict")
    assert np.isnan(found.low[2])
    assert found.score_low[2] < 0.9 < found.score_high[2]


def test_one_cell_alone_has_no_verdict():
    found = conclude(CellScores(hits(0.9), True, True), 0.005)
    assert found.verdicts == ("no verdict",)
    assert np.isnan(found.estimate[0])
    assert found.score_low[0] < found.score[0] < found.score_high[0]


def test_a_score_that_is_not_finite():
    values = [np.where(cell, 1.0, 0.0) for cell in hits(0.95, 0.5, 0.9)]
    values[2][0, 0] = np.nan
    found = conclude(CellScores(values, True, True), 0.005)
    assert found.verdicts == ("better", "worse", "no verdict")


def test_a_single_seed_with_chance_has_no_interval():
    found = conclude(CellScores(hits(0.9, 0.8, seeds=1), True, True), 0.005)
    assert found.verdicts == ("no verdict", "no verdict")
    assert np.isnan(found.score_low).all()


def test_shares_of_hits_by_seed():
    shares = [np.full(5, 0.95), np.full(5, 0.6)]
    assert verdicts(shares, num_rows=400) == ("better", "worse")
    by_row = conclude(CellScores(hits(0.95, 0.9), True, True), 0.005)
    by_share = conclude(
        CellScores([cell.mean(1) for cell in hits(0.95, 0.9)], True, True, num_rows=400), 0.005
    )
    assert by_share.estimate == pytest.approx(by_row.estimate)


def test_looks_use_their_share_of_the_error():
    values = hits(0.95, 0.9, seeds=10)
    scores = CellScores(values, True, True)
    whole = conclude(scores, 0.005, (10,), (1.0,))
    spent = conclude(scores, 0.005, (5, 10), shares_of_error((5, 10), 40))
    first = conclude(CellScores([cell[:5] for cell in values], True, True), 0.005, (5,), (1 / 8,))
    assert spent.bound[1] < whole.bound[1]
    assert spent.bound[1] >= first.bound[1]


def test_cells_that_got_no_further_seeds_keep_their_verdict():
    values = hits(0.95, 0.94, 0.5, seeds=10)
    values[2] = values[2][:5]
    found = conclude(CellScores(values, True, True), 0.005, (5, 10), shares_of_error((5, 10), 10))
    assert found.verdicts[2] == "worse"


def test_differs():
    assert differs(np.array([[0.1, 0.2], [0.1, 0.3]]))
    assert not differs(np.array([[0.1, 0.2], [0.1, 0.2]]))
    assert not differs(np.array([[0.1, 0.2]]))


@pytest.mark.parametrize(
    ("values", "margin", "looks", "shares", "message"),
    [
        (hits(0.9, 0.9), -1.0, (5,), (1.0,), "margin must be 0 or more, got -1.0"),
        (hits(0.9, 0.9), 0.01, (4,), (1.0,), "looks must be 5 seeds or more"),
        (hits(0.9, 0.9), 0.01, (5, 10), (1.0,), "with a share each"),
        ([*hits(0.9), *hits(0.9, rows=30)], 0.01, (5,), (1.0,), "scores must be of the same test rows"),
        ([np.ones(5), np.ones(5)], 0.01, (5,), (1.0,), "with num_rows"),
    ],
)
def test_bad_input(values, margin, looks, shares, message):
    with pytest.raises(ValueError, match=message):
        conclude(CellScores(values, True, True), margin, looks, shares)
