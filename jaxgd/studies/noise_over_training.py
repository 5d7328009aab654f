"""The gradient noise scale over stretches of training, from what runs have measured as they went."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from jaxgd.arguments import one_of, whole_number
from jaxgd.studies.noise_scales import NoiseScale, ratio_of_means
from jaxgd.sweeps import SweepResult
from jaxgd.sweeps.results.ranking import axes_over
from jaxgd.sweeps.results.selection import places_of

# What `jaxgd.noise_scale` adds to a history, the two that means are taken of.
_NAMES = ("noise_trace", "noise_squared_norm")


class NoiseStretch(NamedTuple):
    """The noise scale of a stretch of training.

    Attributes:
        first: its first epoch, from 1.
        last: its last epoch.
        scale: the noise scale, with its interval, or why there is none.
    """

    first: int
    last: int
    scale: NoiseScale


def noise_scale_over_training(
    measured: SweepResult | xr.Dataset | Mapping[str, Any],
    stretches: int = 1,
    *,
    over: str | Sequence[str] | None = None,
    blocks: int = 20,
    **where: Any,
) -> list[NoiseStretch]:
    """The gradient noise scale in each of so many stretches of training, of runs with `jaxgd.noise_scale`.

    Within a stretch the estimates of S = tr Σ and of `|G|²` are averaged over epochs, and over runs where
    there are several, first and divided last. The interval is that of `gradient_noise_scale`, the pairs being
    the epochs of one run after the other: it is of chance in the batches, and wider where the scale changes
    within the stretch. Epochs without estimates, after a run's end say, are left out.

    The ratio is B_simple, and as all of it the noise scale of SGD, whatever the optimizer of the runs.

    Args:
        measured: a history, `fit(...).history`, or any mapping with `noise_trace` and `noise_squared_norm`,
            [..., epochs], leading axes being runs to be averaged over; or a sweep's result or its dataset.
        stretches: how many, of equally many epochs up to one.
        over: of a sweep, the axes that are averaged over: "seed" if None and there is such an axis.
        blocks: of the jackknife, 2 or more; there are no more than epochs.
        **where: of a sweep, the runs that are asked for, one value for each axis that is not averaged over
            and has several, such as `learning_rate=0.1`.

    Raises:
        TypeError: what is measured is no mapping.
        ValueError: nothing measured, arrays of unlike shapes, an axis or a value that the sweep does not
            have, an axis with several values of which none is chosen, more stretches than epochs.

    Source: McCandlish et al. 2018, appendix A.1; Fieller 1954.

    Example:
        >>> import jaxgd
        >>> history = {"noise_trace": [4.0, 4.2, 9.0, 9.3], "noise_squared_norm": [2.0, 2.1, 1.0, 0.9]}
        >>> for first, last, scale in jaxgd.studies.noise_scale_over_training(history, 2):
        ...     print(f"epochs {first} to {last}: {scale.value:.2f}")
        epochs 1 to 2: 2.00
        epochs 3 to 4: 9.63
    """
    epochs, (traces, squared_norms) = _pairs(measured, over, where)
    blocks, count = whole_number("blocks", blocks, 2), whole_number("stretches", stretches, most=len(epochs))
    return [
        NoiseStretch(
            int(epochs[part[0]]),
            int(epochs[part[-1]]),
            _scale(traces[:, part], squared_norms[:, part], blocks),
        )
        for part in np.array_split(np.arange(len(epochs)), count)
    ]


def _scale(traces: np.ndarray, squared_norms: np.ndarray, blocks: int) -> NoiseScale:
    """The noise scale of the pairs that are there, [runs, epochs]."""
    is_there = ~np.isnan(traces) & ~np.isnan(squared_norms)
    if not is_there.any():
        reason = "no epoch has an estimate: each batch is one micro-batch, or the runs had ended"
        return NoiseScale(np.nan, np.nan, np.nan, np.nan, np.nan, 0, reason)
    return ratio_of_means(traces[is_there], squared_norms[is_there], blocks, "epoch")


def _pairs(measured: Any, over: Any, where: Mapping[str, Any]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The epochs, and the estimates of tr Σ and of `|G|²`, each [runs, epochs]."""
    data = measured.dataset if isinstance(measured, SweepResult) else measured
    if not isinstance(data, Mapping):  # as a dataset is
        raise TypeError(
            "measured must be a history, such as fit(...).history, a sweep's result or its dataset, got "
            f"{type(data).__name__}"
        )
    if any(name not in data for name in _NAMES):
        raise ValueError(
            f"measured must have {' and '.join(_NAMES)}, which jaxgd.noise_scale(trainer) adds to a history"
        )
    if isinstance(data, xr.Dataset):
        axes = measured.axes if isinstance(measured, SweepResult) else {}
        found = [array.values for array in _chosen(data, axes, over, where)]
    elif where or over is not None:
        raise ValueError(f"measured has no axes to choose from, got {', '.join(where) or f'over={over!r}'}")
    else:
        found = [np.asarray(data[name], np.float64) for name in _NAMES]
    if found[0].shape != found[1].shape or not found[0].size:
        shapes = " and ".join(str(list(array.shape)) for array in found)
        raise ValueError(f"{' and '.join(_NAMES)} must be of one shape, [..., epochs], got {shapes}")
    epochs = data["epoch"].values if isinstance(data, xr.Dataset) else np.arange(found[0].shape[-1]) + 1
    return epochs, [array.astype(np.float64).reshape(-1, len(epochs)) for array in found]


def _chosen(
    dataset: xr.Dataset, given: Mapping[str, Sequence[Any]], over: Any, where: Mapping[str, Any]
) -> list[xr.DataArray]:
    """The two arrays of the runs that are asked for, the epochs last."""
    axes = [str(name) for name in dataset[_NAMES[0]].dims if name != "epoch"]
    averaged = axes_over(over, axes)
    for name, value in where.items():
        values = given.get(one_of("axis", name, axes), dataset[name].values.tolist())
        dataset = dataset.isel({name: places_of(dataset, name, values, name, value)})
    for name in axes:
        if name not in averaged and dataset.sizes[name] > 1:
            raise ValueError(
                f"{name} must be one of {dataset[name].values.tolist()}, or over={name!r} to average them"
            )
    return [dataset[name].transpose(..., "epoch") for name in _NAMES]
