"""Trials out of a sweep, a table or a CSV file."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxgd.studies.trials.dense import Trials, arrange
from jaxgd.studies.trials.evaluations import Columns, chosen, evaluations_of, metric_of
from jaxgd.studies.trials.of_sweeps import columns_of_sweep
from jaxgd.studies.trials.remarks import remarks_on
from jaxgd.sweeps.results.result import SweepResult
from jaxgd.tables.reading import read_table


def trials_of(
    data: Any,
    metric: str | None = None,
    mode: str | None = None,
    *,
    method: str | Sequence[str] | None = None,
    **where: Any,
) -> Trials:
    """The trials that a sweep or a table holds, in one form.

    A table has a row for each evaluation, and these columns: `batch_size`, `learning_rate`, `seed`, `updates`
    and the metric. It may have `optimizer` (or `method`), `examples`, `epochs`, `seconds`, and `status` with
    the words of a sweep's dataset: a trial whose last word is "stopped early" or "budget spent" keeps its
    last value. What `SweepResult.to_csv` writes is such a table. An evaluation without a number is none if
    later ones have one; else the trial had diverged by then.

    Args:
        data: a `SweepResult` or its dataset, a `pandas.DataFrame`, a mapping of columns, the path of a CSV
            file, or `Trials`, which are returned as they are.
        metric: what was measured. None: `valid_loss`, or the one column of numbers that is left.
        mode: "min" or "max", which of its values are better. None knows losses, errors and accuracies.
        method: the columns, or axes, that tell methods apart. None: `optimizer` or `method` of a table; of a
            sweep every axis but batch size, learning rate and seed.
        **where: a value, or a list of values, of a column or an axis, to keep those trials alone.

    Raises:
        ValueError: no such column, a number out of its range with its row, or an evaluation given twice.
        TypeError: data that is none of these.

    Example:
        >>> import jaxgd
        >>> table = {"batch_size": [8, 8, 32, 32], "learning_rate": [0.1] * 4, "seed": [0] * 4,
        ...          "updates": [10, 20, 5, 10], "loss": [0.5, 0.2, 0.6, 0.4]}
        >>> trials = jaxgd.studies.trials_of(table)
        >>> trials.batch_sizes.tolist(), trials.values[0, :, 0, 0].tolist()
        ([8.0, 32.0], [[0.5, 0.2], [0.6, 0.4]])
    """
    if isinstance(data, Trials):
        return _as_they_are(data, metric, mode, method, where)
    columns = chosen(_columns(data, metric), where)
    name, better = metric_of(columns, metric, mode)
    trials = arrange(evaluations_of(columns, name, method), name, better)
    return trials._replace(notes=(*trials.notes, *remarks_on(trials)))


def _as_they_are(trials: Trials, metric, mode, method, where: Mapping[str, Any]) -> Trials:
    if method is not None or where or metric not in (None, trials.metric) or mode not in (None, trials.mode):
        raise ValueError(
            f"data is Trials of {trials.metric!r} already; metric, mode, method and a selection belong to "
            "trials_of"
        )
    return trials


def _columns(data: Any, metric: str | None) -> Columns:
    """The columns of data of any kind."""
    if isinstance(data, SweepResult):
        return columns_of_sweep(data.dataset, metric)
    if hasattr(data, "data_vars"):
        return columns_of_sweep(data, metric)
    if isinstance(data, Mapping):
        data = _frame(data)
    table = read_table(data, lambda name: False)
    return Columns(dict(zip(table.names, table.columns, strict=True)), None, table.places.within)


def _frame(columns: Mapping[str, Any]):
    import pandas

    arrays = {name: np.asarray(values) for name, values in columns.items()}
    if len({values.shape for values in arrays.values()}) > 1 or any(x.ndim != 1 for x in arrays.values()):
        listed = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
        raise ValueError(f"data must have columns of one length, got {listed}")
    return pandas.DataFrame(arrays)
