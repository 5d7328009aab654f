"""Which method and batch size is best at a budget: the verdicts of a comparison, on scores by seed alone."""

from typing import NamedTuple

import numpy as np

from jaxgd.studies.budgets.choosing import most_probable, probabilities_of_good
from jaxgd.studies.verdicts.concluding import VERDICTS, CellScores, Conclusion, conclude, differs
from jaxgd.studies.verdicts.margins import POINTS, loss_margin
from jaxgd.studies.verdicts.recommending import recommend
from jaxgd.studies.verdicts.spending import LEAST_SEEDS


class Judged(NamedTuple):
    """What the reporting seeds say of k cells at one budget.

    conclusion: gaps, intervals and verdicts, [k]. margin: of practical equality. order: cells that have a
    mean, best first. shown: the cheapest of those shown to be as good as the best, None where none is.
    probabilities: [k], of being the one to use. recommended: the most probable one; None without a mean.
    """

    conclusion: Conclusion
    margin: float
    order: list[int]
    shown: int | None
    probabilities: np.ndarray
    recommended: int | None

    @property
    def verdicts(self) -> list[str]:
        """The verdict on each cell, in words."""
        return [VERDICTS[code] for code in self.conclusion.codes]


def judge_scores(
    scores: np.ndarray, mode: str, margin: float | None, share: float, costs: np.ndarray
) -> Judged:
    """The verdicts on cells by their scores at seeds that chose nothing.

    Differences are taken seed by seed. A cell without a score at a seed has no verdict. Of cells whose seeds
    change nothing only the best one may have: from each other such cells differ by one run, and no chance is
    known of that.

    Args:
        scores: float64[k, p], of k cells and p seeds, NaN where there is none.
        mode: "min" or "max".
        margin: as of `equal_budgets`.
        share: of the error, 0 to 1.
        costs: float64[k], what decides between cells that are as good.
    """
    means = scores.mean(-1)
    has_mean = np.isfinite(means)
    margin = margin_of(means, mode) if margin is None else margin
    order = [int(cell) for cell in np.argsort(means if mode == "min" else -means) if has_mean[cell]]
    # A cell of fewer seeds than the first look has no verdict, and is none of the others.
    left_out = _one_runs(scores, order)
    values = [row[: 1 if cell in left_out else None, None] for cell, row in enumerate(scores)]
    looks = (max(scores.shape[1], LEAST_SEEDS),)
    conclusion = conclude(CellScores(values, False, mode == "max"), margin, looks, (share,))
    known = np.where(np.isfinite(costs), costs, np.inf)
    cheapest = recommend(conclusion, order, known, np.zeros(len(known)))
    probabilities = probabilities_of_good(scores, mode, margin, costs)
    return Judged(
        conclusion,
        margin,
        order,
        cheapest.cell if cheapest.shown else None,
        probabilities,
        most_probable(probabilities, costs),
    )


def _one_runs(scores: np.ndarray, order: list[int]) -> list[int]:
    """The cells whose seeds change nothing, but the first of them where another cell's seeds do."""
    same = [cell for cell in order if not differs(scores[cell])]
    return same if len(same) == len(order) else same[1:]


def margin_of(means: np.ndarray, mode: str) -> float:
    """The difference that does not matter in practice: 0.005 of a share from 0 to 1, else 2 % of the best."""
    known = means[np.isfinite(means)]
    if not known.size:
        return 0.0
    if mode == "max" and known.min() >= 0 and known.max() <= 1:
        return POINTS
    return loss_margin(float(known.min() if mode == "min" else known.max()))
