"""Performance profiles: on which share of workloads a method is within a factor of the fastest."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class PerformanceProfiles(NamedTuple):
    """Profiles of m methods on w workloads.

    Attributes:
        methods: m labels; numbers from 0 where none were given.
        ratios: float64[m, w], times over the fastest method's on that workload; infinite for a miss.
        taus: float64[t], where a profile steps up, from 1 to `largest`.
        shares: float64[m, t], of the workloads with a ratio of at most tau.
        areas: float64[m], the mean height of each profile from 1 to `largest`, 0 to 1.
    """

    methods: tuple
    ratios: np.ndarray
    taus: np.ndarray
    shares: np.ndarray
    areas: np.ndarray


def performance_profiles(times: Any, largest: float = 4.0) -> PerformanceProfiles:
    """For each method the share of workloads on which it takes at most tau times the fastest method's time.

    A workload that every method misses counts for none of them. A ranking by areas is of these methods and
    workloads: a method that is left out may change the order of the others.

    Args:
        times: [m, w], of each method to the goal of each workload, above 0, infinite where it is missed; or a
            mapping from methods to [w].
        largest: where the profiles end, above 1.

    Raises:
        ValueError: times of other shapes or out of their range.

    Source: Dolan and Moré 2002, "Benchmarking optimization software with performance profiles"; areas up to 4
    as of Dahl et al. 2023, "Benchmarking Neural Network Training Algorithms".

    Example:
        >>> import jaxgd
        >>> found = jaxgd.studies.performance_profiles({"a": [1, 2, float("inf")], "b": [2, 1, 5]})
        >>> found.areas.round(6).tolist()
        [0.555556, 0.888889]
    """
    methods = tuple(times) if isinstance(times, Mapping) else None
    rows = list(times.values()) if isinstance(times, Mapping) else times
    try:
        table = np.array(rows, np.float64)
    except ValueError:
        raise ValueError(
            "times must have a time of each workload for every method, [methods, workloads]"
        ) from None
    if table.ndim != 2 or not table.size:
        raise ValueError(f"times must be [methods, workloads], got shape {table.shape}")
    if not (table > 0).all():
        raise ValueError(f"times must be above 0, inf for a miss, got {table[~(table > 0)][0]:g}")
    if not 1 < largest < np.inf:
        raise ValueError(f"largest must be finite and above 1, got {largest!r}")
    fastest = table.min(axis=0)
    ratios = np.where(np.isfinite(table), table / np.where(np.isfinite(fastest), fastest, 1), np.inf)
    taus = np.unique(np.r_[1.0, ratios[ratios <= largest], largest])
    shares = (ratios[:, None] <= taus[:, None]).mean(-1)
    areas = np.maximum(largest - ratios, 0).mean(-1) / (largest - 1)
    names = tuple(range(len(table))) if methods is None else methods
    return PerformanceProfiles(names, ratios, taus, shares, areas)
