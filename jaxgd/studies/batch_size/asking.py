"""What batch size does to a problem: one call that trains every run of the study and says what it found."""

import math
import os
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from jaxgd.machine.devices import device_name
from jaxgd.machine.host import num_cores, versions
from jaxgd.optim import optimizers as named
from jaxgd.specs.choices import Choices, check_study
from jaxgd.specs.presets import STUDY, study_batch_sizes
from jaxgd.specs.sources import Source, source_of
from jaxgd.specs.splits import num_rows
from jaxgd.specs.wording import count_text
from jaxgd.studies.batch_size.default_goal import middle_place
from jaxgd.studies.batch_size.found import NoiseAt, Study
from jaxgd.studies.batch_size.noise import noise_along
from jaxgd.studies.batch_size.of_trials import study_of, with_noise
from jaxgd.studies.scaling.passages import Goal, checked_goal
from jaxgd.sweeps import SweepResult, sweep
from jaxgd.tables.prepared import PreparedTable
from jaxgd.tables.roles import check_roles
from jaxgd.training import Problem, Trainer, trainer
from jaxgd.training.fitting import check_epochs
from jaxgd.training.progress import tell
from jaxgd.training.trainers import measured_names

if TYPE_CHECKING:
    import pandas as pd

_MICRO_BATCHES = 4  # of a batch, whose gradients the noise scale is read off


class StudyPlan(NamedTuple):
    """What a study will run, checked. batch_sizes: as they were given or chosen, in any order."""

    source: Source
    choices: Choices
    batch_sizes: tuple[int | str, ...]
    goal: Goal | None
    metric: str

    @property
    def axes(self) -> dict[str, Any]:
        """Those of the sweep."""
        rates = self.choices.learning_rates
        points = [
            {"optimizer": name, "learning_rate": rate}
            for name in self.choices.optimizers
            for rate in rates[name]
        ]
        seeds = self.choices.seeds
        return {
            "point": points,
            "batch_size": list(self.batch_sizes),
            "seed": range(seeds.first, seeds.first + seeds.num_tuning + seeds.num_fresh),
        }

    def trainer(
        self, optimizer: str, learning_rate: float, batch_size: int | str, microbatch: int | None = None
    ) -> Trainer:
        """The trainer of one run."""
        made = getattr(named, optimizer)(learning_rate)
        return trainer(self.source.problem, made, batch_size, microbatch=microbatch)


def study(
    problem: "Problem | Source | PreparedTable | pd.DataFrame | str",
    goal: Mapping[str, float] | None = None,
    optimizers: str | Iterable[str] | None = None,
    batch_sizes: int | str | Iterable[int | str] | None = None,
    learning_rates: Iterable[float] | Mapping[str, Iterable[float]] | None = None,
    epochs: int = STUDY.epochs,
    tuning_seeds: int = STUDY.seeds,
    seeds: int = STUDY.fresh_seeds,
    *,
    target: str | None = None,
    task: str | None = None,
    drop: str | Iterable[str] = (),
    group: str | None = None,
    split: str | None = None,
    first_seed: int = 0,
    margin: float | None = None,
    noise: bool = True,
    folder: str | os.PathLike | None = None,
    data: str | None = None,
    progress: bool = True,
) -> Study:
    """How far the batch size can be raised before it stops paying, at which rate, and how sure that is.

    Every optimizer, batch size, rate and seed is trained; rates are chosen on the tuning seeds and reported
    on the others. Updates and examples to the goal, both critical batch sizes, the growth of the best rate,
    and every cell at equal epochs, updates, examples and seconds are read off these runs, see `study_of`. The
    gradient noise scale is measured in a few further runs.

    Args:
        problem: a `Problem`, or text that names one, or a table: as of `jaxgd.compare`.
        goal: `{metric: value}` that updates are counted to, such as `{"valid_loss": 0.3}`; if None, what the
            middle batch size reaches at two thirds of its budget.
        optimizers: names; momentum and adam if None.
        batch_sizes: whole numbers or "full", two or more; nine powers of 2 if None, as far as the data allow.
        learning_rates: one grid for all optimizers, or {optimizer: grid}; nine of each one's own if None.
        epochs: passes over the training examples, at least 1.
        tuning_seeds: runs per cell and rate that choose rates.
        seeds: runs per cell and rate that report. With fewer than 5 there is no verdict.
        target: of a table, the column to predict; this and the next four are those of `jaxgd.table`.
        task: see there.
        drop: see there.
        group: see there.
        split: see there.
        first_seed: the first seed of all; others repeat the study.
        margin: up to this difference two scores are equal for practical purposes.
        noise: whether the gradient noise scale is measured.
        folder: where the runs are kept as they end, as of `jaxgd.sweep`; the same call goes on there.
        data: what to call the data in the answer.
        progress: draw a progress bar and say on stderr what is going on.

    Raises:
        ValueError: an argument out of its range, before anything compiles.
        Interrupted: Ctrl-C or SIGTERM; its `result` is the sweep as far as it came.
    """
    choices = check_study(
        optimizers, batch_sizes, learning_rates, epochs, tuning_seeds, seeds, first_seed, margin
    )
    roles = check_roles(target, task, drop, group, split)
    made = plan_study(source_of(problem, data, roles), choices, goal)
    return run_study(made, noise=noise, folder=folder, progress=progress)


