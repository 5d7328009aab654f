"""The dataset of a sweep for other programs: a tidy pandas table, a netCDF file."""

import json
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgd.sweeps.results.selection import linked_names

if TYPE_CHECKING:
    import xarray

# The package of each of xarray's engines that write netCDF, the fullest format first.
_ENGINES = {"netcdf4": "netCDF4", "h5netcdf": "h5netcdf", "scipy": "scipy"}


def to_pandas(dataset: "xarray.Dataset") -> Any:
    """One row for each run and epoch: the axes and what is known along them, the epoch, and the variables."""
    import pandas

    # An index of pandas' has no None: such an axis goes in as places.
    mixed = [name for name in dataset.dims if name in dataset.coords and dataset[name].dtype.kind == "O"]
    places = {name: np.arange(dataset.sizes[name]) for name in mixed}
    table: Any = dataset.assign_coords(places).to_dataframe().reset_index()
    for name in mixed:
        table[name] = pandas.Series(dataset[name].values[table[name]], dtype=object)
    axes = [*dataset.status.dims, *linked_names(dataset), "epoch"]
    counts = [name for name in dataset.coords if name not in axes]
    return table[[*axes, *counts, *dataset.data_vars]]


def to_netcdf(dataset: "xarray.Dataset", path: str | os.PathLike) -> None:
    """Write the dataset to a netCDF file by the best engine that is installed."""
    path = Path(path)
    engine: Any = next(name for name, package in _ENGINES.items() if find_spec(package))
    plain = dataset.map(_writable, keep_attrs=True).assign_coords(
        {name: _writable(coord) for name, coord in dataset.coords.items()}
    )
    plain.attrs = _attributes(dataset.attrs)
    for variable in plain.variables.values():
        variable.attrs = _attributes(variable.attrs)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        whole = Path(folder, path.name)
        try:
            plain.to_netcdf(whole, engine=engine)
        except (ValueError, TypeError) as error:
            if engine != "scipy":
                raise
            raise ValueError(
                f"SciPy's netCDF 3 cannot hold this sweep ({error}); install netCDF4 or h5netcdf"
            ) from error
        os.replace(whole, path)


def _writable(values: "xarray.DataArray") -> "xarray.DataArray":
    """The values in a dtype that netCDF has: labels of several kinds become texts."""
    kinds = {np.dtype("bool"): np.int8, np.dtype("float16"): np.float32}
    if values.dtype.kind in "OT":
        return values.astype(str)
    if values.dtype.isbuiltin == 2:  # such as bfloat16
        return values.astype(np.float32)
    return values.astype(kinds[values.dtype]) if values.dtype in kinds else values


def _attributes(attrs: dict) -> dict:
    """Attributes as netCDF has them: texts and numbers; anything else as JSON."""
    is_plain = (str, int, float, np.number)
    return {
        str(name): value
        if isinstance(value, is_plain) and not isinstance(value, bool)
        else json.dumps(value, default=str)
        for name, value in attrs.items()
    }
