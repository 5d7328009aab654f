"""What a sweep gives: a labelled dataset, the trained parameters, and the plan that was followed."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgd.optim.hyperparameters import unknown
from jaxgd.sweeps.grid import Run, label
from jaxgd.sweeps.programs import LaneResults, Recipe
from jaxgd.training.states import STATUS_WORDS

if TYPE_CHECKING:
    import xarray


@dataclasses.dataclass(frozen=True)
class PlannedGroup:
    """One program of a sweep: what its runs have in common, how it ran, and the seconds it took."""

    optimizer: str
    batch_size: str
    runs: int
    recipe: Recipe
    compile_seconds: float
    run_seconds: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """The programs of a sweep, in the order in which they ran, and its wall time."""

    groups: list[PlannedGroup]
    seconds: float

    def __repr__(self):
        lines = [f"{len(self.groups)} programs, {self.seconds:.1f} s"]
        for g in self.groups:
            how = f"{g.recipe.kind} on {g.recipe.devices} devices, {g.recipe.lanes} lanes a call"
            lines.append(
                f"  {g.runs} runs, batch {g.batch_size}, {g.optimizer}: {how}; "
                f"compile {g.compile_seconds:.1f} s, run {g.run_seconds:.1f} s"
            )
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True, repr=False)
class SweepResult:
    """The result of a sweep.

    Attributes:
        dataset: an `xarray.Dataset` whose dimensions are the axes in their order, then `epoch` (from 1). Its
            variables are every entry of a run's history, `status` (a word) and `stopped_at` (the update, from
            0, at which a run diverged; -1 if it did not). The coordinate of the batch size "full" is the
            number of training examples.
        plan: the programs that ran.
    """

    dataset: "xarray.Dataset"
    plan: Plan
    axes: Mapping[str, Sequence[Any]]
    _states: list[tuple[Any, Any]]

    def params(self, **coords: Any) -> Any:
        """The trained parameters of one run, by a value for every axis that has more than one.

        Raises:
            ValueError: an axis or a value that the sweep does not have, or an axis that is not given.
        """
        return self._state(coords)[0]

    def model_state(self, **coords: Any) -> Any:
        """The model state with which one run ended, None without one; as `params`."""
        return self._state(coords)[1]

    def _state(self, coords: Mapping[str, Any]) -> tuple[Any, Any]:
        for name in coords:
            if name not in self.axes:
                raise ValueError(unknown("axis", name, self.axes))
        places = [self._place(name, coords) for name in self.axes]
        shape = [len(values) for values in self.axes.values()]
        return self._states[int(np.ravel_multi_index(places, shape))]

    def _place(self, name: str, coords: Mapping[str, Any]) -> int:
        given = [label(value) for value in self.axes[name]]
        known = self.dataset[name].values.tolist()
        if name not in coords:
            if len(known) == 1:
                return 0
            raise ValueError(f"params needs a value for axis {name!r}, one of {known}")
        value = label(coords[name])
        for values in (given, known):
            if value in values:
                return values.index(value)
        raise ValueError(f"axis {name!r} has no value {value!r}; it has {known}")

    def __repr__(self):
        sizes = " x ".join(f"{name} {len(values)}" for name, values in self.axes.items())
        words, counts = np.unique(self.dataset["status"].values, return_counts=True)
        status = ", ".join(f"{count} {word}" for word, count in zip(words, counts, strict=True))
        return f"SweepResult({sizes}; {self.dataset.sizes['epoch']} epochs; {status})"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(repr(self))}\n{escape(repr(self.plan))}</pre>"


def assemble(
    axes: Mapping[str, Sequence[Any]],
    runs: Sequence[Run],
    finished: Sequence[tuple[Run, LaneResults]],
    plan: Plan,
) -> SweepResult:
    """The result, from each run's own, whatever order they came in."""
    import xarray

    by_index = {run.index: result for run, result in finished}
    results = [by_index[run.index] for run in runs]
    shape, dims = [len(values) for values in axes.values()], list(axes)
    names = list(dict.fromkeys(name for result in results for name in result.history))
    variables: dict[str, Any] = {}
    for name in names:
        columns = [r.history.get(name, np.full_like(r.history["train_loss"], np.nan)) for r in results]
        variables[name] = ([*dims, "epoch"], np.stack(columns).reshape(*shape, -1))
    status = np.array([STATUS_WORDS[int(result.status)] for result in results])
    variables["status"] = (dims, status.reshape(shape))
    variables["stopped_at"] = (dims, np.array([int(result.stopped_at) for result in results]).reshape(shape))
    coords = {name: _coordinate(name, values, runs) for name, values in axes.items()}
    coords["epoch"] = np.arange(1, variables["train_loss"][1].shape[-1] + 1)
    states = [(result.params, result.model_state) for result in results]
    return SweepResult(xarray.Dataset(variables, coords), plan, axes, states)


def _coordinate(name: str, values: Sequence[Any], runs: Sequence[Run]) -> list[Any]:
    if name == "batch_size":
        values = [runs[0].trainer.problem.num_examples if value == "full" else value for value in values]
    return [label(value) for value in values]
