"""The one cell to use, read off the verdicts, and the cells whose further seeds may change it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgd.studies.verdicts.best import possible_best
from jaxgd.studies.verdicts.concluding import (
    AS_GOOD,
    BETTER,
    CANNOT_TELL,
    NO_VERDICT,
    WORSE,
    CellScores,
    Conclusion,
    conclude,
)

EQUALLY_FAST = 1.1  # up to this ratio two timings on a shared machine are the same


class Recommendation(NamedTuple):
    """The index of a cell, or None; and whether it is shown to be as good as the best, or better."""

    cell: int | None
    shown: bool


def recommend(conclusion: Conclusion, order: Sequence[int], seconds, memory) -> Recommendation:
    """The cheapest of the cells shown as good as the best; else the first in order not shown to be worse.

    Args:
        conclusion: of all cells.
        order: indices of all cells, best first by the validation scores of the fresh seeds.
        seconds: [cells], of a whole run. Cells within 1.1 of the fastest count as equally fast.
        memory: [cells], which decides between cells that are equally fast; then the order does.
    """
    codes = conclusion.codes
    for wanted in (BETTER, AS_GOOD):
        if found := [cell for cell in order if codes[cell] == wanted]:
            return Recommendation(_cheapest(found, seconds, memory), shown=True)
    left = [cell for cell in order if codes[cell] == CANNOT_TELL]
    left = left or [cell for cell in order if codes[cell] == NO_VERDICT]
    return Recommendation(left[0] if left else None, shown=False)


def worth_more_seeds(
    conclusion: Conclusion, order: Sequence[int], seconds, memory, chance: Sequence[bool] | None = None
) -> list[int]:
    """The cells that another round of seeds is for; none where the recommendation cannot change any more.

    Undecided cells that would be recommended if they were shown as good as the best, and the cells that they
    would have to be compared with. A cell without chance gets no seeds.
    """
    now = recommend(conclusion, order, seconds, memory)
    codes = conclusion.codes
    if (codes == BETTER).any():
        return []
    undecided = [cell for cell in order if codes[cell] == CANNOT_TELL]
    if now.cell is not None and now.shown:
        undecided = [c for c in undecided if _cheaper(c, now.cell, seconds, memory)]
    short = conclusion.ends.bound < -conclusion.margin
    rivals = possible_best(conclusion.ends.beside) & (codes != WORSE) & (codes != NO_VERDICT)
    wanted = set(undecided)
    for cell in undecided:
        wanted |= set(np.flatnonzero(short[cell] & rivals).tolist()) - {cell}
    return sorted(cell for cell in wanted if chance is None or chance[cell])


def lower_bounds_over(
    scores: CellScores, reference: np.ndarray, looks: Sequence[int], shares: Sequence[float]
) -> np.ndarray:
    """By how much each cell is better than a reference at least, [cells], all together with 97.5 %.

    A many-to-one comparison (Dunnett 1955), as of the last look that a cell took part in. A cell at or below
    0 is not shown to beat the reference.

    Args:
        scores: of the cells, by row.
        reference: scores of one run on the same rows, [rows], such as those of a constant prediction.
        looks: as of `conclude`.
        shares: as of `conclude`.
    """
    values = [*scores.values, np.asarray(reference, np.float64)[None]]
    chance = [*(scores.chance or [True] * len(scores.values)), False]
    doubled = [2 * share for share in shares]  # `beside` has a quarter of the error
    both = conclude(scores._replace(values=values, chance=chance), 0.0, looks, doubled)
    return both.ends.beside[:-1, -1]


def _cheaper(cell: int, other: int, seconds, memory) -> bool:
    """Whether a cell would be taken in place of another one that is as good."""
    return _cheapest([other, cell], seconds, memory) == cell


def _cheapest(cells: list[int], seconds, memory) -> int:
    """The cell that needs least memory among those about as fast as the fastest; the first of equals."""
    fastest = min(seconds[cell] for cell in cells)
    fast = [cell for cell in cells if seconds[cell] <= EQUALLY_FAST * fastest]
    return min(fast, key=lambda cell: memory[cell])
