"""What a comparison found, in words: the one sentence, and warnings that appear only when they are true."""

import math

import xarray as xr

from jaxgd.specs.wording import (
    batch_text,
    count_text,
    difference_text,
    halfwidth_text,
    list_text,
    regime_text,
    score_text,
)
from jaxgd.studies.comparison.cells import Cell, higher_is_better
from jaxgd.studies.comparison.constants import Constant
from jaxgd.studies.comparison.equal_updates import find_reversal
from jaxgd.studies.edges import edge_of

CLEARLY_FASTER = 1.1  # up to this ratio two timings on a shared machine are the same
MANY_DIVERGED = 0.25
_ROUNDING = 1e-5  # of a score, which is a mean in float32


def write_sentence(
    data: str,
    score: str,
    epochs: int,
    fresh_seeds: int,
    num_train: int,
    cells: list[Cell],
    constant: Constant | None = None,
) -> str:
    """The answer: the first cell, its test score, and a faster cell that cannot be told from it, if any.

    "On digits, 20 epochs: momentum, batch 32, rate 0.1: 97.8 % ± 0.4 (5 fresh seeds). Batch 128 is
    indistinguishable (± 0.6) and 2.1x faster." There is no winner where the first cell does not clearly beat
    the constant prediction, where one is known.
    """
    first = cells[0]
    opening = f"On {data}, {count_text(epochs, 'epoch')}: "
    if first.diverged:
        return (
            opening + "every optimizer and batch size diverged on a fresh seed. Try smaller learning rates."
        )
    found = f"{score_text(first.test, first.test_halfwidth, score)} ({count_text(fresh_seeds, 'fresh seed')})"
    if constant is not None and not beats(first, constant, score):
        rest = _others_that_beat(cells, constant, score)
        return (
            f"{opening}no winner. {constant_text(constant, score)} {_cell_text(first, num_train)}, "
            f"does not clearly beat that: {found}.{rest}"
        )
    answer = f"{_cell_text(first, num_train)}: {found}."
    return " ".join([opening + answer, *_second_sentence(cells, score, num_train)])


def constant_text(constant: Constant, score: str) -> str:
    """What a constant prediction scores, as a sentence."""
    value = score_text(constant.score, math.nan, score).replace("test loss", "a test loss of")
    return f"Predicting {constant.text} every time gives {value}."


def beats(cell: Cell, constant: Constant, score: str) -> bool:
    """Whether a cell is better than a constant prediction by more than its interval, and than rounding."""
    sign = 1 if higher_is_better(score) else -1
    return sign * (cell.test - constant.score) > cell.test_halfwidth + _ROUNDING * abs(constant.score)


def find_faster(cells: list[Cell]) -> Cell | None:
    """The fastest cell that is indistinguishable from the first and clearly faster, or None.

    Its mean must also lie within the first cell's own interval: a wide interval that just reaches 0 is no
    recommendation. And it must have been clearly faster in every turn of the clock.
    """
    first = cells[0]
    near = [
        c
        for c in cells[1:]
        if c.indistinguishable
        and abs(c.difference) <= first.test_halfwidth
        and _lowest_ratio(first, c) > CLEARLY_FASTER
    ]
    return min(near, key=lambda cell: cell.seconds, default=None)


def _lowest_ratio(first: Cell, other: Cell) -> float:
    """How many times faster the other cell was in the turn that speaks least for it."""
    turns = zip(first.seconds_by_turn, other.seconds_by_turn, strict=False)
    return min((one / two for one, two in turns), default=first.seconds / other.seconds)


def _others_that_beat(cells: list[Cell], constant: Constant, score: str) -> str:
    others = cells[1:]
    if count := sum(beats(cell, constant, score) for cell in others):
        return f" {count} of the {count_text(len(others), 'other cell')} {'does' if count == 1 else 'do'}."
    return ""


def write_warnings(
    score: str,
    num_train: int,
    grid: xr.Dataset,
    fresh: xr.Dataset,
    cells: list[Cell],
    made_splits: str | None,
) -> list[str]:
    """One line for each thing to know before trusting the sentence; an empty list if there is none."""
    return [
        *_passed_over(cells, score, num_train, fresh.sizes["seed"]),
        *_better_on_test(cells, score, num_train),
        *_cannot_tell(cells, fresh.sizes["seed"]),
        *_reversal(fresh, cells, score, num_train),
        *_edges(grid, cells, num_train),
        *_one_seed(grid),
        *_diverged(grid),
        *([made_splits] if made_splits else []),
    ]


def _second_sentence(cells: list[Cell], score: str, num_train: int) -> list[str]:
    first, others = cells[0], cells[1:]
    if faster := find_faster(cells):
        ratio = first.seconds / faster.seconds
        halfwidth = halfwidth_text(faster.difference_halfwidth, score)
        name = _name_beside(first, faster, num_train)
        return [f"{name} is indistinguishable ({halfwidth}) and {ratio:.1f}x faster."]
    same = sum(cell.indistinguishable for cell in others)
    if same:
        verb = "is" if same == 1 else "are"
        return [f"{same} of the {count_text(len(others), 'other cell')} {verb} indistinguishable from it."]
    if others and all(cell.diverged or _is_worse(cell, score) for cell in others):
        return [
            f"It beats {'the other cell' if len(others) == 1 else f'each of the {len(others)} other cells'}."
        ]
    return []


