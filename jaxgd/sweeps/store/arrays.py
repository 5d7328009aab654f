"""Arrays and datasets as an `.npz` can hold them: without objects, and with words that describe them."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxgd.sweeps.axes import kept
from jaxgd.sweeps.blocks import StackedStates, StatesOfRuns
from jaxgd.sweeps.store.trees import check_described, describe, rebuild
from jaxgd.training.problems.problem import Problem

if TYPE_CHECKING:
    import xarray

# Group and row of a run that was not run.
_NOWHERE = (-1, -1)


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


def state_arrays(states: Sequence[tuple[Any, Any] | None]) -> tuple[dict[str, np.ndarray], dict]:
    """`(arrays, about)` of the `(params, model_state)` of every run, None of one that was not run.

    `about["groups"]` holds the two skeletons of each group of like runs and the dtypes of its leaves, whose
    arrays are named "group/leaf"; the array `places` is the group and the row of each run, -1 and -1 of one
    that was not run.
    """
    groups: dict[str, list[_Stack]] = {}
    sizes, places = Counter(), np.full((len(states), 2), _NOWHERE, np.int64)
    for stack in _stacks(states):
        like = json.dumps([stack.about, [leaf.shape[1:] for leaf in stack.leaves]])
        groups.setdefault(like, []).append(stack)
        places[stack.places, 0] = list(groups).index(like)
        places[stack.places, 1] = sizes[like] + np.arange(len(stack.places))
        sizes[like] += len(stack.places)
    arrays = {
        f"{place}/{leaf}": encoded(column[0] if len(column) == 1 else np.concatenate(column))
        for place, stacks in enumerate(groups.values())
        for leaf, column in enumerate(zip(*(stack.leaves for stack in stacks), strict=True))
    }
    arrays["places"] = places
    return arrays, {"groups": [stacks[0].about for stacks in groups.values()]}


class _Stack(NamedTuple):
    """States of like runs: their places, what is the same in all, and arrays [runs, ...] of their leaves."""

    places: np.ndarray
    about: dict[str, Any]
    leaves: list[np.ndarray]


def _stacks(states: Sequence[tuple[Any, Any] | None]) -> Iterator[_Stack]:
    """The states of all runs that have one."""
    if isinstance(states, StatesOfRuns):
        for part in states.parts:
            place_of = np.full(len(part.states), -1)
            place_of[part.rows] = part.places
            for stack in _stacks(part.states):
                yield _placed(stack, place_of[stack.places])
    elif isinstance(states, StackedStates):
        yield _stack(np.arange(len(states)), states.trees)
    elif isinstance(states, SavedStates):
        yield from states.stacks()
    else:
        for place, state in enumerate(states):
            if state is not None:
                one = _stack(np.array([place]), state)
                yield one._replace(leaves=[leaf[None] for leaf in one.leaves])


def _placed(stack: _Stack, places: np.ndarray) -> _Stack:
    """The rows of a stack that have a place, there."""
    if (places >= 0).all():
        return stack._replace(places=places)
    rows = np.flatnonzero(places >= 0)
    return _Stack(places[rows], stack.about, [leaf[rows] for leaf in stack.leaves])


def _stack(places: np.ndarray, trees: tuple[Any, Any]) -> _Stack:
    """The stack of runs with these trees of a state, whose arrays have a leading axis over them."""
    (params, leaves), (model_state, more) = (describe(tree) for tree in trees)
    leaves += more
    about = {"trees": [params, model_state], "dtypes": [dtype_name(leaf) for leaf in leaves]}
    return _Stack(places, about, leaves)


def state_names(about: Mapping) -> list[str]:
    """The names of the arrays that `state_arrays` gave with this description."""
    groups = enumerate(about["groups"])
    leaves = [f"{place}/{leaf}" for place, group in groups for leaf in range(len(group["dtypes"]))]
    return ["places", *leaves]


class SavedStates(Sequence):
    """The `(params, model_state)` of every run of a file, each rebuilt when it is asked for; None of one
    that was not run.

    Raises:
        ValueError: what is described is not what the arrays hold.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], about: Mapping, like: Any):
        self._places, self._groups = _places(arrays["places"]), about["groups"]
        self._trees = [group["trees"] for group in about["groups"]]
        self._leaves = [
            [decoded(arrays[f"{place}/{leaf}"], name) for leaf, name in enumerate(group["dtypes"])]
            for place, group in enumerate(about["groups"])
        ]
        self._like = _trees_like(like)
        for trees, leaves in zip(self._trees, self._leaves, strict=True):
            if sum(check_described(tree) for tree in trees) != len(leaves):
                raise ValueError("its trees have not the leaves that it holds")
        placed = Counter(group for group, _ in self._places)
        rows = [
            min((len(leaf) for leaf in leaves), default=placed[group])  # a state may have no leaf
            for group, leaves in enumerate(self._leaves)
        ]
        for group, row in self._places:
            is_there = 0 <= group < len(rows) and 0 <= row < rows[group]
            if not is_there and (group, row) != _NOWHERE:
                raise ValueError(f"it places a run at row {row} of group {group}, which it does not hold")
        for group, leaves in enumerate(self._leaves):
            if any(len(leaf) != placed[group] for leaf in leaves):
                raise ValueError(f"it holds states of group {group} that are no run's")

    def stacks(self) -> Iterator[_Stack]:
        """The states by groups of like runs."""
        groups, rows = np.array(self._places).reshape(-1, 2).T
        for group, (about, leaves) in enumerate(zip(self._groups, self._leaves, strict=True)):
            places = np.flatnonzero(groups == group)
            yield _Stack(places, about, [leaf[rows[places]] for leaf in leaves])

    def __len__(self):
        return len(self._places)

    def __getitem__(self, index):
        group, row = self._places[index]
        if (group, row) == _NOWHERE:
            return None
        leaves = [leaf[row] for leaf in self._leaves[group]]
        trees = []
        for tree, like in zip(self._trees[group], self._like, strict=True):
            count = tree["leaves"]
            trees.append(rebuild(tree, leaves[:count], like))
            leaves = leaves[count:]
        return tuple(trees)


def _places(places: np.ndarray) -> list[list[int]]:
    if places.dtype.kind not in "iu" or places.shape[1:] != (2,):
        raise ValueError(f"the places of its runs are {places.dtype}{list(places.shape)}")
    return places.tolist()


def _trees_like(like: Any) -> tuple[Any, Any]:
    """Trees like the parameters and like the model state, None where nothing is known."""
    if isinstance(like, Problem):
        return jax.eval_shape(lambda key: like.init(key), jax.random.key(0)), like.model_state
    return like, None
