"""The runs of a spec: its data loaded, its trainers built, the sweep run, and a run's trainer found again."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgd import optim
from jaxgd.arguments import is_there, one_of
from jaxgd.specs.settings import MODELS, OFF, optimizers
from jaxgd.specs.sources import build_problem, is_data_file, is_python, load_source, load_splits
from jaxgd.specs.spec import Spec, parse_spec
from jaxgd.sweeps import SweepResult
from jaxgd.sweeps.axes import checked_axes
from jaxgd.sweeps.engine.targets import CompiledProgram, compiled_programs
from jaxgd.sweeps.planning.planner import EXACT, Options
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.results.selection import run_index
from jaxgd.sweeps.runs import check_names
from jaxgd.sweeps.sweeping import plan, plan_on, run_sweep
from jaxgd.tables.roles import Roles, check_roles
from jaxgd.training import Problem, Trainer, budget, early_stopping, linear, mlp, trainer
from jaxgd.training.fitting import check_epochs
from jaxgd.training.trainers import measured_names

_WIDTH, _DEPTH = 64, 1


class SpecRuns:
    """What a spec describes, ready to run.

    file: the user's Python file that the problem comes from, or None. warning: what a reader must know about
    how the data were split, or None. table: what became of the columns of a table, or None.
    """

    def __init__(self, spec: Spec):
        self.spec, document = spec, spec.document
        data, given = spec.data, {role: document[role] for role in Roles._fields if role in document}
        self._problems: dict[Any, Problem] = {}
        self._data = None
        if is_python(data):
            source = load_source(data, **given)
            self._problems[None], self.file, self.warning = source.problem, source.file, source.made_splits
            self.table = None
        else:
            self._data, self.file = load_splits(data, check_roles(**given)), None
            self.warning, self.table = self._data.made, self._data.table

    def make_trainer(self, point: Mapping[str, Any]) -> Trainer:
        """The trainer of a point of the sweep."""
        given = {**self.spec.fixed, **_flat(point)}
        values: dict[str, Any] = {name: None if value == OFF else value for name, value in given.items()}
        name = values["optimizer"]
        numbers = {key: values[key] for key in optimizers()[name] if key in values}
        optimizer = getattr(optim, name)(values["learning_rate"], **numbers)
        extra = {key: values[key] for key in ("sampling", "remainder") if key in values}
        made = trainer(self._problem(values), optimizer, values["batch_size"], **extra)
        document = self.spec.document
        if "early_stopping" in document:
            swept = {key: values[key] for key in ("patience", "min_delta") if key in values}
            made = early_stopping(made, **{**document["early_stopping"], **swept})
        return budget(made, **document["budget"]) if "budget" in document else made

    def _problem(self, values: Mapping[str, Any]) -> Problem:
        """The problem with the model of these settings, made once for each model."""
        if self._data is None:
            return self._problems[None]
        kind = values.get("model", "mlp")
        numbers = {name: values[name] for name in MODELS[kind] if name in values}
        key = (kind, *numbers.items())
        if key not in self._problems:
            inputs, outputs = self._data.splits.train[0].shape[1], self._data.num_outputs
            if kind == "linear":
                model = linear(inputs, outputs, **numbers)
            else:
                hidden = [numbers.pop("width", _WIDTH)] * numbers.pop("depth", _DEPTH)
                model = mlp([inputs, *hidden, outputs], **numbers)
            self._problems[key] = build_problem(self._data, model)
        return self._problems[key]

    @property
    def metric(self) -> str:
        """What decides which point is best: as the spec says, else the accuracy where there is one."""
        if "metric" in self.spec.document:
            return self.spec.document["metric"]
        if self._data is not None:
            has_accuracy = self._data.task == "classification"
        else:
            has_accuracy = "accuracy" in self._problems[None].metrics
        return "valid_accuracy" if has_accuracy else "valid_loss"

    def check(self) -> None:
        """Check what `sweep` checks first, and build a trainer for every value of every axis.

        So a bad one is found before anything compiles.

        Raises:
            ValueError: axes that a sweep does not take, what a trainer, an optimizer or a model does not
                take, a metric that there is not.
        """
        first = {name: values[0] for name, values in self.spec.axes.items()}
        try:
            axes = checked_axes(self.spec.axes)
            for name, values in axes.items():
                for value in values:
                    made = self.make_trainer({**first, name: value})
                    one_of("metric", self.metric, measured_names(made))
                    check_names(axes, made)
                    check_epochs(self.spec.document["epochs"], made.problem.num_examples)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self.spec.file}: {error}") from error

    def run(self, progress: bool = True, **options: Any) -> SweepResult:
        """The result of the sweep, with the spec in it; options are those of `jaxgd.sweep`.

        Raises:
            ValueError, OSError, Interrupted: as `jaxgd.sweep`.
        """
        spec, epochs = self.spec.document, self.spec.document["epochs"]
        return run_sweep(self.make_trainer, self.spec.axes, epochs, progress=progress, spec=spec, **options)

    def plan(self, exact: bool = False) -> Plan:
        """The plan that `run` would follow."""
        return plan(self.make_trainer, self.spec.axes, self.spec.document["epochs"], exact=exact)

    def compiled(
        self, devices: Sequence[Any], progress: Callable[[int, int], None], exact: bool = False
    ) -> tuple[Plan, list[CompiledProgram]]:
        """The plan for devices that need not be here, and its programs compiled for them; nothing is run.

        progress: told how many programs are compiled, of how many.

        Raises:
            MemoryError: a program does not fit with a single run on each device.
        """
        epochs, options = self.spec.document["epochs"], EXACT if exact else Options()
        made, planned, engine = plan_on(devices, self.make_trainer, self.spec.axes, epochs, options)
        return made, compiled_programs(engine, planned, progress)

    @property
    def data_sha256(self) -> str:
        """The SHA-256 of the splits."""
        first = {name: values[0] for name, values in self.spec.axes.items()}
        return self.make_trainer(first).problem.data_sha256

    def trainer_of(self, result: SweepResult, **coords: Any) -> Trainer:
        """The trainer of one run of the result; its problem is `trainer.problem`."""
        shape = [len(values) for values in result.axes.values()]
        places = np.unravel_index(run_index(result.dataset, result.axes, coords), shape)
        pairs = zip(result.axes.items(), places, strict=True)
        return self.make_trainer({name: values[int(place)] for (name, values), place in pairs})


def runs_of(result: SweepResult, problem: str | None = None, data: str | None = None) -> SpecRuns:
    """The runs that a saved result came from, with data and models again.

    Args:
        result: of a sweep that a file described.
        problem: for a sweep of code, such as "my.py:problem": that code. The spec names it too, but whoever
            made the folder wrote it, and a folder does not choose what is run.
        data: for a sweep of a file of data that is no longer where the spec says, seen from the current
            folder: where it is.

    Raises:
        ValueError: the sweep was called from Python, so that only its owner can build its problem; `problem`
            is missing, or given for a sweep of data; `data` is given for another sweep; the data are no
            longer those of the sweep.
    """
    if result.spec is None:
        raise ValueError("the sweep has no spec: it was called from Python, which has its problem")
    saved = str(result.spec.get("data"))
    found = _own_problem(saved, problem, data) if is_python(saved) else _own_file(saved, problem, data)
    runs = SpecRuns(parse_spec({**result.spec, "data": found}, "the saved spec"))
    if result.data_sha256 and runs.data_sha256 not in result.data_sha256:
        was, now = (digest[:12] for digest in (result.data_sha256[0], runs.data_sha256))
        raise ValueError(
            f"the data, {found!r}, are no longer those of the sweep: the SHA-256 of their splits was "
            f"{was}..., and is {now}..."
        )
    return runs


def _own_problem(saved: str, problem: str | None, data: str | None) -> str:
    """The code of a saved sweep, as its user names it."""
    if data is not None:
        raise ValueError(f"data is {data!r}, but the sweep's data are {saved!r}, which is code")
    if problem is None:
        raise ValueError(
            f"the spec names code, {saved!r}, and a saved folder does not choose what is run: if you trust "
            'that code, name it yourself, as --problem my.py:problem (from Python, problem="my.py:problem")'
        )
    if not is_python(problem):
        raise ValueError(f"problem is {problem!r}; code such as my.py:problem is needed")
    return problem


def _own_file(saved: str, problem: str | None, data: str | None) -> str:
    """The data of a saved sweep: what the spec names, or where the file is now."""
    if problem is not None:
        raise ValueError(f"problem is {problem!r}, but the sweep's data are {saved!r}, which is no code")
    if data is not None and not (is_data_file(saved) and is_data_file(data)):
        raise ValueError(
            f"data is {data!r}, but the sweep's data are {saved!r}; only a file can be elsewhere"
        )
    found = saved if data is None else data
    if is_data_file(found) and not (is_there("data", found) and Path(found).is_file()):
        raise ValueError(f"there is no file {found!r} here: name it, as --data FILE (from Python, data=FILE)")
    return found


def _flat(point: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a point, those of its drawn part under their own names."""
    flat: dict[str, Any] = {}
    for name, value in point.items():
        flat |= value if isinstance(value, Mapping) else {name: value}
    return flat
