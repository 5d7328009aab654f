"""The runs of a program as arrays for a file, and back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgd.sweeps.blocks import Block, in_order
from jaxgd.sweeps.store.archives import about_to
from jaxgd.sweeps.store.arrays import SavedStates, decoded, dtype_name, encoded, state_arrays, state_names
from jaxgd.sweeps.store.manifest import FORMAT
from jaxgd.training.states import STATUS_WORDS

# What each run has a number of, and the kind of dtype that it must have.
_SECONDS = "seconds_per_update"
_COLUMNS = {"status": "i", "stopped_at": "i", "kept_epoch": "i", _SECONDS: "f"}


class SavedRuns(NamedTuple):
    """Runs of a file. seconds_per_update: of each, None where they were not timed."""

    block: Block
    seconds_per_update: np.ndarray | None


def runs_arrays(block: Block) -> tuple[dict[str, np.ndarray], dict]:
    """`(arrays, about)` of runs of one program.

    Raises:
        TypeError: parameters that are no numbers.
    """
    arrays = {f"history/{place}": encoded(column) for place, column in enumerate(block.history.values())}
    for name in ("status", "stopped_at", "kept_epoch"):
        values = getattr(block, name)
        if values is not None:
            arrays[name] = values.astype(np.int64)
    states, about = state_arrays(block.states)
    arrays |= {f"states/{name}": array for name, array in states.items()}
    history = [[name, dtype_name(column)] for name, column in block.history.items()]
    return arrays, {"history": history, "columns": sorted(set(arrays) & set(_COLUMNS)), "states": about}


def runs_archive(blocks: Iterable[Block], places: Sequence[int]) -> dict[str, np.ndarray]:
    """What a file of the runs at these places holds, all of which blocks of one program have."""
    arrays, about = runs_arrays(in_order(blocks, places))
    return about_to(arrays, {"format": FORMAT, **about})


def with_seconds(
    arrays: Mapping[str, np.ndarray], about: Mapping, per_update: Sequence[float]
) -> tuple[dict[str, np.ndarray], dict]:
    """What `runs_arrays` gave, with what an update of each run takes alone."""
    columns = sorted({*about["columns"], _SECONDS})
    return {**arrays, _SECONDS: np.array(per_update, np.float64)}, {**about, "columns": columns}


def runs_names(about: Mapping) -> list[str]:
    """The names of the arrays that `runs_arrays` gave with this description."""
    states = [f"states/{name}" for name in state_names(about["states"])]
    return [*(f"history/{place}" for place in range(len(about["history"]))), *about["columns"], *states]


def runs_of_arrays(
    arrays: Mapping[str, np.ndarray], about: Mapping, places: Sequence[int], epochs: int, like: Any
) -> SavedRuns:
    """The runs that `runs_arrays` was given; their states are rebuilt as `SavedStates` says.

    places: of each in the grid.

    Raises:
        ValueError: what is described is not what the arrays hold, or not so many runs of so many epochs.
    """
    inner = {name.removeprefix("states/"): array for name, array in arrays.items() if "states/" in name}
    states, num_runs = SavedStates(inner, about["states"], like), len(places)
    if len(states) != num_runs:
        raise ValueError(f"it holds {len(states)} runs, and the plan {num_runs}")
    if np.any(inner["places"] < 0):
        raise ValueError("it holds no state of a run that has ended")
    history = {
        str(name): decoded(arrays[f"history/{place}"], dtype)
        for place, (name, dtype) in enumerate(about["history"])
    }
    columns = {name: arrays[name] for name in about["columns"] if name in _COLUMNS}
    if not {"status", "stopped_at"} <= columns.keys():
        raise ValueError("it does not say how its runs have ended")
    for name, array in columns.items():
        if array.shape != (num_runs,) or array.dtype.kind != _COLUMNS[name]:
            raise ValueError(f"its {name} is {array.dtype}{list(array.shape)} for {num_runs} runs")
    if any(rows.shape != (num_runs, epochs) for rows in history.values()):
        raise ValueError(f"its history is not that of {num_runs} runs of {epochs} epochs")
    if any(rows.dtype.kind in "SUMmO" for rows in history.values()):
        raise ValueError("its history is none of numbers")
    if not np.isin(columns["status"], range(len(STATUS_WORDS))).all():
        raise ValueError("a run of it has ended in a way that there is not")
    status, stopped_at, kept = (columns.get(name) for name in ("status", "stopped_at", "kept_epoch"))
    assert status is not None
    assert stopped_at is not None
    block = Block(np.array(places), history, status, stopped_at, kept, states)
    return SavedRuns(block, columns.get(_SECONDS))
