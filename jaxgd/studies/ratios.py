"""The interval of a ratio of two estimates (Fieller 1954)."""

import math


def ratio_ends(
    numerator: float,
    denominator: float,
    variances: tuple[float, float],
    covariance: float,
    quantile: float,
) -> tuple[float, float]:
    """The ends between which the ratio lies; the upper one is infinite where the denominator may be 0.

    Between them are the k for which `numerator - k denominator` may be 0: it lies within so many standard
    errors of 0. A ratio's own error says nothing where its divisor may be 0; there is no upper end then.

    Args:
        numerator: an estimate, 0 or more.
        denominator: an estimate above 0.
        variances: of both.
        covariance: of both.
        quantile: how many standard errors count.
    """
    # The ends solve `square k² - 2 middle k + constant = 0`.
    square = denominator**2 - quantile**2 * variances[1]
    middle = numerator * denominator - quantile**2 * covariance
    constant = numerator**2 - quantile**2 * variances[0]
    root = math.sqrt(max(middle**2 - square * constant, 0.0))
    if square <= 0:
        return ((middle - root) / square if square < 0 and constant > 0 else 0.0), math.inf
    return max((middle - root) / square, 0.0), (middle + root) / square
