import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import studentized_range

from jaxgd.studies.verdicts.levels import correlations, one_sided_levels, pairwise_level


def bound(level):
    return float(-ndtri(level))


@pytest.mark.parametrize(("comparisons", "tabled"), [(1, 1.64), (2, 1.92), (5, 2.23), (9, 2.42)])
def test_dunnetts_table(comparisons, tabled):
    # One-sided, 5 %, correlation 1/2, infinite degrees of freedom (Dunnett 1955, table 1a).
    assert bound(one_sided_levels(0.05, comparisons, np.array(0.5))) == pytest.approx(tabled, abs=0.006)


def test_independent_comparisons_are_sidaks():
    assert one_sided_levels(0.05, 11, np.array(0.0)) == pytest.approx(1 - 0.95 ** (1 / 11))


def test_strong_correlation_by_simulation():
    draws = np.random.default_rng(0).normal(size=(200_000, 12))
    largest = (np.sqrt(0.9) * draws[:, :1] + np.sqrt(0.1) * draws[:, 1:]).max(1)
    level = one_sided_levels(0.05, 11, np.array(0.9))
    assert np.mean(largest > bound(level)) == pytest.approx(0.05, abs=0.002)


@pytest.mark.parametrize(("cells", "tabled"), [(2, 2.77), (3, 3.31), (12, 4.62)])
def test_tukeys_table(cells, tabled):
    assert bound(pairwise_level(0.05, cells)) * np.sqrt(2) == pytest.approx(tabled, abs=0.006)


@pytest.mark.parametrize("error", [0.05, 0.0125, 0.0003])
@pytest.mark.parametrize("cells", [2, 3, 12, 40])
def test_the_range_is_scipys(error, cells):
    expected = ndtr(-studentized_range.isf(error, cells, np.inf) / np.sqrt(2))
    assert pairwise_level(error, cells) == pytest.approx(expected, rel=1e-5)


def test_correlations_of_independent_cells():
    # Cells of variances 1, 1, 4. From the third the others' differences have correlation 4/5, from the first
    # 1 / √(2·5).
    own = np.array([1.0, 1.0, 4.0])
    variance = (own[:, None] + own) * (1 - np.eye(3))
    expected = [1 / np.sqrt(10), 1 / np.sqrt(10), 4 / 5]
    assert correlations(variance) == pytest.approx(expected)


def test_correlations_where_there_is_nothing():
    assert correlations(np.zeros((3, 3))) == pytest.approx([0, 0, 0])
    assert correlations(np.array([[0.0, 2.0], [2.0, 0.0]])) == pytest.approx([0, 0], abs=1e-12)
