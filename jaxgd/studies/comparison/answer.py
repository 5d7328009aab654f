"""What a comparison found, in a sentence: which cell to use, and a second one on the batch size itself."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jaxgd.specs.wording import batch_text, count_text, gap_text, list_text, score_text
from jaxgd.studies.comparison.baselines import Baseline
from jaxgd.studies.comparison.cells import Cell, sign_of
from jaxgd.studies.verdicts.recommending import EQUALLY_FAST
from jaxgd.studies.verdicts.spending import LEAST_SEEDS

_MANY_ROWS = 1000  # more of them would tell little more


@dataclass(frozen=True)
class Subject:
    """What was compared. most: how many fresh seeds a cell may have."""

    data: str
    score: str
    epochs: int
    num_train: int
    num_test: int
    most: int


@dataclass(frozen=True)
class Found(Subject):
    """What the sentences are made of.

    cells: best first by validation. recommended: which to use; None where there is none. shown: whether it is
    shown to be as good as the best. beats_constant: whether it is shown to beat the constant prediction, if
    one is known.
    """

    cells: Sequence[Cell]
    recommended: Cell | None
    shown: bool
    margin: float
    constant: Baseline | None
    beats_constant: bool


def write_answer(found: Found) -> str:
    """The first line: use this optimizer, batch size and rate, and how sure that is.

    "On digits, 20 epochs: use momentum, batch 32, rate 0.04: test accuracy 97.4 % (95.2 to 98.6) over 5 fresh
    seeds and 360 test rows, as good as the best of 12 (+0.1 points, -0.4 to +0.9) and the cheapest of the 2
    that are."
    """
    opening = f"On {found.data}, {count_text(found.epochs, 'epoch')}: "
    cell = found.recommended
    if cell is None:
        return (
            f"{opening}nothing to recommend: every cell diverged on a fresh seed. Try smaller learning rates."
        )
    score = _covered_score(found, cell)
    if not found.beats_constant:
        assert found.constant is not None
        name = cell_text(cell, found.num_train)
        constant = constant_text(found.constant, found.score)
        rest = f"The best cell, {name}, is not shown to beat that: {score}."
        return f"{opening}nothing to recommend. {constant} {rest}"
    tested = f"test {found.score} {score}{_standing(found, cell)}"
    return f"{opening}use {cell_text(cell, found.num_train)}: {tested}."


def _covered_score(found: Found, cell: Cell) -> str:
    """The test score of a cell, its interval, and what that covers."""
    rows = count_text(found.num_test, "test row")
    over = f"{count_text(cell.seeds, 'fresh seed')} and {rows}" if cell.chance else rows
    once = "" if cell.chance else " (one run: no seed changes it)"
    return f"{score_text(cell.test, cell.test_low, cell.test_high, found.score)} over {over}{once}"


def write_batch_sizes(found: Found) -> str:
    """The second sentence: which batch sizes are as good, and which are worse, diverged or slower."""
    sizes = sorted({cell.batch_size for cell in found.cells})
    if found.recommended is None or not found.beats_constant or len(sizes) < 2:
        return ""
    known = [cell for cell in found.cells if not math.isnan(cell.test)]
    by_size = {size: [cell for cell in known if cell.batch_size == size] for size in sizes}
    sentence = "; ".join([*_standings(found, by_size), *_slower(found, by_size)])
    return f"Batch size: {sentence}."


def _standings(found: Found, by_size: dict[int, list[Cell]]) -> list[str]:
    """How the batch sizes stand, by those of their cells that did not diverge on a fresh seed."""
    good = [size for size, cells in by_size.items() if any(cell.is_as_good for cell in cells)]
    lost = [size for size, cells in by_size.items() if not cells]
    bad = [size for size, cells in by_size.items() if cells and all(one.verdict == "worse" for one in cells)]
    rest = [size for size in by_size if size not in (*good, *lost, *bad)]
    return [
        *([f"{_sizes_text(good, found)} {_are(good)} as good as the best"] if good else []),
        *[f"{batch_text(size, found.num_train)} is worse ({_nearest(by_size[size], found)})" for size in bad],
        *([f"at {_sizes_text(lost, found)} every cell diverged on a fresh seed"] if lost else []),
        *([f"of {_sizes_text(rest, found)} these runs cannot tell"] if rest else []),
    ]


def write_remedy(found: Found) -> str:
    """What to run where nothing could be told; empty where something was."""
    cell = found.recommended
    if cell is None or found.shown or not _rivals(found, cell):
        return ""
    if cell.verdict == "no verdict":
        return f"To tell: at least {LEAST_SEEDS} fresh seeds (--fresh-seeds {LEAST_SEEDS})."
    ways = [f"more test rows than {found.num_test}"] if found.num_test < _MANY_ROWS else []
    if any(one.chance for one in found.cells):
        are_spent = _most_seeds(found) == found.most
        ways += [f"--max-seeds {2 * found.most}" if are_spent else "more time for seeds (--max-seconds)"]
    return f"To tell: {', or '.join(ways)}." if ways else ""


def cell_text(cell: Cell, num_train: int) -> str:
    """A cell in words: "momentum, batch 32, rate 0.04"."""
    return f"{cell.optimizer}, {batch_text(cell.batch_size, num_train)}, rate {cell.learning_rate:g}"


def constant_text(constant: Baseline, score: str) -> str:
    """What a constant prediction scores, as a sentence."""
    what = "a test loss of " if score == "loss" else ""
    return f"Predicting {constant.text} every time gives {what}{_alone(constant.score, score)}."


def baseline_lines(constant: Baseline | None, linear: Baseline | None, score: str) -> list[str]:
    """What the baselines score, a line each."""
    lines = [] if constant is None else [constant_text(constant, score)]
    if linear is not None:
        rest = "the strength of its penalty chosen on validation rows"
        lines.append(f"{linear.text}, {rest}: {_alone(linear.score, score)}.")
    return lines


def write_choice(found: Found) -> str:
    """What being chosen does to a score: that of the seeds that chose, beside that of fresh ones."""
    cell = found.recommended
    if cell is None or not found.beats_constant or not cell.chance:
        return ""
    if math.isnan(cell.tuning_valid + cell.valid):
        return ""
    is_flattered = sign_of(found.score) * (cell.tuning_valid - cell.valid) > 0
    return (
        f"Validation {found.score} of this choice: {_alone(cell.tuning_valid, found.score)} on the seeds "
        f"that chose its rate, {_alone(cell.valid, found.score)} on fresh ones"
        f"{': what is chosen looks better than it is' if is_flattered else ''}."
    )


def _alone(value: float, score: str) -> str:
    return score_text(value, math.nan, math.nan, score)


def times_faster(cell: Cell, other: Cell) -> float | None:
    """How many times faster a cell is than another one; None unless it clearly was in every turn of the
    clock.
    """
    ratios = [b / a for a, b in zip(cell.seconds_by_turn, other.seconds_by_turn, strict=False)]
    ratio = other.seconds / cell.seconds
    return ratio if min(ratios, default=ratio) > EQUALLY_FAST else None


def _standing(found: Found, cell: Cell) -> str:
    """How the cell stands to the others."""
    if len(found.cells) == 1:
        return ""
    gap = f"({gap_text(cell.gap, cell.gap_low, cell.gap_high, found.score)})"
    others = "the other" if len(found.cells) == 2 else f"the {len(found.cells) - 1} others"
    if not _rivals(found, cell):
        return f", the only one of {len(found.cells)} that did not diverge on a fresh seed"
    if cell.verdict == "better":
        return f", better than {others} {gap}"
    if cell.verdict == "as good":
        count = sum(other.is_as_good for other in found.cells)
        what = "the one with the fewest updates" if math.isnan(cell.seconds) else "the cheapest"
        cheapest = f" and {what} of the {count} that are" if count > 1 else ""
        return f", as good as the best of {len(found.cells)} {gap}{cheapest}{_factor(found, cell)}"
    if cell.verdict == "no verdict":
        return f", the best on validation data; fewer than {LEAST_SEEDS} fresh seeds allow no verdict"
    by_chance = any(one.chance for one in found.cells)
    seen = f"{_most_seeds(found)} fresh seeds" if by_chance else f"{found.num_test} test rows"
    return f", the best on validation data; {seen} cannot tell it from {others} {gap}"


def _rivals(found: Found, cell: Cell) -> list[Cell]:
    """The other cells that have a score."""
    return [one for one in found.cells if one is not cell and not math.isnan(one.test)]


def _most_seeds(found: Found) -> int:
    """How many fresh seeds the cell has that has most of them."""
    return max(one.seeds for one in found.cells)


def _factor(found: Found, cell: Cell) -> str:
    """How many times faster it is than the first by validation, where it clearly is."""
    first = found.cells[0]
    ratio = None if first is cell else times_faster(cell, first)
    return "" if ratio is None else f", {ratio:.1f}x faster than {cell_text(first, found.num_train)}"


def _nearest(cells: Sequence[Cell], found: Found) -> str:
    cell = max(cells, key=lambda cell: cell.gap)
    return gap_text(cell.gap, cell.gap_low, cell.gap_high, found.score)


def _slower(found: Found, by_size: dict[int, list[Cell]]) -> list[str]:
    """How many times as long a run takes at each size where it clearly takes longer than the recommended."""
    cell = found.recommended
    assert cell is not None
    cheapest = {size: min(cells, key=lambda one: one.seconds) for size, cells in by_size.items() if cells}
    ratios = {size: times_faster(cell, one) for size, one in cheapest.items() if size != cell.batch_size}
    return [
        f"a run at {batch_text(size, found.num_train)} takes {ratio:.1f}x as long"
        for size, ratio in ratios.items()
        if ratio is not None
    ]


def _sizes_text(sizes: list[int], found: Found) -> str:
    return list_text([batch_text(size, found.num_train) for size in sizes])


def _are(sizes: list[int]) -> str:
    return "is" if len(sizes) == 1 else "are"
