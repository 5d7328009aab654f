"""Performance profiles by hand."""

import numpy as np
import pytest

from jaxgd.studies import performance_profiles

INF = np.inf


def test_two_methods_by_hand():
    found = performance_profiles([[1, 2, INF], [2, 1, 5]])
    assert found.methods == (0, 1)
    np.testing.assert_array_equal(found.ratios, [[1, 2, INF], [2, 1, 1]])
    np.testing.assert_array_equal(found.taus, [1, 2, 4])
    np.testing.assert_allclose(found.shares, [[1 / 3, 2 / 3, 2 / 3], [2 / 3, 1, 1]])
    np.testing.assert_allclose(found.areas, [5 / 9, 8 / 9])


def test_the_area_is_under_the_steps():
    times = np.random.default_rng(0).lognormal(size=(4, 12))
    times[1, 3] = INF
    found = performance_profiles(dict(zip("abcd", times, strict=True)), largest=3)
    assert found.methods == ("a", "b", "c", "d")
    under = (found.shares[:, :-1] * np.diff(found.taus)).sum(-1) / 2
    np.testing.assert_allclose(found.areas, under)


def test_a_workload_that_all_miss_counts_for_none():
    found = performance_profiles([[1, INF], [1, INF]])
    np.testing.assert_array_equal(found.ratios, [[1, INF], [1, INF]])
    np.testing.assert_array_equal(found.areas, [0.5, 0.5])


@pytest.mark.parametrize(
    ("times", "largest", "message"),
    [
        ([[1, 0]], 4, "times must be above 0, inf for a miss, got 0"),
        ([[1, np.nan]], 4, "times must be above 0"),
        ([1, 2], 4, r"times must be \[methods, workloads\], got shape \(2,\)"),
        ({"a": [1], "b": [1, 2]}, 4, "times must have a time of each workload for every method"),
        ([[1.0]], 1, "largest must be finite and above 1, got 1"),
    ],
)
def test_bad_arguments(times, largest, message):
    with pytest.raises(ValueError, match=message):
        performance_profiles(times, largest)
