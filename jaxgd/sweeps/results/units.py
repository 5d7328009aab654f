"""The runs of a program as arrays for a file, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxgd.sweeps.blocks import LaneResults
from jaxgd.sweeps.store.arrays import SavedStates, decoded, dtype_name, encoded, state_arrays, state_names
from jaxgd.training.states import STATUS_WORDS

# What each run has a number of, and the kind of dtype that it must have.
_SECONDS = "seconds_per_update"
_COLUMNS = {"status": "i", "stopped_at": "i", "kept_epoch": "i", _SECONDS: "f"}


def runs_arrays(results: Sequence[LaneResults]) -> tuple[dict[str, np.ndarray], dict]:
    """`(arrays, about)` of runs of one program.

    Raises:
        TypeError: parameters that are no numbers.
    """
    names = list(results[0].history)
    columns = [np.stack([each.history[name] for each in results]) for name in names]
    arrays = {f"history/{place}": encoded(column) for place, column in enumerate(columns)}
    for name in ("status", "stopped_at", "kept_epoch"):
        values = [getattr(each, name) for each in results]
        if values[0] is not None:
            arrays[name] = np.array([int(value) for value in values], np.int64)
    states, about = state_arrays([(each.params, each.model_state) for each in results])
    arrays |= {f"states/{name}": array for name, array in states.items()}
    history = [[name, dtype_name(column)] for name, column in zip(names, columns, strict=True)]
    return arrays, {"history": history, "columns": sorted(set(arrays) & set(_COLUMNS)), "states": about}


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
    arrays: Mapping[str, np.ndarray], about: Mapping, num_runs: int, epochs: int, like: Any
) -> "RunsOfFile":
    """The runs that `runs_arrays` was given; their states are rebuilt as `SavedStates` says.

    Raises:
        ValueError: what is described is not what the arrays hold, or not so many runs of so many epochs.
    """
    inner = {name.removeprefix("states/"): array for name, array in arrays.items() if "states/" in name}
    states = SavedStates(inner, about["states"], like)
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
    return RunsOfFile(history, columns, states)


class RunsOfFile(Sequence):
    """The results of runs of a file, each with its state, which is rebuilt when it is asked for.

    states: of each. codes: of how each ended. seconds_per_update: of each, None where they were not timed.
    """

    def __init__(self, history: Mapping[str, Any], columns: Mapping[str, np.ndarray], states: SavedStates):
        self.states, self.seconds_per_update = states, columns.get(_SECONDS)
        self.codes: list[int] = columns["status"].tolist()
        self._history, self._columns = history, columns

    def __len__(self):
        return len(self.states)

    def __getitem__(self, place):
        state = self.states[place]
        assert state is not None  # every run of a unit's file has ended
        return self.without_state(place)._replace(params=state[0], model_state=state[1])

    def without_state(self, place: int) -> LaneResults:
        """The results of a run, its parameters and model state left out."""
        history = {name: rows[place] for name, rows in self._history.items()}
        kept = self._columns.get("kept_epoch")
        status, stopped_at = (self._columns[name][place] for name in ("status", "stopped_at"))
        return LaneResults(
            None, None, history, status, stopped_at, None if kept is None else int(kept[place])
        )
