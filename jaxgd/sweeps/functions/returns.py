"""What a training function returns: which of it is a history, which is the score of its end, and the rest."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.sweeps.blocks import StackedStates
from jaxgd.training.carrying import COUNTS
from jaxgd.training.states import DIVERGED

# What the result itself has under these names.
TAKEN = ("epoch", "status", "stopped_at", "kept_epoch", "seconds")
_PARAMS = "params"


class Returns(NamedTuple):
    """What a function returns, by the shapes of its entries.

    Attributes:
        histories: names of arrays with one dimension, all of one length, in the order of their names.
        ends: names of numbers: scores of a whole run.
        rest: names of everything else but `params`.
        has_params: whether there is an entry `params`.
        epochs: the length of the histories, 1 where there are none.
    """

    histories: tuple[str, ...]
    ends: tuple[str, ...]
    rest: tuple[str, ...]
    has_params: bool
    epochs: int

    @property
    def measured(self) -> list[str]:
        """The names of what a run measures: histories and ends, but for the clocks."""
        return [name for name in (*self.histories, *self.ends) if name not in COUNTS]

    def history(self, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Arrays [runs, epochs] by name, of what so many runs returned: arrays with a leading axis over them.

        An end is the same in every epoch; without `updates`, each entry is one update.
        """
        found = {name: np.asarray(values[name]) for name in self.histories}
        for name in self.ends:
            end = np.asarray(values[name])
            found[name] = np.repeat(end[:, None], self.epochs, axis=1)
        if "updates" not in found:
            runs = len(jax.tree.leaves(values)[0])
            found["updates"] = np.tile(np.arange(1, self.epochs + 1, dtype=np.int32), (runs, 1))
        return found

    def how_ended(self, history: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """`(status, stopped_at)` of each run: diverged where what it measures ends as no finite number.

        stopped_at: its updates before the first entry from which on a history is not finite, -1 of a run that
        did not diverge. Such as losses of 2.3, 9.1, inf and NaN: 2.
        """
        updates = history["updates"]
        rows = [np.ones(updates.shape, bool), *(_are_finite(history[name]) for name in self.histories)]
        finite = np.all(rows, axis=0)
        ends = [_are_finite(history[name][:, -1]) for name in self.ends]
        is_lost = ~np.all([finite[:, -1], *ends], axis=0)
        last = np.where(finite.any(axis=1), finite.shape[1] - np.argmax(finite[:, ::-1], axis=1), 0)
        before = np.pad(updates, ((0, 0), (1, 0)))
        stopped_at = np.take_along_axis(before, last[:, None], axis=1)[:, 0]
        return np.where(is_lost, DIVERGED, 0), np.where(is_lost, stopped_at, -1)

    def states(self, values: Mapping[str, Any]) -> StackedStates:
        """`(params, model_state)` of each: the entry `params` and the other trees; without it those alone."""
        count = len(jax.tree.leaves(values)[0])
        return StackedStates(self.state_of(values), count)

    def state_of(self, values: Mapping[str, Any]) -> tuple[Any, Any]:
        """`(params, model_state)` of the entries that are no history."""
        rest = {name: values[name] for name in self.rest}
        return (values[_PARAMS], rest or None) if self.has_params else (rest, None)


def returns_of(train: str, shapes: Any) -> Returns:
    """What the function of this name returns, from its shapes.

    Raises:
        TypeError: an entry whose name is no text, or keys of random numbers.
        ValueError: its histories differ in length, or an entry has a name that the result uses.
    """
    for name, entry in shapes.items():
        _check_entry(train, name, entry)
    entries = {name: entry for name, entry in shapes.items() if name != _PARAMS}
    arrays = {name: entry for name, entry in entries.items() if isinstance(entry, jax.ShapeDtypeStruct)}
    histories = {name: x.shape[0] for name, x in arrays.items() if len(x.shape) == 1}
    if len(set(histories.values())) > 1:
        lengths = ", ".join(f"{name!r} {length}" for name, length in histories.items())
        raise ValueError(
            f"{train} must return histories of one length, got {lengths}: put what is none into the entry "
            '"params"'
        )
    if 0 in histories.values():
        raise ValueError(f"{train} must return histories of 1 entry or more, got {', '.join(histories)} of 0")
    for name in COUNTS:
        if name in shapes and (name not in histories or not jnp.issubdtype(arrays[name].dtype, jnp.integer)):
            raise ValueError(
                f"{train} must return {name!r} as whole numbers along the histories, how many there were up "
                f"to each entry, got {_text(shapes[name])}"
            )
    ends = tuple(name for name, x in arrays.items() if x.shape == ())
    rest = tuple(name for name in shapes if name not in (*histories, *ends, _PARAMS))
    epochs = next(iter(histories.values()), 1)
    return Returns(tuple(sorted(histories)), ends, rest, _PARAMS in shapes, epochs)


def check_returned(train: str, returned: Any) -> None:
    """Raise TypeError unless the function of this name has returned a dict with arrays or numbers in it."""
    wanted = f'{train} must return a dict of arrays by name, such as {{"loss": losses, "params": params}}'
    if not isinstance(returned, dict) or not jax.tree.leaves(returned):
        kind = f"a {type(returned).__name__}" if not isinstance(returned, dict) else "a dict without any"
        raise TypeError(f"{wanted}, got {kind}")
    for name, entry in returned.items():
        is_list = isinstance(entry, list) and name != _PARAMS
        if is_list and entry and all(jnp.ndim(number) == 0 for number in entry):
            raise TypeError(f"{wanted}, got a list of numbers in {name!r}: jnp.stack makes an array of it")
        for leaf in jax.tree.leaves(entry):
            if not isinstance(leaf, jax.Array | np.ndarray | np.generic | bool | int | float | complex):
                raise TypeError(f"{wanted}, got a {type(leaf).__name__} in {name!r}")


def _check_entry(train: str, name: Any, entry: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{train} must return entries with names that are strings, got {name!r}")
    if name in TAKEN:
        raise ValueError(f"{train} returns {name!r}, which the result has of its own; call it something else")
    for leaf in jax.tree.leaves(entry):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.extended):
            raise TypeError(
                f"{train} must return arrays of numbers, got {leaf.dtype} in {name!r}: give "
                "jax.random.key_data(key)"
            )


def _text(entry: Any) -> str:
    is_array = isinstance(entry, jax.ShapeDtypeStruct)
    return f"{entry.dtype}{list(entry.shape)}" if is_array else f"a {type(entry).__name__}"


def _are_finite(rows: np.ndarray) -> np.ndarray:
    return np.isfinite(rows) if jnp.issubdtype(rows.dtype, jnp.inexact) else np.ones(rows.shape, bool)
