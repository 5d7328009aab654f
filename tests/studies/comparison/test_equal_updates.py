import numpy as np
import pytest

from jaxgd.studies.comparison.equal_updates import Reversal, find_reversal

# In 4 epochs batch 100 makes 4 updates and batch 50 makes 8; it has made 4 after epoch 2.
LARGE = [0.3, 0.5, 0.6, 0.7]
SMALL = [0.4, 0.6, 0.75, 0.8]


def both(large, small, spread=1e-3):
    jitter = spread * np.array([-1, 0, 1])[:, None]
    return [np.tile(large, (3, 1)), np.array(small) + jitter]


def test_reversal(make_curves):
    # Equal epochs: .8 against .7. Equal updates (4): .6 against .7.
    assert find_reversal(make_curves([100, 50], both(LARGE, SMALL)), "sgd", "accuracy") == Reversal(
        100, 50, 4, 8
    )


def test_no_reversal_where_the_small_batch_leads_at_equal_updates_too(make_curves):
    assert (
        find_reversal(make_curves([100, 50], both(LARGE, [0.6, 0.72, 0.75, 0.8])), "sgd", "accuracy") is None
    )


def test_no_reversal_where_the_large_batch_leads_at_equal_epochs(make_curves):
    assert (
        find_reversal(make_curves([100, 50], both(LARGE, [0.4, 0.5, 0.6, 0.65])), "sgd", "accuracy") is None
    )


def test_no_reversal_within_the_spread(make_curves):
    assert find_reversal(make_curves([100, 50], both(LARGE, SMALL, spread=0.2)), "sgd", "accuracy") is None


def test_equal_curves_at_all_seeds_decide_nothing(make_curves):
    """A full batch from a start at zeros is one run: no spread is no evidence."""
    assert find_reversal(make_curves([100, 50], both(LARGE, SMALL, spread=0)), "sgd", "accuracy") is None


def test_pairs_share_the_error(make_curves):
    """What one pair would show at 5 % three pairs do not."""
    # t(2) at 97.5 % is 4.30, at 1 - 0.05 / 6 it is 7.65: halfwidths of 0.09 and 0.15 around 0.1.
    two = both(LARGE, SMALL, spread=0.035)
    assert find_reversal(make_curves([100, 50], two), "sgd", "accuracy") == Reversal(100, 50, 4, 8)
    three = [*two, both(LARGE, LARGE)[1] - 0.4]
    assert find_reversal(make_curves([100, 50, 49], three), "sgd", "accuracy") is None


def test_losses_are_turned(make_curves):
    curves = both([1 - x for x in LARGE], [1 - x for x in SMALL])
    assert find_reversal(make_curves([100, 50], curves, "loss"), "sgd", "loss") == Reversal(100, 50, 4, 8)


def test_the_pair_furthest_apart_is_named(make_curves):
    # Batch 1 has made 100 updates after its first epoch; even there it is behind the large batch's 4.
    slow = [0.5, 0.6, 0.7, 0.9]
    runs = make_curves([100, 50, 1], [*both(LARGE, SMALL), both(slow, slow)[1]])
    assert find_reversal(runs, "sgd", "accuracy") == Reversal(100, 1, 4, 400)


def test_one_batch_size_has_no_order(make_curves):
    assert find_reversal(make_curves([100], [np.tile(LARGE, (3, 1))]), "sgd", "accuracy") is None


@pytest.mark.parametrize("bad", [np.nan])
def test_diverged_runs_claim_nothing(make_curves, bad):
    curves = both(LARGE, SMALL)
    curves[0][1, -1] = bad
    assert find_reversal(make_curves([100, 50], curves), "sgd", "accuracy") is None