def plan_study(source: Source, choices: Choices, goal: Mapping[str, float] | None = None) -> StudyPlan:
    """What `study` would run; nothing is compiled.

    Raises:
        ValueError: fewer than two batch sizes, a goal of a metric that the problem does not have.
    """
    num_train = source.problem.num_examples
    check_epochs(choices.epochs, num_train)
    sizes = study_batch_sizes(num_train) if choices.batch_sizes is None else choices.batch_sizes_of(num_train)
    if len(sizes) < 2:
        raise ValueError(f"batch_sizes must be two or more, got {', '.join(map(str, sizes))} alone")
    wanted = None if goal is None else checked_goal(goal)
    made = StudyPlan(source, choices, sizes, wanted, "valid_loss" if wanted is None else wanted.metric)
    name = choices.optimizers[0]
    known = measured_names(made.trainer(name, choices.learning_rates[name][0], sizes[0]))
    if made.metric not in known:
        raise ValueError(f"goal must be of one of {', '.join(known)}, got {made.metric!r}")
    return made


def run_study(
    plan: StudyPlan,
    *,
    noise: bool = True,
    folder: str | os.PathLike | None = None,
    progress: bool = True,
    command: str | None = None,
) -> Study:
    """The study of a plan: its runs, the noise scale, and what they say.

    Raises:
        Interrupted: see `study`.
    """
    began = time.perf_counter()
    axes = plan.axes
    runs = math.prod(map(len, axes.values()))
    tell(progress, f"{count_text(runs, 'run')} of {count_text(plan.choices.epochs, 'epoch')}")
    result = sweep(
        lambda hp: plan.trainer(hp.optimizer, hp.learning_rate, hp.batch_size),
        axes,
        plan.choices.epochs,
        progress=progress,
        clock=True,
        folder=folder,
    )
    found = study_of(
        result,
        None if plan.goal is None else dict([plan.goal]),
        metric=plan.metric,
        tuning=plan.choices.seeds.num_tuning,
        margin=plan.choices.margin,
        schedule="constant",
        name=plan.source.data,
    )
    if noise:
        tell(progress, "The gradient noise scale")
        found = with_noise(found, _noise(plan, found))
    facts = _facts(plan, result, time.perf_counter() - began, command)
    return found._replace(facts=facts)


def _noise(plan: StudyPlan, found: Study) -> NoiseAt | None:
    """The noise scale along training at the middle batch size, by the first optimizer at its best rate."""
    name = plan.choices.optimizers[0]
    steps = next(one.steps for one in found.methods if one.steps.method in (name, ""))
    place = middle_place(found.trials)
    size, rate = int(steps.batch_sizes[place]), float(steps.learning_rates[place])
    if math.isnan(rate) or size < 2:
        return None
    made = plan.trainer(name, rate, size, microbatch=max(size // _MICRO_BATCHES, 1))
    seeds = plan.choices.seeds
    return noise_along(made, name, rate, plan.choices.epochs, seeds.fresh(0, seeds.num_fresh))


def _facts(plan: StudyPlan, result: SweepResult, seconds: float, command: str | None) -> dict[str, str]:
    source, seeds = plan.source, plan.choices.seeds
    status = result.dataset["status"]
    dims = {"point": "optimizer and rate", "batch_size": "batch size", "seed": "seed"}
    sizes = " × ".join(count_text(status.sizes[dim], noun) for dim, noun in dims.items())
    sizes = sizes.replace("optimizer and rates", "optimizers and rates")
    rows = f"{count_text(source.problem.num_examples, 'training example')}, "
    rows += f"{num_rows(source.problem.valid):,} for validation"
    facts = {
        "Data": f"{source.data}: {rows}",
        **(source.table.facts() if source.table else {}),
        "Splits": source.splits,
        "Model": source.model,
        "Runs": f"{sizes} = {count_text(status.size, 'run')} of {count_text(plan.choices.epochs, 'epoch')}",
        "Seeds": f"{seeds.tuning.start} to {seeds.tuning.stop - 1} chose the rates, the others report",
        "Learning rates": "constant",
        "Seconds": "updates times the seconds of an update of the run alone, warm, without validation",
        "Time": f"{seconds:.0f} s in all, compilation included",
        "Device": f"{device_name(jax.devices())}, {count_text(num_cores(), 'CPU core')}",
        "Versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
        "Command": command or "",
    }
    return {name: text for name, text in facts.items() if text}