def _cell_text(cell: Cell, num_train: int) -> str:
    return f"{cell.optimizer}, {batch_text(cell.batch_size, num_train)}, rate {cell.learning_rate:g}"


def _name_beside(first: Cell, other: Cell, num_train: int) -> str:
    """What sets the other cell apart from the first: "Batch 128", "adam" or "adam, batch 128,"."""
    batch = batch_text(other.batch_size, num_train)
    if other.optimizer == first.optimizer:
        return batch.capitalize()
    return other.optimizer if other.batch_size == first.batch_size else f"{other.optimizer}, {batch},"


def _is_worse(cell: Cell, score: str) -> bool:
    sign = 1 if higher_is_better(score) else -1
    return not cell.indistinguishable and sign * cell.difference < 0


def _passed_over(cells: list[Cell], score: str, num_train: int, fresh_seeds: int) -> list[str]:
    """Cells that were better on validation data than the first, but diverged on a fresh seed."""
    sign = 1 if higher_is_better(score) else -1
    return [
        f"{_cell_text(cell, num_train)}: better on validation data, but {cell.diverged} of "
        f"{count_text(fresh_seeds, 'fresh seed')} diverged, so it is passed over."
        for cell in cells[1:]
        if cell.diverged and not cells[0].diverged and sign * cell.valid > sign * cells[0].valid
    ]


def _better_on_test(cells: list[Cell], score: str, num_train: int) -> list[str]:
    """Cells that the test split, which chose nothing, puts above the first."""
    lines = []
    for cell in cells[1:]:
        known = not (cell.indistinguishable or math.isnan(cell.difference))
        if known and not _is_worse(cell, score):
            difference = difference_text(cell.difference, cell.difference_halfwidth, score)
            lines.append(
                f"{_cell_text(cell, num_train)} did better on test data ({difference}), "
                f"but validation data put {_cell_text(cells[0], num_train)} first."
            )
    return lines


def _cannot_tell(cells: list[Cell], fresh_seeds: int) -> list[str]:
    """Optimizers whose best cell is indistinguishable from the first cell."""
    best = {cell.optimizer: cell for cell in reversed(cells)}
    first = cells[0]
    same = [
        c.optimizer
        for c in cells[1:]
        if best[c.optimizer] is c and c.indistinguishable and c.optimizer != first.optimizer
    ]
    if not same:
        return []
    return [
        f"Cannot tell {first.optimizer} from {list_text(same)}, each at its best: "
        f"the paired 95 % {'intervals' if len(same) > 1 else 'interval'} over {fresh_seeds} seeds "
        f"{'include' if len(same) > 1 else 'includes'} 0."
    ]


def _reversal(fresh: xr.Dataset, cells: list[Cell], score: str, num_train: int) -> list[str]:
    optimizer = cells[0].optimizer
    found = find_reversal(fresh, optimizer, score)
    if found is None:
        return []
    large, small = regime_text(found.large, num_train), regime_text(found.small, num_train)
    line = (
        f"{large} made {found.large_updates:,} updates, {small} {found.small_updates:,}: "
        f"at equal updates the order reverses ({optimizer})."
    )
    return [line[0].upper() + line[1:]]


def _edges(grid: xr.Dataset, cells: list[Cell], num_train: int) -> list[str]:
    """For each optimizer, the cells whose best rate is the lowest or highest of its grid."""
    if grid.sizes["rate"] == 1:
        return ["One learning rate was tried: no optimizer was tuned."]
    lines = []
    for optimizer in grid.optimizer.values:
        rates = grid.learning_rate.sel(optimizer=optimizer).values
        own = [cell for cell in cells if cell.optimizer == optimizer]
        for edge in ("lowest", "highest"):
            if there := [cell for cell in own if edge_of(rates, cell.learning_rate) == edge]:
                sizes = sorted((cell.batch_size for cell in there), reverse=True)
                batches = list_text([batch_text(size, num_train) for size in sizes])
                rate = f"{there[0].learning_rate:g}, the {edge} tried"
                lines.append(f"{optimizer}'s best rate is at the grid's edge: {rate} ({batches}).")
    return lines


def _one_seed(grid: xr.Dataset) -> list[str]:
    return ["Rates were chosen on one seed."] if grid.sizes["seed"] == 1 else []


def _diverged(grid: xr.Dataset) -> list[str]:
    diverged = grid.status == "diverged"
    share = float(diverged.mean())
    if share <= MANY_DIVERGED:
        return []
    by_optimizer = diverged.mean(["batch_size", "rate", "seed"])
    worst = str(grid.optimizer.values[int(by_optimizer.argmax("optimizer"))])
    return [
        f"{100 * share:.0f} % of the {int(diverged.size):,} runs of the grid diverged, {worst}'s most often."
    ]
