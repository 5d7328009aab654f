"""The study of trials: everything that is read off one set of them, with one goal."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxgd.studies.batch_size.costs import picked, seconds_per_update
from jaxgd.studies.batch_size.default_goal import usual_goal
from jaxgd.studies.batch_size.found import MethodStudy, NoiseAt, Study
from jaxgd.studies.batch_size.sentences import write_answer, write_details, write_warnings
from jaxgd.studies.budgets.side_by_side import equal_budgets
from jaxgd.studies.scaling.critical import critical_batch_sizes
from jaxgd.studies.scaling.learning_rates import rate_scaling
from jaxgd.studies.scaling.measured import steps_of
from jaxgd.studies.scaling.passages import checked_goal
from jaxgd.studies.scaling.regimes import data_parallel_regimes
from jaxgd.studies.trials.canonical import trials_of
from jaxgd.studies.trials.splitting import seeds_split


def study_of(
    data: Any,
    goal: Mapping[str, float] | None = None,
    *,
    metric: str | None = None,
    mode: str | None = None,
    tuning: int | Sequence | None = None,
    margin: float | None = None,
    schedule: str | None = None,
    noise: NoiseAt | None = None,
    name: str = "these trials",
    facts: Mapping[str, str] | None = None,
    **options: Any,
) -> Study:
    """What batch size does, read off trials: of `jaxgd.sweep`, or of any other tool.

    Args:
        data: as of `trials_of`.
        goal: `{metric: value}` that updates are counted to. None: what the middle batch size reaches at two
            thirds of its budget, by its best rate on the tuning seeds.
        metric: as of `trials_of`; the goal's if there is one.
        mode: as of `trials_of`.
        tuning: as of `seeds_split`.
        margin: as of `equal_budgets`.
        schedule: as of `equal_budgets`.
        noise: the gradient noise scale, where it was measured.
        name: what the data are called in the answer.
        facts: how the trials were made, by name.
        **options: `method` and a selection, as of `trials_of`.

    Raises:
        ValueError: an argument out of its range, one batch size, no seed left to report.

    Example:
        >>> import jaxgd, numpy as np
        >>> size, seed, epoch = (x.ravel() for x in np.mgrid[0:3, 0:10, 1:9])
        >>> table = {"batch_size": 8 * 4**size, "learning_rate": np.full(240, 0.1), "seed": seed,
        ...          "updates": epoch * 64 // 4**size,
        ...          "loss": np.exp(-epoch / (1 + 0.1 * size) + 0.01 * np.sin(seed + size))}
        >>> found = jaxgd.studies.study_of(table, {"loss": 0.2})
        >>> found.pick.batch_size, found.methods[0].regimes
        (128.0, ['perfect scaling', 'perfect scaling', 'perfect scaling'])
    """
    wanted = None if goal is None else checked_goal(goal)
    trials = trials_of(data, metric if wanted is None else wanted.metric, mode, **options)
    if len(trials.batch_sizes) < 2:
        raise ValueError(f"batch sizes must be two or more, got {trials.batch_sizes[0]:g} alone")
    split = seeds_split(trials, tuning)
    reached = usual_goal(trials, split) if wanted is None else wanted
    steps = [steps_of(trials, reached, place, split) for place in range(len(trials.methods))]
    methods = tuple(
        MethodStudy(one, critical_batch_sizes(one), rate_scaling(one), data_parallel_regimes(one))
        for one in steps
    )
    budgets = equal_budgets(
        trials, tuning=[trials.seeds[k] for k in split.tuning], margin=margin, schedule=schedule
    )
    pick = picked(steps, seconds_per_update(trials))
    study = Study(
        data=name,
        goal=reached,
        goal_is_given=wanted is not None,
        methods=methods,
        budgets=budgets,
        pick=pick,
        noise=noise,
        sentence="",
        details=[],
        warnings=[],
        facts=dict(facts or {}),
        trials=trials,
    )
    return study._replace(
        sentence=write_answer(study), details=write_details(study), warnings=write_warnings(study)
    )


def with_noise(study: Study, noise: NoiseAt | None) -> Study:
    """The study with a noise scale that was measured after it, told beside what it found."""
    study = study._replace(noise=noise)
    return study._replace(details=write_details(study))
