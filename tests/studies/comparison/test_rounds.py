"""Rounds of fresh seeds: which cells get more of them, how many, and when it ends."""

from types import SimpleNamespace

import numpy as np
import pytest

from jaxgd.specs.choices import check_choices
from jaxgd.specs.presets import QUICK
from jaxgd.studies.comparison import rounds
from jaxgd.studies.comparison.experiment import CellPlace, Experiment
from jaxgd.studies.comparison.judging import Looks

NAMES = ("a", "b", "c")


@pytest.fixture
def run(make_fresh, make_clock, monkeypatch):
    """run(undecided after each round, ...): the rounds, and what was run in each after the first."""

    def run(undecided, seconds=1e-9, num_fresh=5, max_seeds=None, max_seconds=60.0, preset=None, losses=None):
        extra = {} if preset is None else {"preset": preset}
        seeds = check_choices(
            fresh_seeds=num_fresh, max_seeds=max_seeds, max_seconds=max_seconds, **extra
        ).seeds
        experiment = Experiment(None, NAMES, (10,), {}, 1, seeds)  # pyright: ignore[reportArgumentType]
        asked, looked, said = [], [], []

        def run_cells(_, chosen, places, fresh_seeds, progress):
            asked.append(("".join(place.optimizer for place in places), list(fresh_seeds)))
            test = np.full((3, 1, len(fresh_seeds), 4), 0.5)
            where = [i for i, name in enumerate(NAMES) if CellPlace(name, 10) not in places]
            lost = [(i, 0, k) for i in where for k in range(len(fresh_seeds))]
            test[where] = np.nan
            more = make_fresh(list(NAMES), [10], 0.1, test, not_run=lost, losses=losses)
            return more.assign_coords(seed=list(fresh_seeds)).set_coords(["updates", "examples"])

        def judge(fresh, clock, score, constant, looks, margin):
            looked.append(looks)
            return SimpleNamespace(undecided=undecided[min(len(looked), len(undecided)) - 1], fresh=fresh)

        monkeypatch.setattr(rounds, "run_cells", run_cells)
        monkeypatch.setattr(rounds, "judge", judge)
        monkeypatch.setattr(Experiment, "score", "accuracy")
        first = run_cells(None, {}, experiment.places, seeds.fresh(0, num_fresh), False)
        asked.clear()
        clock = make_clock(list(NAMES), [10], np.full((3, 1), seconds / 10))
        found = rounds.run_rounds(experiment, {}, first, clock, None, False, said.append)
        return SimpleNamespace(asked=asked, looked=looked, said=said, found=found)

    return run


def test_one_round_where_nothing_is_undecided(run):
    made = run([[]])
    assert made.asked == []
    assert made.looked == [Looks((5,), 40, False)]
    assert made.found.fresh.seed.values.tolist() == [3, 4, 5, 6, 7]


def test_undecided_cells_alone_get_twice_as_many_seeds(run):
    made = run([[0, 2], [2], []])
    assert made.asked == [("ac", list(range(8, 13))), ("c", list(range(13, 23)))]
    assert made.looked == [Looks((5,), 40, False), Looks((5, 10), 40, False), Looks((5, 10, 20), 40, False)]
    assert made.said == ["2 undecided cells on 5 more fresh seeds", "1 undecided cell on 10 more fresh seeds"]
    fresh = made.found.fresh
    assert fresh.seed.values.tolist() == list(range(3, 23))
    assert (fresh.status != "not run").sum(["batch_size", "seed"]).values.tolist() == [10, 5, 20]
    assert made.found.judged.fresh is fresh


def test_up_to_forty_seeds(run):
    made = run([[0]])
    assert [looks.counts[-1] for looks in made.looked] == [5, 10, 20, 40]
    assert [looks.last for looks in made.looked] == [False, False, False, True]
    assert made.asked[-1] == ("a", list(range(23, 43)))
    assert made.found.looks == Looks((5, 10, 20, 40), 40, True)


@pytest.mark.parametrize(("most", "counts"), [(5, [5]), (12, [5, 10, 12]), (80, [5, 10, 20, 40, 80])])
def test_max_seeds(run, most, counts):
    assert [looks.counts[-1] for looks in run([[0]], max_seeds=most).looked] == counts


def test_no_seconds_for_more_are_one_round(run):
    made = run([[0, 1, 2]], max_seconds=0)
    assert made.looked == [Looks((5,), 40, True)]
    assert made.asked == []


def test_a_round_that_would_take_too_long_is_not_begun(run):
    # 5 more seeds of three cells take 2 x 15 s and half a second; of one cell 10 more 20.5 s, 20 more 40.5 s.
    assert len(run([[0]], seconds=1.0, max_seconds=30).looked) == 1
    assert [looks.last for looks in run([[0]], seconds=1.0, max_seconds=31).looked] == [False, False, True]
    assert [looks.last for looks in run([[0, 1, 2]], seconds=1.0, max_seconds=31).looked] == [False, True]


def test_whether_a_round_is_the_last_is_known_before_its_scores(run):
    """A round's error may be all that is left only if no score decided that it ends there."""
    for undecided in ([[]], [[0]]):
        assert run(undecided, seconds=1.0, max_seconds=10).looked == [Looks((5,), 40, True)]


def test_quick_is_one_round(run):
    assert run([[0, 1]], preset=QUICK).looked == [Looks((5,), 5, True)]


def test_where_no_seed_changes_anything_no_error_is_kept_for_later(run):
    assert run([[]], losses=[0.1] * 5).looked == [Looks((5,), 40, True)]
