"""Which seeds choose, and which seeds report on what they chose."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgd.arguments import as_integer
from jaxgd.studies.trials.dense import Trials


class SeedsSplit(NamedTuple):
    """Seeds that choose and seeds that report: none is both, so a choice does not flatter itself.

    Attributes:
        tuning: int64[t], places in `Trials.seeds` of the seeds that choose.
        reporting: int64[p], of the seeds that report.
    """

    tuning: np.ndarray
    reporting: np.ndarray


def seeds_split(trials: Trials, tuning: int | Sequence | None = None) -> SeedsSplit:
    """Which seeds tune and which report: the first half, rounded up, tunes and the others report.

    Args:
        trials: with at least two seeds.
        tuning: how many of the first seeds tune, or a list of those that do; None for half of them.

    Raises:
        ValueError: no seed would tune or none would report, or a seed that is not there.
    """
    seeds = trials.seeds
    count = as_integer(tuning)
    if tuning is None or count is not None:
        count = (len(seeds) + 1) // 2 if count is None else count
        if not 0 < count < len(seeds):
            raise ValueError(
                f"tuning must leave some of the {len(seeds)} seeds to tune and some to report, got {count}"
            )
        places = np.arange(len(seeds))
        return SeedsSplit(places[:count], places[count:])
    if isinstance(tuning, str) or not hasattr(tuning, "__iter__"):
        raise TypeError(f"tuning must be a number of seeds, a list of seeds, or None, got {tuning!r}")
    wanted = list(tuning)  # pyright: ignore[reportArgumentType]
    for seed in wanted:
        if seed not in seeds:
            raise ValueError(f"tuning must hold seeds of the trials, {_listed(seeds)}, got {seed!r}")
    is_tuning = np.array([seed in wanted for seed in seeds])
    if is_tuning.all() or not is_tuning.any():
        raise ValueError(f"tuning must leave some of the seeds {_listed(seeds)} to report, got {wanted}")
    return SeedsSplit(np.flatnonzero(is_tuning), np.flatnonzero(~is_tuning))


def _listed(seeds: tuple) -> str:
    return ", ".join(map(str, seeds))
