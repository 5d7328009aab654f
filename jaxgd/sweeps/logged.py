"""What a sweep's logs get: a row for every run, as it ends."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxgd.logs.delivery import Delivery
from jaxgd.logs.destination import Row
from jaxgd.sweeps.blocks import LaneResults
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
        coords = coordinates(axes, runs[0].trainer.problem.num_examples).items()
        self.columns = {name: (axis, values.tolist()) for name, (axis, values) in coords}
        self.nothing = dict.fromkeys(measured_in(runs), math.nan)
        if logs and _RUN in self.columns:
            raise ValueError(f"axis {_RUN!r} has the name of a row's place in a log; call it something else")

    def take(self, ended: Ended) -> None:
        """Log what ended."""
        if self.logs and ended.runs:
            runs, results = zip(*ended.runs, strict=True)
            self.logs.write(list(map(self._row, self._points(runs), _endings(results), results)))

    def _points(self, runs: Sequence[Run]) -> Iterator[Row]:
        """Where in the grid each run is."""
        places = np.unravel_index([run.index for run in runs], tuple(self.sizes.values()))
        by_axis = dict(zip(self.sizes, (along.tolist() for along in places), strict=True))
        for i, run in enumerate(runs):
            point = {name: values[by_axis[axis][i]] for name, (axis, values) in self.columns.items()}
            yield {_RUN: run.index} | point

    def _row(self, point: Row, ending: Row, results: LaneResults) -> Row:
        history, place = results.history, ending["epoch"] - 1
        scores = {name: history[name][place].item() for name in self.nothing if name in history}
        return point | ending | self.nothing | scores


def _endings(results: Sequence[LaneResults]) -> Iterator[Row]:
    """How each run ended, and the epoch whose scores its row has: that of its parameters."""
    words = [STATUS_WORDS[int(each.status)] for each in results]
    places = last_places(np.array(words), np.stack([each.history["updates"] for each in results]))
    for each, word, place in zip(results, words, places.tolist(), strict=True):
        kept = -1 if each.kept_epoch is None else int(each.kept_epoch)
        counts = {name: int(each.history[name][-1]) for name in COUNTS}
        ending = {"status": word, "stopped_at": int(each.stopped_at)}
        yield ending | counts | {"epoch": kept if kept > 0 else place + 1}
