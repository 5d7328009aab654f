"""The one to use: most probably within the margin of the best, and about as cheap as any that is."""

import numpy as np

from jaxgd.studies.verdicts.recommending import EQUALLY_FAST

_DRAWS = 4000


def probabilities_of_good(scores: np.ndarray, mode: str, margin: float, costs: np.ndarray) -> np.ndarray:
    """How probable it is of each cell that it is within the margin of the best, and no such one is cheaper.

    Up to 1.1 times the cost of the cheapest is as cheap. The true means are drawn from what the seeds say of
    them: Student's t around the means seen, with the covariances between cells seed by seed. A verdict says
    what is shown whatever the truth; this says on what to bet.

    Args:
        scores: float64[k, p], NaN where there is none: such a cell is no choice.
        mode: "min" or "max".
        margin: of practical equality, in units of the score.
        costs: float64[k], known ones.

    Returns:
        float64[k]; NaN where the cell has no mean, and of a single seed 0 or 1.
    """
    scores = scores if mode == "min" else -scores
    places = np.flatnonzero(np.isfinite(scores.mean(-1)) & np.isfinite(costs))
    found = np.full(len(scores), np.nan)
    if not places.size:
        return found
    known, costs, seeds = scores[places], costs[places], scores.shape[1]
    means = known.mean(-1, keepdims=True)
    rng = np.random.default_rng(0)  # the same trials, the same answer
    free = max(seeds - 1, 1)
    weights = rng.normal(size=(seeds, _DRAWS)) / np.sqrt(seeds * rng.chisquare(free, _DRAWS))
    drawn = means + (known - means) @ weights
    is_close = drawn <= drawn.min(0) + margin
    cheapest = np.where(is_close, costs[:, None], np.inf).min(0)
    found[places] = (is_close & (costs[:, None] <= EQUALLY_FAST * cheapest)).mean(-1)
    return found


def most_probable(probabilities: np.ndarray, costs: np.ndarray) -> int | None:
    """The cell to use: of equals the cheapest, then the first; None where there is none to choose."""
    places = np.flatnonzero(np.isfinite(probabilities))
    if not places.size:
        return None
    return int(min(places, key=lambda cell: (-probabilities[cell], costs[cell])))
