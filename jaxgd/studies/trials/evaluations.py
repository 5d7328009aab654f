"""Evaluations one after the other: what tells their trials apart, and what was measured when."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgd.arguments import unknown
from jaxgd.sweeps.results.ranking import better
from jaxgd.tables.cells import MISSING, as_number
from jaxgd.tables.reading import Cells, Texts

# What tells trials apart besides their method; and what may come with an evaluation.
TOLD_APART = ("batch_size", "learning_rate", "seed")
METHODS = ("optimizer", "method")
_KNOWN = {*TOLD_APART, *METHODS, "updates", "examples", "epochs", "epoch", "seconds", "status", "stopped_at"}
_KNOWN |= {"kept_epoch"}


class Columns(NamedTuple):
    """What was given, in columns of k rows, an evaluation each.

    cells: by name float64[k] or texts. axes: the names that tell trials apart, where that is known. place:
    what a row, counted from 0, is called. notes: what was noticed so far.
    """

    cells: Mapping[str, Cells]
    axes: Sequence[str] | None
    place: Callable[[int], str]
    notes: tuple[str, ...] = ()


class Evaluations(NamedTuple):
    """Evaluations of k rows, in any order.

    labels: of the methods. method: int64[k], places in labels. batch_sizes, learning_rates, updates, values:
    float64[k]. seeds: ascending. seed: int64[k], places in seeds. examples: float64[k]. epochs, seconds: so
    too, or None. status: words, or None. place: what a row is called. differing: the names of columns in
    which two rows differ and that tell nothing apart.
    """

    labels: tuple[str, ...]
    method: np.ndarray
    batch_sizes: np.ndarray
    learning_rates: np.ndarray
    seeds: tuple
    seed: np.ndarray
    updates: np.ndarray
    values: np.ndarray
    examples: np.ndarray
    epochs: np.ndarray | None
    seconds: np.ndarray | None
    status: Texts | None
    place: Callable[[int], str]
    differing: Callable[[int, int], list[str]]
    notes: tuple[str, ...]


def metric_of(columns: Columns, metric: str | None, mode: str | None) -> tuple[str, str]:
    """The metric's name and whether less ("min") or more of it is better.

    Raises:
        ValueError: it is not there, or it is not given and there are several.
    """
    names = [name for name in columns.cells if name not in (*_KNOWN, *(columns.axes or ()))]
    if metric is None:
        if "valid_loss" not in names and len(names) != 1:
            known = ", ".join(names) or "the columns"
            raise ValueError(f"metric must be given (--goal METRIC=VALUE), one of {known}")
        metric = "valid_loss" if "valid_loss" in names else names[0]
    if metric not in names:
        raise ValueError(unknown("metric", metric, names))
    return metric, better(metric, mode)


def chosen(columns: Columns, where: Mapping[str, Any]) -> Columns:
    """The rows in which each named column has a value, or one of a list of values.

    Raises:
        ValueError: a column or a value that is not there.
    """
    for name, wanted in where.items():
        if name not in columns.cells:
            raise ValueError(unknown("column", name, columns.cells))
        cells = columns.cells[name]
        several = wanted if isinstance(wanted, list | tuple | set | np.ndarray) else [wanted]
        kept = np.zeros(_length(cells), bool)
        for value in several:
            found = _is_value(cells, value)
            if not found.any():
                known = ", ".join(map(_text, _distinct(cells)))
                raise ValueError(f"{name} has no value {value!r}; it has {known}")
            kept |= found
        rows = np.flatnonzero(kept)
        parts = {key: _taken(part, rows) for key, part in columns.cells.items()}
        columns = columns._replace(cells=parts, place=_place_among(columns.place, rows))
    return columns


def evaluations_of(columns: Columns, metric: str, method: str | Sequence[str] | None) -> Evaluations:
    """The evaluations that columns hold.

    Raises:
        ValueError: a column is missing, or holds what it cannot.
    """
    _check_there(columns, metric)
    notes = list(columns.notes)
    rows = _length(columns.cells["batch_size"])
    if not rows:
        raise ValueError("data must have at least one evaluation, got 0 rows")
    sizes = _above_0(columns, "batch_size")
    updates = _numbers(columns, "updates", lambda x: np.isfinite(x) & (x >= 0), "finite and 0 or more")
    if "learning_rate" in columns.cells:
        rates = _above_0(columns, "learning_rate")
    else:
        rates = np.ones(rows)
        notes.append("No learning rates are given: one at each batch size, written as 1.")
    seeds, seed = _seeds(columns, rows, notes)
    labels, codes, used = _methods(columns, method)
    examples = _clock(columns, "examples")
    if examples is None:
        examples = updates * sizes
        notes.append("Examples are not given: they are updates times the batch size.")
    status = columns.cells.get("status")
    return Evaluations(
        labels=labels,
        method=codes,
        batch_sizes=sizes,
        learning_rates=rates,
        seeds=seeds,
        seed=seed,
        updates=updates,
        values=_numbers(columns, metric),
        examples=examples,
        epochs=_clock(columns, "epochs", "epoch"),
        seconds=_clock(columns, "seconds"),
        status=status if isinstance(status, Texts) else None,
        place=columns.place,
        differing=lambda one, other: _differing(columns, one, other, {metric, *used}),
        notes=tuple(notes),
    )


def _check_there(columns: Columns, metric: str) -> None:
    """Raise ValueError unless what is needed is there; of a sweep's axes that is its batch size alone."""
    is_sweep = columns.axes is not None
    needed = (*(TOLD_APART[:1] if is_sweep else TOLD_APART), "updates", metric)
    missing = [name for name in needed if name not in columns.cells]
    if missing:
        what = "an axis" if is_sweep and missing[0] in TOLD_APART else "a column"
        near = unknown("name", missing[0], columns.cells).partition(" (known")[0].partition("; ")[2]
        hint = f"; {near}" if near else ""
        raise ValueError(
            f"data must have {what} {missing[0]!r}{hint} (it has {', '.join(columns.cells) or 'none'})"
        )


