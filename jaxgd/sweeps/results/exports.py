"""The dataset of a sweep for other programs: a tidy pandas table, a CSV and a netCDF file."""

import os
import re
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgd.arguments import path_of
from jaxgd.strict_json import json_text
from jaxgd.sweeps.results.selection import linked_names
from jaxgd.sweeps.store.files import write_whole

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


# What a spreadsheet takes for a formula, or strips to find one; and what is a number all the same.
_FORMULA = re.compile(r"[=+\-@＝＋－＠\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def to_csv(dataset: "xarray.Dataset", path: str | os.PathLike) -> None:
    """Write the table of `to_pandas` to a CSV file, as a whole or not at all."""
    path, table = path_of("path", path), to_pandas(dataset)
    for name in table.columns[table.dtypes.map(lambda dtype: dtype.kind not in "biuf")]:
        table[name] = table[name].map(_no_formula)
    # As RFC 4180 has them; with another end of lines a return in a text would end its row.
    text = table.rename(columns=_no_formula).to_csv(index=False, lineterminator="\r\n")
    write_whole(path, text)


def _no_formula(cell: Any) -> Any:
    """A text that a spreadsheet would compute, with an apostrophe before it; anything else as it is."""
    is_formula = isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if is_formula else cell


def to_netcdf(dataset: "xarray.Dataset", path: str | os.PathLike) -> None:
    """Write the dataset to a netCDF file by the best engine that is installed."""
    path = path_of("path", path)
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
        else json_text(value, default=str)
        for name, value in attrs.items()
    }
