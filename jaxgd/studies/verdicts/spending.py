"""How the error is spent over rounds of seeds, so that looking again and again does not add to it.

A group-sequential design: after each round the intervals are made at an error of their own, the share of that
round, and whatever one of them has shown stays shown (repeated confidence intervals: Jennison and Turnbull
1989, Journal of the Royal Statistical Society B 51, 305-361). What is spent after n seeds is a function of n
(Lan and DeMets 1983, Biometrika 70, 659-663), here in proportion to them (Kim and DeMets 1987, Biometrika 74,
149-154):

    spent(n) = n / most

so 1/8, 1/8, 1/4 and 1/2 of the error at 5, 10, 20 and 40 seeds. Each look has what is spent since the last
one to itself (Slud and Wei 1982, Journal of the American Statistical Association 77, 862-868). The shares add
up to 1, so all looks together are wrong with the whole error at most, however they depend on each other and
on who goes on.
"""

from collections.abc import Sequence

import numpy as np

LEAST_SEEDS = 5  # with fewer there is no verdict
ROUNDS = (5, 10, 20, 40)


def shares_of_error(looks: Sequence[int], most: int, last: bool = False) -> list[float]:
    """Which share of the error each look at the data may use, [looks]; 1 together at most.

    Args:
        looks: the number of seeds at each look made, rising.
        most: the number of seeds of the last round planned.
        last: whether no further round follows the last of these looks, which then gets all that is left. This
            has to be known before the look, as from a clock, and not from the scores.

    Raises:
        ValueError: looks do not rise, or go beyond `most`.
    """
    looks = list(looks)
    if not looks or sorted(set(looks)) != looks or looks[-1] > most:
        raise ValueError(f"looks must rise and end at {most} seeds at most, got {looks}")
    spent = [seeds / most for seeds in looks]
    if last:
        spent[-1] = 1.0
    return np.diff(spent, prepend=0.0).tolist()
