"""What surrounds the ends of a sweep's runs: the curvature of each, and a closer look at a few of them."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxgd.landscape.networks.directions import random_directions
from jaxgd.landscape.networks.of_sweeps import curvature_of, run_coords
from jaxgd.landscape.networks.planes import Line, Plane, line, path_plane, plane
from jaxgd.landscape.networks.spectra import Spectrum, spectral_density
from jaxgd.landscape.networks.stability import SharpnessPath, measured_path, stability_limit
from jaxgd.landscape.networks.training_paths import recorded_run
from jaxgd.machine.interrupts import Interrupted, signal_of
from jaxgd.specs.wording import batch_text
from jaxgd.sweeps import SweepResult
from jaxgd.sweeps.axes import entry_at
from jaxgd.training.states import WITHOUT_SCORE
from jaxgd.training.trainers import Trainer

if TYPE_CHECKING:
    import xarray

# Axes that a comparison is about, the most interesting first; any other comes after them.
_CONTRASTS = ("batch_size", "optimizer", "learning_rate")
_MOST = 6  # runs that are looked at closely
_MEASURED = 40  # epochs at which sharpness is measured


class LookedAt(NamedTuple):
    """One run from its start to its end.

    name: what tells it from the others. coords: its coordinates. plane: through its end, with its path.
    along: its sharpness. spectrum: of the Hessian at its end. is_repeat: whether its repetition ended at the
    saved parameters, bit for bit.
    """

    name: str
    coords: dict[str, Any]
    plane: Plane
    along: SharpnessPath
    spectrum: Spectrum
    is_repeat: bool


@dataclasses.dataclass(frozen=True)
class SweepLandscape:
    """A saved sweep's landscape.

    curvature: a dataset labelled like the sweep. limits: the limit of stability at every point without its
    seed, in the order of the axes. contrast: the axis that the runs looked at differ in, None for a single
    run. metric: what chose them. between: the line from one seed to another of the last of them, None without
    a second seed; line_name says between which. num_examples: of training. seconds: what it took.
    """

    result: SweepResult
    curvature: "xarray.Dataset"
    limits: np.ndarray
    contrast: str | None
    metric: str
    runs: list[LookedAt]
    between: Line | None
    line_name: str
    num_examples: int
    seconds: float

    def value_name(self, axis: str, value: Any) -> str:
        """What a value of an axis is called: "full batch", "batch 32", "adam", "learning rate 0.1"."""
        return _value_name(axis, value, self.num_examples)


def look(
    result: SweepResult,
    trainer_of: Callable[..., Trainer],
    metric: str = "valid_loss",
    progress: Callable[[str], None] = lambda text: None,
) -> SweepLandscape:
    """The landscape of a sweep: curvature of every run, and the best run of each value of one axis from near.

    The axis is the batch size where there are several, else the optimizer, the rate, or the first other. The
    runs looked at are trained again, to have their paths.

    Args:
        result: of a sweep.
        trainer_of: `trainer_of(**coords)`, the trainer of one run.
        metric: which point is the best.
        progress: called with a line about what is done next.

    Raises:
        Interrupted: Ctrl-C came after the curvature was measured; its `result` is the landscape with the runs
            that were looked at until then, and without the line between two seeds.
    """
    begun = time.perf_counter()
    key = jax.random.key(0)
    progress(f"curvature at the end of {result.dataset.status.size} runs")
    curvature = curvature_of(result, lambda coords: trainer_of(**coords).problem, key)
    contrast = _contrast(result)
    num_examples = trainer_of(**run_coords(result, (0,) * len(result.axes))).problem.num_examples
    limits, runs = _limits(result, trainer_of), []

    def landscape(between: Line | None, line_name: str) -> SweepLandscape:
        seconds = time.perf_counter() - begun
        return SweepLandscape(
            result, curvature, limits, contrast, metric, runs, between, line_name, num_examples, seconds
        )

    try:
        for name, coords in _chosen(result, contrast, metric, num_examples).items():
            progress(f"training path, plane and spectrum of {name}")
            runs.append(_looked_at(result, name, coords, trainer_of(**coords)))
        return landscape(*_between(result, runs, trainer_of))
    except KeyboardInterrupt as stop:
        text = "interrupted; .result is the landscape of what was measured until then"
        raise Interrupted(landscape(None, ""), signal_of(stop), text) from None


def _limits(result: SweepResult, trainer_of: Callable[..., Trainer]) -> np.ndarray:
    """The limit of stability at the start of training, at every point without its seed."""
    sizes = {axis: 1 if axis == "seed" else len(values) for axis, values in result.axes.items()}
    trainers = (trainer_of(**run_coords(result, index)) for index in np.ndindex(*sizes.values()))
    limits = [stability_limit(trainer.optimizer) for trainer in trainers]
    return np.reshape(limits, [size for axis, size in sizes.items() if axis != "seed"])


def _contrast(result: SweepResult) -> str | None:
    """The axis whose values are compared."""
    several = [
        name for name, values in result.axes.items() if len(values) > 1 and name not in ("seed", "point")
    ]
    return next((name for name in (*_CONTRASTS, *several) if name in several), None)


def _chosen(
    result: SweepResult, contrast: str | None, metric: str, num_examples: int
) -> dict[str, dict[str, Any]]:
    """The coordinates of the best run of each value of the contrast, by name; runs of the first seed."""
    parts = {"the best run": result.dataset}
    if contrast is not None:
        num = result.dataset.sizes[contrast]
        places = np.unique(np.linspace(0, num - 1, min(num, _MOST)).round().astype(int))
        values = [entry_at(result.dataset[contrast], place) for place in places]
        names = [_value_name(contrast, value, num_examples) for value in values]
        datasets = [result.dataset.isel({contrast: [place]}) for place in places]
        parts = dict(zip(names, datasets, strict=True))
    chosen = {}
    for name, dataset in parts.items():
        try:
            best = dataclasses.replace(result, dataset=dataset).best(metric)
        except ValueError:
            continue  # of every point with it a run diverged or was not run
        chosen[name] = _with_seed(result, best.coords)
    return chosen


def _value_name(axis: str, value: Any, num_examples: int) -> str:
    if axis == "batch_size":
        return batch_text(int(value), num_examples)
    return str(value) if isinstance(value, str) else f"{axis.replace('_', ' ')} {value}"


def _with_seed(result: SweepResult, coords: Mapping[str, Any], place: int = 0) -> dict[str, Any]:
    coords = {name: value for name, value in coords.items() if name in result.axes}
    seed = {"seed": entry_at(result.dataset.seed, place)} if "seed" in result.axes else {}
    return {**coords, **seed}


def _looked_at(result: SweepResult, name: str, coords: dict[str, Any], trainer: Trainer) -> LookedAt:
    problem, epochs = trainer.problem, result.dataset.sizes["epoch"]
    key = jax.random.key(0)
    path = recorded_run(trainer, jax.random.key(int(coords.get("seed", 0))), epochs)
    end, state, _ = jax.tree.map(lambda points: points[-1], path)
    try:
        around = path_plane(problem, path.params, model_state=state)
    except ValueError:  # the path spans no plane
        around = plane(problem, end, random_directions(problem, end, key), model_state=state)
    measured = np.unique(np.linspace(0, epochs, min(epochs + 1, _MEASURED)).round().astype(int))
    points = jax.tree.map(lambda leaf: leaf[measured], path)
    along = measured_path(trainer, points, measured, key)
    spectrum = spectral_density(problem, end, key, probes=4, model_state=state)
    saved = jax.tree.leaves(result.params(**coords))
    is_repeat = all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(end), saved, strict=True))
    return LookedAt(name, coords, around, along, spectrum, is_repeat)


def _between(result: SweepResult, runs: list[LookedAt], trainer_of: Any) -> tuple[Line | None, str]:
    """The line between two seeds of the last run looked at."""
    if not runs or len(result.axes.get("seed", ())) < 2:
        return None, ""
    first = runs[-1].coords
    second = _with_seed(result, first, place=1)
    words = {str(result.dataset.status.sel(coords).item()) for coords in (first, second)}
    if words & {*WITHOUT_SCORE}:
        return None, ""
    ends = result.params(**first), result.params(**second)
    states = {"model_state": result.model_state(**first), "second_state": result.model_state(**second)}
    found = line(trainer_of(**first).problem, *ends, **states)
    return found, f"{runs[-1].name}, seed {first['seed']} to seed {second['seed']}"
