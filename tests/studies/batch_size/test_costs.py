"""Which cell to use: the soonest in seconds, else in updates among those that waste no examples."""

import numpy as np

from jaxgd.studies import measured_steps
from jaxgd.studies.batch_size.costs import picked, picks, seconds_per_update
from tests.studies.scaling.tables import table_of

SIZES = (8, 32, 128)


def steps_of(updates, spread=0.0):
    random = np.random.default_rng(0)
    logs = np.log(updates)[:, None, None] + spread * random.normal(size=(len(updates), 1, 10))
    return measured_steps(table_of(logs, SIZES[: len(updates)], (0.1,)), {"loss": 1.0})


def test_seconds_decide_where_there_are_some():
    steps = steps_of([100.0, 30.0, 20.0])
    pick = picked([steps], np.array([[1e-3, 2e-3, 5e-3]]))
    assert (pick.batch_size, round(pick.seconds, 6)) == (32.0, 0.06)
    assert picks(pick, "", 32)
    assert not picks(pick, "", 8)


def test_without_seconds_the_fewest_updates_among_those_that_waste_no_examples():
    # Examples 800, 960, 2560: the second is 20 % more, the third is too dear.
    pick = picked([steps_of([100.0, 30.0, 20.0])], np.full((1, 3), np.nan))
    assert pick.batch_size == 32.0
    assert np.isnan(pick.seconds)


def test_cells_within_chance_are_named():
    near = picked([steps_of([100.0, 25.5, 20.0], spread=0.2)], np.array([[1e-3, 4e-3, 1.0]]))
    far = picked([steps_of([100.0, 25.5, 20.0], spread=0.001)], np.array([[1e-3, 4e-3, 1.0]]))
    assert [size for _, size in near.others] == [32.0 if near.batch_size == 8.0 else 8.0]
    assert far.others == ()


def test_nothing_that_is_reached():
    steps = steps_of([100.0, 30.0])
    assert picked([steps._replace(found=["not reached", "at least"])], np.ones((1, 2))) is None


def test_seconds_of_an_update_are_those_measured():
    from jaxgd.studies import trials_of

    table = table_of(np.log([100.0, 30.0])[:, None, None] + np.zeros((2, 1, 2)), SIZES[:2], (0.1,))
    pairs = zip(table["updates"], table["batch_size"], strict=True)
    table["seconds"] = [u * (1e-3 if b == 8 else 3e-3) for u, b in pairs]
    np.testing.assert_allclose(seconds_per_update(trials_of(table)), [[1e-3, 3e-3]])
    del table["seconds"]
    assert np.isnan(seconds_per_update(trials_of(table))).all()
