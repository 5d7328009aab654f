"""The expected best of k trials out of n that were run, without bias."""

from typing import Any

import numpy as np

from jaxgd.arguments import one_of, whole_number


def expected_best(values: Any, k: Any = None, mode: str = "min") -> Any:
    """The mean, over all choices of k of the n trials, of the best of them; its curve over k from 1 to n.

    The i-th best of all is the best of a choice in `C(n - i, k - 1) / C(n, k)` of them. Choices are without
    replacement, so the mean is unbiased for k new trials from where these came from; with replacement it is
    not, since the same trial may be drawn twice.

    Args:
        values: [n], the scores of n independent trials, such as random draws of hyperparameters. A trial that
            diverged is the worst there is: infinite, of the sign that is worse.
        k: how many trials are run, from 1 to n; a number, or an array of them. None: 1 to n.
        mode: "min" or "max", which values are better.

    Returns:
        A float, or float64 of the shape of k.

    Raises:
        ValueError: k is more than n, no value, or one that is NaN.

    Source: Tang et al. 2020, "Showing Your Work Doesn't Always Work", against the curve of Dodge et al. 2019.

    Example:
        >>> import jaxgd
        >>> round(jaxgd.studies.expected_best([0.5, 0.2, 0.9, 0.4], 2), 5)
        0.31667
        >>> jaxgd.studies.expected_best([0.5, 0.2, 0.9, 0.4])[[0, 3]].tolist()
        [0.5, 0.2]
    """
    one_of("mode", mode, ("min", "max"))
    best_first = np.sort(np.asarray(values, np.float64).reshape(-1))
    num = best_first.size
    if not num or np.isnan(best_first).any():
        raise ValueError(f"values must hold at least one number and no NaN, got {values!r}")
    best_first = best_first if mode == "min" else best_first[::-1]
    counts = np.arange(1, num + 1) if k is None else np.asarray(k)
    for count in counts.reshape(-1).tolist():
        whole_number("k", count, 1, num)
    # The weight of the next best one is the last one's times (n - k - i + 1) / (n - i), from k / n on.
    place = np.arange(1, num)
    ratios = np.maximum(num - counts[..., None] - place + 1, 0) / (num - place)
    weights = np.cumprod(np.concatenate([counts[..., None] / num, ratios], axis=-1), axis=-1)
    found = np.where(weights > 0, weights * np.where(weights > 0, best_first, 0), 0).sum(-1)
    return float(found) if found.ndim == 0 else found
