import numpy as np
import pytest

from jaxgd.studies.verdicts.best import Ends
from jaxgd.studies.verdicts.concluding import VERDICTS, CellScores, Conclusion
from jaxgd.studies.verdicts.recommending import lower_bounds_over, recommend, worth_more_seeds


def conclusion(*verdicts, bound=None):
    """A conclusion with these verdicts, and pairs none of which is within the margin unless said."""
    cells = len(verdicts)
    pairs = np.full((cells, cells), -1.0) if bound is None else np.array(bound, float)
    codes = np.array([VERDICTS.index(verdict) for verdict in verdicts])
    blank = {name: np.zeros(cells) for name in Conclusion._fields}
    return Conclusion(**blank | {"margin": 0.005, "codes": codes, "ends": Ends(pairs, pairs, -pairs, pairs)})  # pyright: ignore[reportArgumentType]


def test_the_cheapest_of_those_as_good():
    found = recommend(conclusion("as good", "cannot tell", "as good"), [0, 1, 2], [3.0, 1.0, 2.0], [1, 1, 1])
    assert found == (2, True)


def test_a_better_one_is_taken_whatever_it_costs():
    found = recommend(conclusion("worse", "better"), [0, 1], [1.0, 9.0], [1, 1])
    assert found == (1, True)


def test_memory_decides_between_cells_that_are_equally_fast():
    found = recommend(conclusion("as good", "as good"), [0, 1], [1.0, 1.05], [200, 100])
    assert found == (1, True)
    found = recommend(conclusion("as good", "as good"), [1, 0], [1.0, 1.05], [100, 100])
    assert found == (1, True)


def test_else_the_first_by_validation_that_is_not_worse():
    found = recommend(conclusion("cannot tell", "worse", "cannot tell"), [1, 2, 0], [1, 1, 1], [1, 1, 1])
    assert found == (2, False)


def test_nothing_to_recommend_from():
    assert recommend(conclusion("no verdict", "no verdict"), [1, 0], [1, 1], [1, 1]) == (1, False)


def test_more_seeds_only_for_cells_that_would_be_cheaper():
    # The first is as good; of the undecided ones the second is cheaper, and the fourth is in its way.
    found = conclusion("as good", "cannot tell", "cannot tell", "cannot tell", "worse")
    found.ends.bound[1] = [0.0, 0.0, 0.0, -1.0, -1.0]
    assert worth_more_seeds(found, range(5), [5, 1, 9, 9, 1], [1] * 5) == [1, 3]


def test_no_more_seeds_once_the_recommendation_stands():
    better = conclusion("better", "worse", "cannot tell")
    assert worth_more_seeds(better, range(3), [1, 1, 1], [1, 1, 1]) == []
    cheapest = conclusion("as good", "cannot tell")
    assert worth_more_seeds(cheapest, range(2), [1, 9], [1, 1]) == []


def test_all_that_are_undecided_where_none_is_shown():
    found = conclusion("cannot tell", "worse", "cannot tell")
    assert worth_more_seeds(found, range(3), [1, 1, 1], [1, 1, 1]) == [0, 2]


def test_cells_without_chance_get_no_seeds():
    found = conclusion("cannot tell", "cannot tell")
    assert worth_more_seeds(found, range(2), [1, 1], [1, 1], chance=[False, True]) == [1]


def test_cells_that_beat_a_reference():
    rng = np.random.default_rng(0)
    scores = CellScores([rng.random((5, 300)) < share for share in (0.95, 0.6, 0.4)], True, True)
    constant = rng.random(300) < 0.6
    over = lower_bounds_over(scores, constant, (5,), (1.0,))
    assert (over > 0).tolist() == [True, False, False]


def test_a_reference_of_losses():
    rng = np.random.default_rng(0)
    scores = CellScores([rng.lognormal(place, 0.2, (5, 300)) for place in (-1.0, 1.0)], False, False)
    over = lower_bounds_over(scores, rng.lognormal(0, 0.2, 300), (5,), (1.0,))
    assert (over > 0).tolist() == [True, False]
    assert over[0] == pytest.approx(np.exp(0.02) - np.exp(-0.98), rel=0.2)
