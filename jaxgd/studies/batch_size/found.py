"""What a study found: of each method, of the noise scale, and of all together."""

from typing import NamedTuple

import numpy as np

from jaxgd.studies.batch_size.costs import Pick
from jaxgd.studies.budgets.side_by_side import EqualBudgets
from jaxgd.studies.noise_scales import NoiseScale
from jaxgd.studies.scaling.critical import CriticalBatchSizes
from jaxgd.studies.scaling.learning_rates import RateScaling
from jaxgd.studies.scaling.measured import MeasuredSteps
from jaxgd.studies.scaling.passages import Goal
from jaxgd.studies.trials.dense import Trials


class MethodStudy(NamedTuple):
    """What batch size does to one method.

    Attributes:
        steps: updates to the goal, S(B).
        critical: the critical batch size, both ways.
        rates: how the best rate grows.
        regimes: n words, one for each batch size.
    """

    steps: MeasuredSteps
    critical: CriticalBatchSizes
    rates: RateScaling
    regimes: list[str]


class NoiseAt(NamedTuple):
    """The gradient noise scale along training of one run per seed.

    Attributes:
        method: the optimizer that trained.
        batch_size: number, at which it did.
        learning_rate: number.
        epochs: float64[k], the middle of each stretch of training.
        scales: k noise scales, of the stretches.
        whole: that of all of training.
    """

    method: str
    batch_size: float
    learning_rate: float
    epochs: np.ndarray
    scales: list[NoiseScale]
    whole: NoiseScale


class Study(NamedTuple):
    """What batch size does, by trials of one problem.

    Attributes:
        data: what was trained on.
        goal: that updates are counted to.
        goal_is_given: whether it was; else it is what the middle batch size reaches at two thirds of its
            budget.
        methods: of each method.
        budgets: each method and batch size at equal epochs, updates, examples and seconds.
        pick: which to use; None where no batch size reaches the goal at every reporting seed.
        noise: the gradient noise scale along training; None where it was not measured.
        sentence: which batch size, rate and optimizer, and how sure that is.
        details: what else was found, a sentence each.
        warnings: where the evidence is thin, a sentence each.
        facts: how it was made, by name.
        trials: what it was read off.
    """

    data: str
    goal: Goal
    goal_is_given: bool
    methods: tuple[MethodStudy, ...]
    budgets: EqualBudgets
    pick: Pick | None
    noise: NoiseAt | None
    sentence: str
    details: list[str]
    warnings: list[str]
    facts: dict[str, str]
    trials: Trials
