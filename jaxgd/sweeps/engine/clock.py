"""What an update costs at each batch size, measured alone: the clock for comparisons at equal seconds."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxgd.arguments import as_integer
from jaxgd.machine.switches import own_programs, with_settings_of_caller
from jaxgd.sweeps.axes import Point, checked_axes, points
from jaxgd.sweeps.engine.driver import empty_slots
from jaxgd.sweeps.engine.programs import Ready, prepare
from jaxgd.sweeps.lanes import Occupancy, Sources
from jaxgd.sweeps.planning.forms import largest_batch
from jaxgd.sweeps.planning.planner import make_units
from jaxgd.sweeps.planning.recipes import num_bytes
from jaxgd.sweeps.planning.weighing import Options
from jaxgd.sweeps.runs import make_runs
from jaxgd.training.carrying import count_of
from jaxgd.training.fitting import check_epochs, extent
from jaxgd.training.trainers import Trainer

if TYPE_CHECKING:
    import xarray

# Of the time that a call is expected to take: from the first on it was disturbed; from the second on calls
# cost nothing by themselves.
_DISTURBED, _SAME = 1.5, 0.8
# A call of so many times the seconds that were asked for is not made longer.
_LONG = 10


def throughput(
    make_trainer: Callable[[Point], Trainer],
    batch_sizes: Sequence[Any],
    *,
    epochs: int = 20,
    repeats: int = 5,
    seconds: float = 0.05,
) -> "xarray.Dataset":
    """Seconds and bytes of an update at each batch size, each run alone on the first device.

    The programs are warm and take turns, so that a machine that slows down slows all of them; each figure is
    the median of the repeats. Validation is left out. Variables over `batch_size`: `seconds_per_update`,
    `examples_per_second`, and `bytes`, which the run needs: data, epoch orders, parameters before and after,
    and the program's temporaries. The attribute `seconds_by_turn`, [batch size][turn], holds the seconds of
    an update in each of the repeats: how far they lie apart is how far the timings can be trusted.

    Args:
        make_trainer: called with `hp.batch_size`, returns a trainer.
        batch_sizes: ints and "full"; the coordinate of "full" is the number of training examples.
        epochs: the longest run that is timed; a sweep of as many epochs shares its programs with this clock.
        repeats: timed calls of each.
        seconds: about how long each timed call takes.
    """
    import xarray

    sizes = checked_axes({"batch_size": batch_sizes})["batch_size"]
    count = as_integer(repeats)
    if count is None or count < 1:
        raise ValueError(f"repeats must be 1 or more, got {repeats}")
    made = make_runs(make_trainer, points({"batch_size": sizes}))
    epochs = check_epochs(epochs, made[0].trainer.problem.num_examples)
    devices, sources = jax.devices(), Sources(epochs)
    options = Options(merge=False, kind="map", generalize=False, width=1)
    make_ready = with_settings_of_caller(
        lambda unit: prepare(unit.group, unit.planned.recipe, devices, sources)
    )
    with own_programs(), ThreadPoolExecutor(2) as pool:
        units = [make_units([run], devices, sources, options)[0] for run in made]
        alone = [LaneAlone(ready) for ready in pool.map(make_ready, units)]
        for lane in alone:
            lane.calibrate(seconds, settle=True)
        times = np.array([[lane.seconds_per_update() for lane in alone] for _ in range(count)])
    per_update = np.median(times, axis=0)
    batches = np.array([int(run.trainer.examples_per_batch) for run in made])
    variables = {
        "seconds_per_update": ("batch_size", per_update),
        "examples_per_second": ("batch_size", batches / per_update),
        "bytes": ("batch_size", np.array([lane.bytes for lane in alone])),
    }
    return xarray.Dataset(variables, {"batch_size": batches}, {"seconds_by_turn": times.T.tolist()})


class LaneAlone:
    """One run of a ready group, alone on the first device, timed without evaluation."""

    def __init__(self, ready: Ready, run: int = 0):
        self.ready, self.num, self.longest = ready, ready.group.num_examples, ready.inputs.sources.epochs
        inputs = ready.inputs.gather([run] * ready.recipe.slots)
        first = np.arange(ready.recipe.slots) == 0
        self.slots = empty_slots(ready)
        placed = zip((ready.inputs.shared, inputs), ready.program.input_shardings[0], strict=False)
        self.arguments = [jax.device_put(x, sharding) for x, sharding in placed]
        self.occupancy = Occupancy(first, first)
        self.batch = largest_batch(ready.group.runs[run].trainer)
        self.examples = self.longest * self.num
        one = jax.tree.map(lambda x: x[0], inputs)
        self.bytes = num_bytes(ready.inputs.shared) + num_bytes(one) + num_bytes(one.params)
        self.bytes += ready.program.memory_analysis().temp_size_in_bytes

    def calibrate(self, seconds: float, settle: bool = False) -> None:
        """Choose as many examples as take about `seconds`: some batches, or whole epochs.

        With `settle` as many more as it takes until an update costs as much in a call as in one half as
        long: on a busy machine a call itself can take longer than hundreds of updates.
        """
        self.examples, cost = min(self.num, max(self.batch, 1)), None
        self._timed()  # the first call is slower than the rest
        while self.examples < self.longest * self.num:
            expected = 0.0 if cost is None else cost * self.examples
            taken = self._timed()[0]
            if taken > max(seconds / 2, _DISTURBED * expected):  # one call says little
                taken = min(taken, self._timed()[0])
            is_settled = (
                not settle or taken > _LONG * seconds or (cost is not None and taken > _SAME * expected)
            )
            if taken > seconds / 2 and is_settled:
                break
            cost = taken / self.examples
            wanted = int(self.examples * min(16.0, max(2.0, seconds / max(taken, 1e-6))))
            wanted = wanted // self.num * self.num if wanted >= self.num else max(self.batch, wanted)
            self.examples = min(max(wanted, self.examples + 1), self.longest * self.num)

    def seconds_per_update(self) -> float:
        """Seconds an update took."""
        taken, updates = self._timed()
        return taken / max(1, updates)

    def _timed(self) -> tuple[float, int]:
        """The seconds that a call took, and the updates it made."""
        begun = time.perf_counter()
        end = extent(0, self.examples, self.num, evaluate=False)
        self.slots = self.ready.program(*self.arguments, self.slots, self.occupancy, end)
        counts = np.asarray(self.slots.packed.counts)
        return time.perf_counter() - begun, int(count_of(counts, "updates")[0])


# Timing updates alone takes about this part of the time that running took, and no less than one call.
_CLOCK_PART = 0.05
_CLOCK_CALLS = 3


def _seconds_alone(ready: Ready, run: int, seconds: float) -> float:
    lane = LaneAlone(ready, run)
    lane.calibrate(seconds)
    return float(np.median([lane.seconds_per_update() for _ in range(_CLOCK_CALLS)]))
