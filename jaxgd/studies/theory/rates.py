"""The best constants of gradient descent and its accelerations on a quadratic, with exact gradients."""

import math
from typing import NamedTuple

from jaxgd.arguments import one_of

METHODS = ("gradient descent", "heavy ball", "nesterov")


class OptimalRate(NamedTuple):
    """The constants and what an update shrinks the distance to the minimum by, in the long run.

    Attributes:
        learning_rate: number.
        momentum: number, 0 of gradient descent.
        contraction: number, from 0 to below 1.
    """

    learning_rate: float
    momentum: float
    contraction: float


def optimal_rate(method: str, smallest: float, largest: float) -> OptimalRate:
    """The best constants on a quadratic whose curvatures lie between two numbers, k times apart.

    Gradient descent has the rate `2 / (l + s)` and the contraction `(k - 1) / (k + 1)`. Heavy ball has
    `4 / (√l + √s)²`, `(√k - 1) / (√k + 1)` and the square of that as momentum. These two are optimal.
    Nesterov's standard constants are the rate `1 / l` and the momentum `(√k - 1) / (√k + 1)`, with the
    contraction `1 - 1 / √k`.

    Args:
        method: "gradient descent", "heavy ball" or "nesterov".
        smallest: s, above 0.
        largest: l, at least s.

    Raises:
        ValueError: an unknown method, or curvatures out of order.

    Source: Polyak 1964; Nesterov 2004, section 2.2; Lessard, Recht and Packard 2016, proposition 1.

    Example:
        >>> import jaxgd
        >>> round(jaxgd.studies.optimal_rate("heavy ball", 1, 25).contraction, 6)
        0.666667
    """
    one_of("method", method, METHODS)
    if not 0 < smallest <= largest < math.inf:
        raise ValueError(
            f"curvatures must be finite with 0 < smallest <= largest, got smallest={smallest!r}, "
            f"largest={largest!r}"
        )
    root = math.sqrt(largest / smallest)
    share = (root - 1) / (root + 1)
    if method == "gradient descent":
        return OptimalRate(2 / (largest + smallest), 0.0, (root**2 - 1) / (root**2 + 1))
    if method == "heavy ball":
        return OptimalRate(4 / (math.sqrt(largest) + math.sqrt(smallest)) ** 2, share**2, share)
    return OptimalRate(1 / largest, share, 1 - 1 / root)
