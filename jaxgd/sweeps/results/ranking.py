"""The best point of a sweep by a metric: means over seeds, and what counts as better."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxgd.arguments import one_of, unknown
from jaxgd.sweeps.axes import entry_at
from jaxgd.sweeps.results.selection import linked_names
from jaxgd.training.states import WITHOUT_SCORE

if TYPE_CHECKING:
    import xarray

# Metrics by the last word of their names: what is better when it is less, and when it is more.
_LESS = ("loss", "error", "norm", "updates", "examples", "seconds", "at")
_MORE = ("accuracy", "r2", "f1", "auc", "precision", "recall", "return", "reward")


class Best(NamedTuple):
    """The best point of a sweep.

    coords: its coordinates by name, without the axes that were averaged over: None, bools, texts and numbers
    of Python's, as the axes were given ("full" among batch sizes is the number of training examples). value:
    the mean of the metric over those axes. spread: their standard deviation, NaN of a single run. epoch: the
    epoch of the value, from 1; the last of any of its runs where they stopped, or had their best, at
    different ones. metric: the name of what is best there.
    """

    coords: dict[str, Any]
    value: float
    spread: float
    epoch: int
    metric: str


def best_point(
    dataset: "xarray.Dataset",
    metric: str = "valid_loss",
    over: str | Sequence[str] | None = None,
    mode: str | None = None,
    at: str = "last",
) -> Best:
    """The point with the best mean of a metric; see `SweepResult.best`."""
    check_metric(dataset, metric)
    sign = 1 if better(metric, mode) == "min" else -1
    one_of("at", at, ("last", "best"))
    axes = [str(name) for name in dataset.status.dims]
    over = axes_over(over, axes)
    kept = [name for name in axes if name not in over]
    values, ends = values_and_ends(dataset, metric, [*kept, *over])
    if at == "last":
        ends = final_places(dataset, [*kept, *over], ends)
        values = np.take_along_axis(values, ends[..., None], axis=-1)
    shape = [dataset.sizes[name] for name in kept]
    values, ends = values.reshape(*shape, -1, values.shape[-1]), ends.reshape(*shape, -1)
    badness = np.where(np.isnan(values), np.inf, sign * values).mean(axis=-2)
    *point, epoch = np.unravel_index(np.argmin(badness), badness.shape)
    if not np.isfinite(badness.min()):
        raise ValueError(_nothing_finite(dataset, metric))
    runs, end = values[(*point, slice(None), epoch)], int(ends[tuple(point)].max())
    end = end if at == "last" else min(int(epoch), end)
    spread = float(runs.std(ddof=1)) if len(runs) > 1 else float("nan")
    coords = _coords(dataset, dict(zip(kept, point, strict=True)))
    return Best(coords, float(runs.mean()), spread, int(dataset.epoch[end]), metric)


def check_metric(dataset: "xarray.Dataset", metric: str) -> None:
    """Raise ValueError unless the metric is a variable of numbers."""
    numbers = [name for name, variable in dataset.data_vars.items() if variable.dtype.kind in "fiu"]
    if metric not in numbers:
        raise ValueError(unknown("metric", metric, numbers))


def _nothing_finite(dataset: "xarray.Dataset", metric: str) -> str:
    status = dataset.status.values
    diverged, failed, left = ((status == word).sum() for word in WITHOUT_SCORE)
    rest = (f" and {failed} failed" if failed else "") + (f", and {left} were not run" if left else "")
    return f"at no point is {metric} finite in all runs: {diverged} of {status.size} runs diverged{rest}"


def values_and_ends(
    dataset: "xarray.Dataset", metric: str, axes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """`(values [*axes, epochs], ends [*axes])`: a metric of every run, and the place of its last epoch.

    A run that stopped early or spent its budget keeps its last value. One that diverged or was not run is NaN
    throughout, and so is every value that is not finite. A variable without epochs has its value in all of
    them.
    """
    like = dataset.updates
    values = (dataset[metric] + 0.0 * like).transpose(*axes, "epoch").values
    updates = like.transpose(*axes, "epoch").values
    status = dataset.status.transpose(*axes).values
    ends = last_places(status, updates)
    held = np.minimum(np.arange(updates.shape[-1]), ends[..., None])
    values = np.take_along_axis(values, held, axis=-1)
    is_lost = np.isin(status, WITHOUT_SCORE)
    return np.where(is_lost[..., None] | ~np.isfinite(values), np.nan, values), ends


def last_places(status: np.ndarray, updates: np.ndarray) -> np.ndarray:
    """The place [...] of each run's last epoch, by its status [...] and its updates [..., epochs]."""
    stopped = (status == "stopped early") | (status == "budget spent")
    return np.where(stopped, np.argmax(updates == updates[..., -1:], axis=-1), updates.shape[-1] - 1)


def final_places(dataset: "xarray.Dataset", axes: Sequence[str], ends: np.ndarray) -> np.ndarray:
    """The places [*axes] of the epochs that the runs' parameters are of: their last, or the one kept."""
    if "kept_epoch" not in dataset:
        return ends
    kept = dataset["kept_epoch"].transpose(*axes).values
    return np.where(kept > 0, kept - 1, ends)


def axes_over(over: str | Sequence[str] | None, axes: Sequence[str]) -> list[str]:
    """The axes that are averaged over, each of them checked: `seed` if None and there is one."""
    if over is None:
        return [name for name in axes if name == "seed"]
    names = [over] if isinstance(over, str) else list(over)
    for name in names:
        if name not in axes:
            raise ValueError(unknown("axis", name, axes))
    return names


def better(metric: str, mode: str | None) -> str:
    """The mode, if one is given; else "min" or "max", by what the metric's name ends with.

    Raises:
        ValueError: a metric of which its name does not say it.
    """
    if mode is not None:
        return one_of("mode", mode, ("min", "max"))
    word = metric.rpartition("_")[2]
    if not tells_better(metric):
        raise ValueError(
            f'mode is needed for the metric {metric!r}: "min" where less is better, or "max" (--mode)'
        )
    return "min" if word in _LESS else "max"


def tells_better(metric: str) -> bool:
    """Whether the name of a metric says what is better."""
    return metric.rpartition("_")[2] in (*_LESS, *_MORE)


def _coords(dataset: "xarray.Dataset", places: Mapping[str, Any]) -> dict[str, Any]:
    """The coordinates of a place along some axes, by name."""
    linked = linked_names(dataset)
    names = [*places, *(name for name, axis in linked.items() if axis in places)]
    return {name: entry_at(dataset[name], places[linked.get(name, name)]) for name in names}
