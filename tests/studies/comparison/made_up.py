"""A cell of a comparison and what was found, made up: two that are as good come out as one would expect."""

import math

import numpy as np

from jaxgd.studies.comparison.answer import Found
from jaxgd.studies.comparison.baselines import Baseline
from jaxgd.studies.comparison.cells import Cell

NUM_TRAIN = 1078
CONSTANT = Baseline("the most common class of the training examples", 0.1, np.zeros(360))
FIRST = Cell(
    optimizer="momentum",
    batch_size=32,
    learning_rate=0.04,
    seeds=5,
    chance=True,
    tuning_valid=0.985,
    valid=0.98,
    test=0.974,
    test_low=0.952,
    test_high=0.986,
    gap=0.001,
    gap_low=-0.004,
    gap_high=0.009,
    bound=-0.003,
    verdict="as good",
    updates=680,
    examples=21560,
    seconds=0.42,
    bytes=1000,
    diverged=0,
    seconds_by_turn=(0.42, 0.42, 0.42),
)
# What changes in a cell of which a fresh seed diverged.
LOST = dict.fromkeys(("test", "test_low", "test_high", "gap", "gap_low", "gap_high", "valid"), math.nan)
LOST |= {"verdict": "no verdict", "diverged": 1}


def make_cell(base=FIRST, **changes):
    """A cell like another one, but for the changes; the seconds are those of every turn of the clock."""
    made = {**vars(base), **changes}
    if "seconds" in changes and "seconds_by_turn" not in changes:
        made["seconds_by_turn"] = (changes["seconds"],) * 3
    return Cell(**made)


def make_found(*others, first=FIRST, recommended=0, shown=None, beats=True, constant=CONSTANT, **changes):
    """What was found in these cells; recommended: the place of one of them, or None."""
    cells = [first, *others]
    chosen = None if recommended is None else cells[recommended]
    subject = {"data": "digits", "score": "accuracy", "epochs": 20, "num_test": 360, "most": 40}
    return Found(
        **{"num_train": NUM_TRAIN, **subject, **changes},
        cells=cells,
        recommended=chosen,
        shown=chosen is not None and chosen.is_as_good if shown is None else shown,
        margin=0.005,
        constant=constant,
        beats_constant=beats,
    )
