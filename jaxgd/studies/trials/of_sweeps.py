"""A sweep's dataset as columns: a row for each run and epoch."""

from typing import TYPE_CHECKING

import numpy as np

from jaxgd.studies.trials.evaluations import TOLD_APART, Columns
from jaxgd.sweeps.results.selection import linked_names
from jaxgd.tables.reading import Cells, Texts

if TYPE_CHECKING:
    import xarray as xr

_EPOCH = "epoch"


def columns_of_sweep(dataset: "xr.Dataset", metric: str | None) -> Columns:
    """The columns of a sweep's dataset: its axes, its clocks, its metric and its status.

    An axis of points is told by what its points hold, not by their numbers. A metric that is known after a
    run's last epoch alone is known there.

    Raises:
        ValueError: the dataset has no updates.
    """
    if "updates" not in dataset or _EPOCH not in dataset["updates"].dims:
        raise ValueError("data must be a sweep's dataset, with updates by epoch")
    dims = tuple(name for name in dataset["updates"].dims if name != _EPOCH)
    like = dataset["updates"].transpose(*dims, _EPOCH)
    axes = _axes(dataset, dims)
    metrics = [name for name, one in dataset.data_vars.items() if set(one.dims) <= {*dims, _EPOCH}]
    wanted = [*axes, "updates", "examples", _EPOCH, "seconds", "status", *metrics]
    if metric is not None:
        wanted = [name for name in wanted if name not in metrics or name in (metric, "status")]
    cells = {str(name): _flat(dataset, str(name), like) for name in dict.fromkeys(wanted) if name in dataset}
    words = [name for name in metrics if name != "status" and isinstance(cells.get(str(name)), Texts)]
    cells = {name: part for name, part in cells.items() if name not in words}
    size = like.sizes[_EPOCH]

    def place(row: int) -> str:
        at = np.unravel_index(row // size, like.shape[:-1])
        where = ", ".join(f"{name} {number}" for name, number in zip(dims, at, strict=True))
        return f"epoch {row % size + 1}" + (f" at place {where}" if where else "")

    return Columns(cells, axes, place)


def _axes(dataset: "xr.Dataset", dims) -> list[str]:
    """The names that tell runs apart: of each axis, or of what the points along it hold."""
    linked = linked_names(dataset)
    names: list[str] = []
    for dim in map(str, dims):
        along = [name for name, axis in linked.items() if axis == dim]
        names += along or ([dim] if dim in dataset.coords else [])
    several = [name for name in TOLD_APART if name in dataset.coords and name not in names]
    return [*names, *several]


def _flat(dataset: "xr.Dataset", name: str, like: "xr.DataArray") -> Cells:
    """A variable or coordinate for each run and epoch, in one column."""
    one = dataset[name]
    is_late = one.dtype.kind in "fiu" and _EPOCH not in one.dims and name in dataset.data_vars
    if one.dtype.kind in "fiu":
        filled = one.astype(np.float64).broadcast_like(like).transpose(*like.dims).values
        if is_late:
            filled = np.where(_is_last(like.values), filled, np.nan)
        return np.ascontiguousarray(filled).reshape(-1)
    words = [str(value) for value in one.values.reshape(-1).tolist()]
    used, codes = np.unique(np.array(words), return_inverse=True)
    coded = one.copy(data=codes.reshape(one.shape)).broadcast_like(like).transpose(*like.dims).values
    return Texts(coded.reshape(-1), tuple(used.tolist()))


def _is_last(updates: np.ndarray) -> np.ndarray:
    """Whether this is the first epoch with as many updates as the last one; bool[..., epochs]."""
    first = np.argmax(updates == updates[..., -1:], axis=-1)
    return np.arange(updates.shape[-1]) == first[..., None]
