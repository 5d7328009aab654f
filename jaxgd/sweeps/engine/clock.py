"""What an update costs, measured alone: the clock for comparisons at equal seconds."""

import time
from collections.abc import Mapping

import jax
import numpy as np

from jaxgd.machine.interrupts import Interrupts
from jaxgd.sweeps.engine.driver import Driver
from jaxgd.sweeps.groups import largest_batch
from jaxgd.sweeps.lanes.slots import Occupancy
from jaxgd.sweeps.planning.costs import num_bytes
from jaxgd.training.segments import extent

# Timing updates alone takes about this part of the time that running took, and no less than one call.
_CLOCK_PART = 0.05
_CLOCK_CALLS = 3
# Of the time that a call is expected to take: from the first on it was disturbed; from the second on calls
# cost nothing by themselves.
_DISTURBED, _SAME = 1.5, 0.8
# A call of so many times the seconds that were asked for is not made longer.
_LONG = 10


def seconds_alone(
    driver: Driver, places: Mapping[int, int], run_seconds: float, interrupts: Interrupts
) -> dict[int, float]:
    """Seconds of an update at each batch size, of the run that has this place in the driver's group.

    run_seconds: that all runs of the program took. interrupts: when a signal comes, sizes are left out.
    """
    part = min(_CLOCK_PART * run_seconds / len(places) / _CLOCK_CALLS, driver.call_seconds)
    found = {}
    for size, place in places.items():
        if not interrupts:
            found[size] = _seconds_alone(LaneAlone(driver, place), part)
    return found


def _seconds_alone(lane: "LaneAlone", seconds: float) -> float:
    lane.calibrate(seconds)
    return float(np.median([lane.seconds_per_update() for _ in range(_CLOCK_CALLS)]))


class LaneAlone:
    """One run of a driver's group, alone on the first device, timed without evaluation."""

    def __init__(self, driver: Driver, run: int = 0):
        self.executable, self.num, self.longest = driver.executable, driver.num, driver.epochs
        inputs, shared = driver.inputs.gather([run] * driver.recipe.slots), driver.inputs.shared
        first = np.arange(driver.recipe.slots) == 0
        self.slots = driver.empty_slots()
        placed = zip((shared, inputs), driver.shardings, strict=False)
        self.arguments = [jax.device_put(x, sharding) for x, sharding in placed]
        self.occupancy = Occupancy.of(first, first, driver.recipe.devices, driver.recipe.width)
        self.batch = largest_batch(driver.group.runs[run].trainer)
        self.examples = self.longest * self.num
        one = jax.tree.map(lambda x: x[0], inputs)
        self.bytes = num_bytes(shared) + num_bytes(one) + num_bytes(one.params)
        self.bytes += driver.executable.memory_analysis().temp_size_in_bytes

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
        self.slots = self.executable(*self.arguments, self.slots, self.occupancy, end)
        updates = self.slots.packed.counts_on_host()["updates"]
        return time.perf_counter() - begun, int(updates[0])