def _methods(
    columns: Columns, method: str | Sequence[str] | None
) -> tuple[tuple[str, ...], np.ndarray, list[str]]:
    """The labels in the order in which they come, each row's place among them, and the columns they name."""
    if method is not None:
        names = [method] if isinstance(method, str) else list(method)
        for name in names:
            if name not in columns.cells:
                raise ValueError(unknown("method", name, columns.cells))
    else:
        known = METHODS if columns.axes is None else columns.axes
        names = [name for name in known if name in columns.cells and name not in TOLD_APART]
        names = [n for n in names if n in METHODS or len(_distinct(columns.cells[n])) > 1]
    code = np.zeros(_length(columns.cells["updates"]), np.int64)
    parts = []
    for name in names:
        distinct, own = _coded(columns.cells[name])
        shown = [_text(value) if name in METHODS else f"{name} {_text(value)}" for value in distinct]
        parts.append((shown, own))
        code = np.unique(code * len(shown) + own, return_inverse=True)[1]
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    order = np.argsort(first)
    labels = [", ".join(shown[own[row]] for shown, own in parts) for row in first[order]]
    return tuple(labels), np.argsort(order)[inverse], names


def _seeds(columns: Columns, rows: int, notes: list[str]) -> tuple[tuple, np.ndarray]:
    if "seed" not in columns.cells:
        notes.append("No seeds are given: one run of each.")
        return (0,), np.zeros(rows, np.int64)
    distinct, code = _coded(columns.cells["seed"])
    missing = [place for place, value in enumerate(distinct) if value in ("", None) or value != value]
    if missing:
        raise ValueError(
            f"seed must be given in each row ({columns.place(int(np.argmax(code == missing[0])))})"
        )
    is_whole = all(isinstance(value, float) and value.is_integer() for value in distinct)
    return tuple(int(value) if is_whole else _text(value) for value in distinct), code


def _clock(columns: Columns, *names: str) -> np.ndarray | None:
    """The first of these columns that is there and holds a number."""
    for name in names:
        if name in columns.cells:
            numbers = _numbers(columns, name, lambda x: np.isnan(x) | (x >= 0), "0 or more")
            return numbers if np.isfinite(numbers).any() else None
    return None


def _above_0(columns: Columns, name: str) -> np.ndarray:
    return _numbers(columns, name, lambda x: np.isfinite(x) & (x > 0), "finite and above 0")


def _numbers(
    columns: Columns,
    name: str,
    is_allowed: Callable[[np.ndarray], np.ndarray] | None = None,
    allowed: str = "a number",
) -> np.ndarray:
    """A column as float64[k], each of them allowed."""
    cells = columns.cells[name]
    if isinstance(cells, Texts):
        parsed = [np.nan if word in (*MISSING, "None") else as_number(word) for word in cells.words]
        if None in parsed:
            row = int(np.argmax(cells.codes == parsed.index(None)))
            word = cells.words[cells.codes[row]]
            raise ValueError(f"{name} must be {allowed}, got {word!r} ({columns.place(row)})")
        cells = np.array(parsed, np.float64)[cells.codes]
    if not isinstance(cells, np.ndarray):
        raise ValueError(f"{name} must be numbers, got {cells.what}")
    bad = np.zeros(len(cells), bool) if is_allowed is None else ~is_allowed(cells)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{name} must be {allowed}, got {cells[row]:g} ({columns.place(row)})")
    return cells


def _differing(columns: Columns, one: int, other: int, used: set[str]) -> list[str]:
    """The columns in which two rows differ, besides those that are used or known."""
    found = []
    for name, cells in columns.cells.items():
        values = cells.codes if isinstance(cells, Texts) else cells
        if name not in _KNOWN | used and isinstance(values, np.ndarray) and values[one] != values[other]:
            found.append(name)
    return found


def _coded(cells: Cells) -> tuple[list[Any], np.ndarray]:
    """The distinct values of a column, ascending, and each row's place among them."""
    if isinstance(cells, Texts):
        used, code = np.unique(cells.codes, return_inverse=True)
        words = [cells.words[place] for place in used]
        order = sorted(range(len(words)), key=words.__getitem__)
        return [words[place] for place in order], np.argsort(order)[code]
    if not isinstance(cells, np.ndarray):
        raise ValueError(f"a column must hold numbers or texts, got {cells.what}")
    used, code = np.unique(cells, return_inverse=True)
    return used.tolist(), code


def _distinct(cells: Cells) -> list[Any]:
    return _coded(cells)[0]


def _text(value: Any) -> str:
    """A value as a label has it: a number as short as it can be told from others."""
    if not isinstance(value, float):
        return str(value)
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _is_value(cells: Cells, value: Any) -> np.ndarray:
    if isinstance(cells, Texts):
        return np.array([word == str(value) for word in cells.words])[cells.codes]
    return np.asarray(cells) == value


def _length(cells: Cells) -> int:
    return len(cells.codes if isinstance(cells, Texts) else np.asarray(cells))


def _taken(cells: Cells, rows: np.ndarray) -> Cells:
    return cells._replace(codes=cells.codes[rows]) if isinstance(cells, Texts) else np.asarray(cells)[rows]


def _place_among(place: Callable[[int], str], rows: np.ndarray) -> Callable[[int], str]:
    return lambda row: place(int(rows[row]))
