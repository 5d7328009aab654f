"""Which seeds tune and which report."""

import numpy as np
import pytest

from jaxgd.studies import seeds_split, trials_of


def trials(seeds):
    count = len(seeds)
    return trials_of(
        {
            "batch_size": [8] * count,
            "learning_rate": [0.1] * count,
            "seed": seeds,
            "updates": [1] * count,
            "loss": np.arange(count),
        }
    )


@pytest.mark.parametrize(("count", "tuning"), [(10, 5), (5, 3), (3, 2), (2, 1)])
def test_the_first_half_tunes(count, tuning):
    split = seeds_split(trials(range(100, 100 + count)))
    np.testing.assert_array_equal(split.tuning, range(tuning))
    np.testing.assert_array_equal(split.reporting, range(tuning, count))


def test_what_is_asked_for():
    given = trials([4, 2, 9])
    np.testing.assert_array_equal(seeds_split(given, 1).reporting, [1, 2])
    np.testing.assert_array_equal(seeds_split(given, [9, 2]).tuning, [0, 2])
    np.testing.assert_array_equal(seeds_split(given, [9, 2]).reporting, [1])
    np.testing.assert_array_equal(seeds_split(trials(["a", "b"]), ["b"]).tuning, [1])


@pytest.mark.parametrize(
    ("tuning", "message"),
    [
        (0, "tuning must leave some of the 2 seeds to tune and some to report, got 0"),
        (2, "some to report, got 2"),
        ([0, 1], "tuning must leave some of the seeds 0, 1 to report"),
        ([], "to report, got "),
        ([7], "tuning must hold seeds of the trials, 0, 1, got 7"),
    ],
)
def test_bad_splits(tuning, message):
    with pytest.raises(ValueError, match=message):
        seeds_split(trials([0, 1]), tuning)


def test_one_seed_cannot_be_split():
    with pytest.raises(ValueError, match="the 1 seeds"):
        seeds_split(trials([0]))
    with pytest.raises(
        TypeError, match="tuning must be a number of seeds, a list of seeds, or None, got 'a'"
    ):
        seeds_split(trials([0, 1]), "a")
