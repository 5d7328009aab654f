"""Whether the order of two batch sizes reverses between equal epochs and equal updates.

In one epoch a small batch makes many more updates than a large one. So equal epochs flatter the small batch
(equal work, more updates), and equal updates the large one (equal updates, more work).
"""

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxgd.studies.comparison.cells import sign_of
from jaxgd.studies.intervals import paired_interval

if TYPE_CHECKING:
    import xarray as xr

_ERROR = 0.05  # of all pairs of an optimizer together


class Reversal(NamedTuple):
    """Two batch sizes of one optimizer whose order at equal epochs and at equal updates differs."""

    large: int
    small: int
    large_updates: int
    small_updates: int


def find_reversal(fresh: "xr.Dataset", optimizer: str, score: str) -> Reversal | None:
    """The pair of batch sizes furthest apart that reverses, or None.

    It reverses if, on validation data, the small batch is better after the last epoch, and the large batch is
    better where both have made as many updates as the large one makes in all; both by paired intervals that
    exclude 0, at an error of 5 % for all pairs together.
    """
    runs = fresh.sel(optimizer=optimizer)
    pairs = list(combinations(sorted(map(int, runs.batch_size.values)), 2))
    for small, large in sorted(pairs, key=lambda pair: pair[0] / pair[1]):
        if _reverses(runs.sel(batch_size=small), runs.sel(batch_size=large), score, _ERROR / len(pairs)):
            updates = runs.updates.isel(epoch=-1).max("seed")
            return Reversal(
                large, small, int(updates.sel(batch_size=large)), int(updates.sel(batch_size=small))
            )
    return None


def _reverses(small: "xr.Dataset", large: "xr.Dataset", score: str, error: float) -> bool:
    small_curve = sign_of(score) * small[f"valid_{score}"].transpose("seed", "epoch").values
    large_curve = sign_of(score) * large[f"valid_{score}"].transpose("seed", "epoch").values
    small_updates, large_updates = small.updates.values.max(0), large.updates.values.max(0)
    # The curve has a point at each epoch's end. The small batch's first point at or after the large one's
    # last update gives the small batch at least as many updates, so the claim errs on the side of saying
    # nothing.
    point = int(np.searchsorted(small_updates, large_updates[-1]))
    if point >= small_updates.size:
        return False
    at_epochs = paired_interval(small_curve[:, -1], large_curve[:, -1], error)
    at_updates = paired_interval(small_curve[:, point], large_curve[:, -1], error)
    return at_epochs.side == 1 and at_updates.side == -1
