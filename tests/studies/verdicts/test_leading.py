import numpy as np
import pytest
from scipy.special import ndtri

from jaxgd.studies.verdicts.leading import leading_levels
from jaxgd.studies.verdicts.levels import one_sided_levels


def critical(error, cells, correlation, ratio):
    return float(-ndtri(leading_levels(error, np.array(cells), np.array(correlation), np.array(ratio))))


@pytest.mark.parametrize("error", [0.05, 0.00625])
@pytest.mark.parametrize("correlation", [0.2, 0.5, 0.8])
def test_a_large_margin_is_dunnetts(error, correlation):
    expected = -ndtri(one_sided_levels(error, 11, np.array(correlation)))
    assert critical(error, 11, correlation, 9.0) == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize("cells", [1, 2, 11, 100])
def test_without_a_margin_nothing_is_corrected(cells):
    assert critical(0.05, cells, 0.5, 0.0) == pytest.approx(1.64485, abs=1e-4)


def test_one_cell_is_one_comparison():
    assert critical(0.05, 1, 0.5, 2.0) == pytest.approx(1.64485, abs=1e-4)


def test_more_cells_or_a_larger_margin_need_more():
    values = [critical(0.05, cells, 0.5, 1.5) for cells in (1, 2, 4, 11, 40)]
    assert sorted(values) == values
    values = [critical(0.05, 11, 0.5, ratio) for ratio in (0.5, 1.0, 1.7, 2.2, 4.0)]
    assert sorted(values) == values


@pytest.mark.parametrize(("correlation", "ratio"), [(0.5, 1.25), (0.8, 1.0), (0.2, 2.0)])
def test_as_often_as_simulated(correlation, ratio):
    """Twelve cells, one of them a margin above the others; the worst number of others makes the error."""
    draws, shares = np.random.default_rng(0).normal(size=(100_000, 12)), []
    bound = critical(0.05, 11, correlation, ratio)
    deviation = np.sqrt(2 * (1 - correlation))
    for count in (1, 2, 3, 4, 6, 8, 11):
        cells = np.sqrt(1 - correlation) * draws[:, 1 : count + 1]
        beyond_best = (cells + np.sqrt(correlation) * draws[:, :1] > bound).any(1)
        two = np.sort(np.pad(cells, ((0, 0), (1, 0)), constant_values=-99), 1)[:, -2:]
        top = two[:, 1] + np.sqrt(correlation) * draws[:, 0] > bound
        ahead = two[:, 1] - two[:, 0] > bound * deviation - ratio
        shares.append(np.mean(beyond_best & top & ahead))
    assert max(shares) == pytest.approx(0.05, abs=0.0025)
