"""The three regimes of data parallelism: what a larger batch buys, batch size by batch size.

Source: Shallue et al. 2019, section 4.1.
"""

import numpy as np

from jaxgd.studies.scaling.critical import OVERHEAD
from jaxgd.studies.scaling.measured import MeasuredSteps

PERFECT, DIMINISHING, MAXIMAL = "perfect scaling", "diminishing returns", "maximal data parallelism"


def data_parallel_regimes(steps: MeasuredSteps) -> list[str]:
    """The regime of each batch size, [n]; "" where not every reporting seed reaches the goal.

    "perfect scaling": up to the first batch size above the cheapest that processes over 20 % more examples.
    "maximal data parallelism": beyond it, with as few updates as at the fastest, up to 20 %, where every
    larger batch size reaches the goal too. "diminishing returns": between the two.

    Args:
        steps: what `measured_steps` gives.
    """
    kept = steps.is_reached
    if not kept.any():
        return [""] * len(kept)
    most = 1 + OVERHEAD + np.finfo(float).eps
    examples = np.where(kept, steps.examples, np.inf) / steps.examples[kept].min()
    cheapest = int(examples.argmin())
    dear = np.flatnonzero(kept & (examples > most) & (np.arange(len(kept)) > cheapest))
    first = int(dear[0]) if dear.size else len(kept)
    is_fast = steps.steps <= most * steps.steps[kept].min()
    return [
        _regime(k < first, bool(is_fast[k] and kept[k:].all())) if kept[k] else "" for k in range(len(kept))
    ]


def _regime(is_cheap: bool, is_fastest: bool) -> str:
    return PERFECT if is_cheap else MAXIMAL if is_fastest else DIMINISHING
