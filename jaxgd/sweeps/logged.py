"""What a sweep's logs get: a row for every run, as it ends."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxgd.logs.delivery import Delivery
from jaxgd.logs.destination import Row
from jaxgd.sweeps.engine.driver import Ended
from jaxgd.sweeps.results.dataset import LaneResults, coordinates
from jaxgd.sweeps.results.ranking import last_places
from jaxgd.sweeps.runs import Run
from jaxgd.training.carrying import COUNTS
from jaxgd.training.states import STATUS_WORDS
from jaxgd.training.trainers import measured_names

# A run's place in the grid.
_RUN = "run"


class Logged:
    """A sink that hands each run that ended to the logs, as a row; what the keys are, `sweep` says.

    Raises:
        ValueError: there are logs, and an axis or a name of its points is called `run`.
    """

    def __init__(self, logs: Delivery, axes: Mapping[str, Sequence[Any]], runs: Sequence[Run]):
        self.logs, self.sizes = logs, {name: len(values) for name, values in axes.items()}
        coords = coordinates(axes, runs[0].trainer.problem.num_examples).items()
        self.columns = {name: (axis, values.tolist()) for name, (axis, values) in coords}
        measured = (name for run in runs for name in measured_names(run.trainer))
        self.nothing = dict.fromkeys(measured, math.nan)
        if logs and _RUN in self.columns:
            raise ValueError(f"axis {_RUN!r} has the name of a row's place in a log; call it something else")

    def take(self, ended: Ended) -> None:
        """Log what ended."""
        if self.logs:
            self.logs.write([self._row(run, results) for run, results in ended.runs])

    def _row(self, run: Run, results: LaneResults) -> Row:
        places = dict(zip(self.sizes, np.unravel_index(run.index, tuple(self.sizes.values())), strict=True))
        point = {name: values[places[axis]] for name, (axis, values) in self.columns.items()}
        return {_RUN: run.index} | point | self._outcome(results)

    def _outcome(self, results: LaneResults) -> Row:
        """How a run ended, and what was measured after the epoch that its parameters are of."""
        status, history = STATUS_WORDS[int(results.status)], results.history
        kept = -1 if results.kept_epoch is None else int(results.kept_epoch)
        place = kept - 1 if kept > 0 else int(last_places(np.array(status), history["updates"]))
        counts = {name: int(history[name][-1]) for name in COUNTS}
        scores = {name: history[name][place].item() for name in self.nothing if name in history}
        ending = {"status": status, "stopped_at": int(results.stopped_at)}
        return ending | counts | {"epoch": place + 1} | self.nothing | scores
