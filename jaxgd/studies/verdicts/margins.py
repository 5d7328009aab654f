"""Which differences are none for practical purposes, and which ones so many test rows cannot show."""

import numpy as np
from scipy.special import stdtrit

from jaxgd.studies.verdicts.ends import lower_ends

POINTS = 0.005
OF_LOSS = 0.02
FEW_ROWS = 200  # below it, how small a difference the rows can show is worth a sentence


def accuracy_margin(num_rows: int) -> float:
    """0.5 points, or one test row where that is more: 0.005 of 360 rows, 0.02 of 50."""
    return max(POINTS, 1 / num_rows)


def loss_margin(loss: float, constant: float | None = None) -> float:
    """2 % of the loss, or of what a constant prediction has where that is more (and known)."""
    return OF_LOSS * max(abs(loss), abs(constant or 0.0))


def smallest_difference(num_rows: int, error: float = 0.05) -> float:
    """The least difference in accuracy that so many test rows can show where seeds agree; 1 where none.

    The cell that is ahead is right on some rows more and the other one on none, at every seed, and the
    interval still has to lie above the margin. Seeds in rounds, and more than two cells, need more. Where it
    is other rows at other seeds, few seeds need more and many seeds less.
    """
    rows = np.arange(1, num_rows + 1)
    mean = rows / num_rows
    variance = mean * (1 - mean) / max(num_rows - 1, 1)
    quantile = stdtrit(max(num_rows - 1, 1), 1 - error / 2)
    low = lower_ends(mean, variance, np.full(num_rows, quantile), np.ones(num_rows), num_rows)
    return float(min(mean[low > accuracy_margin(num_rows)], default=1.0))
