"""What a sweep's logs get: a row for every run, as it ends."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxgd.logs.delivery import Delivery
from jaxgd.logs.destination import Row
from jaxgd.sweeps.blocks import Block
from jaxgd.sweeps.engine.driver import Ended
from jaxgd.sweeps.results.dataset import coordinates
from jaxgd.sweeps.results.ranking import last_places
from jaxgd.sweeps.runs import Run, measured_in
from jaxgd.training.carrying import COUNTS
from jaxgd.training.states import STATUS_WORDS

# A run's place in the grid.
_RUN = "run"


class Logged:
    """A sink that hands each run that ended to the logs, as a row; what the keys are, `sweep` says.

    Raises:
        ValueError: there are logs, and an axis or a name of its points is called `run`.
    """

    def __init__(self, logs: Delivery, axes: Mapping[str, Sequence[Any]], runs: Sequence[Run]):
        self.logs, self.sizes = logs, {name: len(values) for name, values in axes.items()}
        coords = coordinates(axes, runs[0].num_examples).items()
        self.columns = {name: (axis, values.tolist()) for name, (axis, values) in coords}
        self.nothing = dict.fromkeys(measured_in(runs), math.nan)
        if logs and _RUN in self.columns:
            raise ValueError(f"axis {_RUN!r} has the name of a row's place in a log; call it something else")

    def take(self, ended: Ended) -> None:
        """Log what ended."""
        if self.logs and ended.block is not None:
            self.logs.write(list(self._rows(ended.block)))

    def _rows(self, block: Block) -> Iterator[Row]:
        """A row of each run."""
        words = [STATUS_WORDS[code] for code in block.status.tolist()]
        epochs = last_places(np.array(words), block.history["updates"]) + 1
        if block.kept_epoch is not None:
            epochs = np.where(block.kept_epoch > 0, block.kept_epoch, epochs)
        columns: dict[str, Any] = {"status": words, "stopped_at": block.stopped_at.tolist()}
        nobody_knows = np.full((len(block), 1), math.nan)  # how many examples a function has used
        columns |= {name: block.history.get(name, nobody_knows)[:, -1].tolist() for name in COUNTS}
        columns["epoch"] = epochs.tolist()
        for name in self.nothing:  # the score of the run's parameters
            if name in block.history:
                columns[name] = block.history[name][np.arange(len(block)), epochs - 1].tolist()
        for point, *values in zip(self._points(block.places), *columns.values(), strict=True):
            row = dict(zip(columns, values, strict=True))
            yield point | self._ordered(row)

    def _ordered(self, row: Row) -> Row:
        """The row with NaN for what the run does not measure, in the order of all rows."""
        ending = {name: value for name, value in row.items() if name not in self.nothing}
        return ending | self.nothing | row

    def _points(self, places: np.ndarray) -> Iterator[Row]:
        """Where in the grid each run is."""
        along = np.unravel_index(places, tuple(self.sizes.values()))
        by_axis = dict(zip(self.sizes, (each.tolist() for each in along), strict=True))
        for i, place in enumerate(places.tolist()):
            point = {name: values[by_axis[axis][i]] for name, (axis, values) in self.columns.items()}
            yield {_RUN: place} | point
