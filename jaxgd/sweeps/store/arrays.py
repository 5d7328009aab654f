"""Arrays and datasets as an `.npz` can hold them: without objects, and with words that describe them."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxgd.sweeps.coordinates import kept

if TYPE_CHECKING:
    import xarray


def dtype_name(array: np.ndarray) -> str:
    """The name by which `decoded` knows an array's dtype."""
    return array.dtype.name if _is_foreign(array) else array.dtype.str


def encoded(array: np.ndarray) -> np.ndarray:
    """The array in a dtype that NumPy's files know: a bfloat16 as the 16-bit words that it is made of."""
    return array.view(f"u{array.itemsize}") if _is_foreign(array) else array


def decoded(array: np.ndarray, name: str) -> np.ndarray:
    """The array that `encoded` was given, whose dtype has this name.

    Raises:
        ValueError: `encoded` gives another dtype for that name.
    """
    if array.dtype.str == name:
        return array
    dtype = jax.numpy.dtype(name)
    if dtype.isbuiltin != 2 or array.dtype != np.dtype(f"u{dtype.itemsize}"):
        raise ValueError(f"an array of {array.dtype} is described as one of {name}")
    return array.view(dtype)


def _is_foreign(array: np.ndarray) -> bool:
    """Whether the dtype is one that another library has registered with NumPy, such as bfloat16."""
    return array.dtype.isbuiltin == 2


def dataset_arrays(dataset: "xarray.Dataset") -> tuple[dict[str, np.ndarray], dict]:
    """`(arrays, about)` of a dataset: its variables and coordinates, with their dimensions and attributes.

    Raises:
        TypeError: an attribute or an object that JSON cannot hold.
    """
    arrays, variables = {}, []
    for place, (name, variable) in enumerate(dataset.variables.items()):
        about = {
            "name": name,
            "dims": list(variable.dims),
            "is_coord": name in dataset.coords,
            "attrs": _attributes(variable.attrs, str(name)),
        }
        if variable.dtype.kind in "OT":
            about["objects"] = _checked_json(variable.values.ravel().tolist(), f"the variable {name!r}")
            about["shape"] = list(variable.shape)
        else:
            arrays[str(place)] = encoded(variable.values)
            about["dtype"] = dtype_name(variable.values)
        variables.append(about)
    return arrays, {"variables": variables, "attrs": _attributes(dataset.attrs, "the dataset")}


def dataset_names(about: Mapping) -> list[str]:
    """The names of the arrays that `dataset_arrays` gave with this description."""
    return [str(place) for place, entry in enumerate(about["variables"]) if "objects" not in entry]


def dataset_of(arrays: Mapping[str, np.ndarray], about: Mapping) -> "xarray.Dataset":
    """The dataset that `dataset_arrays` was given."""
    import xarray

    parts: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    for place, entry in enumerate(about["variables"]):
        if "objects" in entry:
            values = np.empty(len(entry["objects"]), object)
            values[:] = entry["objects"]
            values = kept(values.reshape(entry["shape"]))
        else:
            values = decoded(arrays[str(place)], entry["dtype"])
        parts[entry["is_coord"]][entry["name"]] = (entry["dims"], values, entry["attrs"])
    return xarray.Dataset(parts[False], parts[True], about["attrs"])


def _attributes(attrs: Mapping, owner: str) -> dict:
    return {name: _checked_json(value, f"the attribute {name!r} of {owner}") for name, value in attrs.items()}


def _checked_json(value: Any, what: str) -> Any:
    """The value as JSON holds it: numbers of NumPy as Python's, arrays and tuples as lists."""
    try:
        return json.loads(json.dumps(value, default=lambda x: x.tolist()))
    except (TypeError, ValueError, AttributeError):
        raise TypeError(
            f"{what} cannot be saved: it is no number, text, list or dict, but {value!r}"
        ) from None
