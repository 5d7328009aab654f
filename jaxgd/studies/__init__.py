"""Studies: questions that many training runs answer together, such as which batch size to use.

`gradient_noise_scale` estimates from gradients how large a batch is worth its examples,
`noise_scale_over_training` from what runs with `jaxgd.noise_scale` have measured, and `recommend_batch_size`
says what each batch size then costs. `study_of` reads off trials what batch size does: `measured_steps` to a
goal, `critical_batch_sizes`, where larger batches stop paying, and `equal_budgets` on four clocks.
`noisy_quadratic` is a problem whose expected loss under SGD, momentum and averaging is known exactly:
`expected_loss`, `steps_to_goal`. More of theory: `regression_loss`, `interpolation_batch_size`,
`optimal_rate`, `saddle_escape_time`, `local_noise_scale`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxgd.studies.advice import (
        BatchSizeAdvice as BatchSizeAdvice,
        recommend_batch_size as recommend_batch_size,
    )
    from jaxgd.studies.batch_size.found import (
        MethodStudy as MethodStudy,
        NoiseAt as NoiseAt,
        Study as Study,
    )
    from jaxgd.studies.batch_size.of_trials import study_of as study_of
    from jaxgd.studies.budgets.side_by_side import (
        EqualBudgets as EqualBudgets,
        Winner as Winner,
        equal_budgets as equal_budgets,
    )
    from jaxgd.studies.noise_over_training import (
        NoiseStretch as NoiseStretch,
        noise_scale_over_training as noise_scale_over_training,
    )
    from jaxgd.studies.noise_scales import (
        NoiseScale as NoiseScale,
        gradient_noise_scale as gradient_noise_scale,
    )
    from jaxgd.studies.rankings.best_of import expected_best as expected_best
    from jaxgd.studies.rankings.profiles import (
        PerformanceProfiles as PerformanceProfiles,
        performance_profiles as performance_profiles,
    )
    from jaxgd.studies.rankings.sensitivity import (
        RateSensitivity as RateSensitivity,
        rate_sensitivity as rate_sensitivity,
    )
    from jaxgd.studies.scaling.critical import (
        CriticalBatchSizes as CriticalBatchSizes,
        FittedBatchSize as FittedBatchSize,
        OverheadBatchSize as OverheadBatchSize,
        critical_batch_sizes as critical_batch_sizes,
    )
    from jaxgd.studies.scaling.learning_rates import (
        RateScaling as RateScaling,
        rate_scaling as rate_scaling,
    )
    from jaxgd.studies.scaling.measured import (
        MeasuredSteps as MeasuredSteps,
        measured_steps as measured_steps,
    )
    from jaxgd.studies.scaling.passages import Goal as Goal
    from jaxgd.studies.scaling.regimes import (
        data_parallel_regimes as data_parallel_regimes,
    )
    from jaxgd.studies.theory.gaussian_inputs import (
        gaussian_regression as gaussian_regression,
        regression_loss as regression_loss,
    )
    from jaxgd.studies.theory.goals import StepsToGoal as StepsToGoal, steps_to_goal as steps_to_goal
    from jaxgd.studies.theory.interpolation import (
        InterpolationBatchSize as InterpolationBatchSize,
        interpolation_batch_size as interpolation_batch_size,
    )
    from jaxgd.studies.theory.local_noise import (
        LocalNoiseScale as LocalNoiseScale,
        local_noise_scale as local_noise_scale,
        noise_scale_of as noise_scale_of,
    )
    from jaxgd.studies.theory.quadratics import (
        expected_loss as expected_loss,
        noisy_quadratic as noisy_quadratic,
    )
    from jaxgd.studies.theory.rates import OptimalRate as OptimalRate, optimal_rate as optimal_rate
    from jaxgd.studies.theory.saddles import saddle_escape_time as saddle_escape_time
    from jaxgd.studies.trials.canonical import trials_of as trials_of
    from jaxgd.studies.trials.dense import Trials as Trials
    from jaxgd.studies.trials.splitting import SeedsSplit as SeedsSplit, seeds_split as seeds_split

# Where each name is found, on first use: a comparison is of this room and does without most of it.
_HOMES = {
    "jaxgd.studies.advice": "BatchSizeAdvice recommend_batch_size",
    "jaxgd.studies.batch_size.found": "MethodStudy NoiseAt Study",
    "jaxgd.studies.batch_size.of_trials": "study_of",
    "jaxgd.studies.budgets.side_by_side": "EqualBudgets Winner equal_budgets",
    "jaxgd.studies.rankings.best_of": "expected_best",
    "jaxgd.studies.rankings.profiles": "PerformanceProfiles performance_profiles",
    "jaxgd.studies.rankings.sensitivity": "RateSensitivity rate_sensitivity",
    "jaxgd.studies.noise_over_training": "NoiseStretch noise_scale_over_training",
    "jaxgd.studies.noise_scales": "NoiseScale gradient_noise_scale",
    "jaxgd.studies.scaling.critical": (
        "CriticalBatchSizes FittedBatchSize OverheadBatchSize critical_batch_sizes"
    ),
    "jaxgd.studies.scaling.learning_rates": "RateScaling rate_scaling",
    "jaxgd.studies.scaling.measured": "MeasuredSteps measured_steps",
    "jaxgd.studies.scaling.passages": "Goal",
    "jaxgd.studies.scaling.regimes": "data_parallel_regimes",
    "jaxgd.studies.theory.goals": "StepsToGoal steps_to_goal",
    "jaxgd.studies.theory.interpolation": "InterpolationBatchSize interpolation_batch_size",
    "jaxgd.studies.theory.local_noise": "LocalNoiseScale local_noise_scale noise_scale_of",
    "jaxgd.studies.theory.quadratics": "expected_loss noisy_quadratic",
    "jaxgd.studies.theory.rates": "OptimalRate optimal_rate",
    "jaxgd.studies.theory.gaussian_inputs": "gaussian_regression regression_loss",
    "jaxgd.studies.theory.saddles": "saddle_escape_time",
    "jaxgd.studies.trials.canonical": "trials_of",
    "jaxgd.studies.trials.dense": "Trials",
    "jaxgd.studies.trials.splitting": "SeedsSplit seeds_split",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_HOME_OF)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    """Return the public name, imported from its home on first use (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'jaxgd.studies' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
