"""A program at work: lanes move through its slots in segments, and leave as they end."""

import collections
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgd.machine.kept import Kept
from jaxgd.sweeps.blocks import Block
from jaxgd.sweeps.engine.programs import Compiled
from jaxgd.sweeps.lanes.inputs import Inputs
from jaxgd.sweeps.lanes.slots import Occupancy, Slots
from jaxgd.sweeps.planning.costs import num_bytes
from jaxgd.sweeps.planning.plans import Program, Recipe
from jaxgd.training.segments import extent
from jaxgd.training.states import RUNNING


class Ended(NamedTuple):
    """What a sweep's sinks are told: of a call, or of a program when all of its runs have ended.

    block: the runs that ended in the call, None where none did. examples: how many it is done with, those
    that stopped runs skip included. took: the program with what it took. seconds_per_update: of runs that
    were timed alone before, by their places. at_work: what moved the runs.
    """

    block: Block | None = None
    examples: int = 0
    took: Program | None = None
    seconds_per_update: Mapping[int, float] = {}
    at_work: "AtWork | None" = None


class AtWork(NamedTuple):
    """A program with its runs, and the driver that moves them, at rest between two calls."""

    program: Program
    driver: "Driver"


class Snapshot(NamedTuple):
    """All of a driver between two calls that its runs need to go on, on the host.

    slots: the leaves of those of its slots that hold lanes. lane_of: the lane in each slot, -1 for none.
    epoch_of: the epoch of each. used: examples of the epoch that are done. done: lanes that have ended.
    """

    slots: list[np.ndarray]
    lane_of: np.ndarray
    epoch_of: np.ndarray
    used: int
    done: np.ndarray


# Slots that no driver has any more, with the program that holds its id, up to so many bytes on all devices:
# old lanes, of which nothing is read, since a lane that begins gets a state of its own.
_SPARES = Kept(2**24, lambda spare: num_bytes(spare[1]))
# Arrays that runs shared, with the arrays as they were given, which hold their ids, up to so many bytes.
_SHARED = Kept(2**24, lambda shared: num_bytes(shared[1]))


class Driver:
    """Moves the lanes of a group through the slots of its program, which is compiled.

    A slot whose lane has ended gets the next one: lanes that stop early cost nothing from then on. All lanes
    stand at the same place within their epochs, so a new one comes in at an epoch's end. Slots that move at
    once hold lanes of one batch size.

    What it holds between two calls, all of which a run could go on from: `slots` on the devices, the lane and
    the epoch of each (`lane_of`, `epoch_of`), the lanes that wait, and the examples `used` of the epoch. How
    many lanes (`places`) and examples (`length`) the next call takes is pace: no number depends on it.
    """

    # That one call aims at, so that progress shows and Ctrl-C is heard.
    call_seconds = 0.5

    def __init__(self, inputs: Inputs, recipe: Recipe, compiled: Compiled, compile_seconds: float = 0.0):
        self.inputs, self.recipe = inputs, recipe
        self.executable, self.digest = compiled
        self.compile_seconds = compile_seconds
        self.group, self.num, self.epochs = inputs.group, inputs.num, inputs.epochs
        self.shardings = self.executable.input_shardings[0]

    def run(self, expected_seconds: float, snapshot: Snapshot | None = None) -> Iterator[Ended]:
        """What each call brings, until every run has ended; all should take so many seconds together.

        snapshot: of a driver of the same group and recipe, to go on from.
        """
        self._begin(expected_seconds * self.recipe.devices / len(self.group.runs))
        if snapshot is not None:
            self._restore(snapshot)
        try:
            while any(self.waiting.values()) or any(lane is not None for lane in self.lane_of):
                yield self.call()
            _SPARES.put(id(self.executable), (self.executable, self.slots))
        finally:
            del self.slots, self.given, self.shared  # memory that a smaller program may need

    def _shared(self) -> list[Any]:
        """What all runs share, on every device; arrays that nobody can change are not put there twice."""
        arrays = self.inputs.shared
        put = lambda: (arrays, jax.device_put(arrays, self.shardings[0]) if arrays else [])  # noqa: E731
        if not all(isinstance(array, jax.Array) for array in arrays):
            return put()[1]
        return _SHARED.get((*map(id, arrays), *self.shardings[0]), put)[1]

    def empty_slots(self) -> Slots:
        """Slots without lanes, on the devices: those of an earlier driver where it left any."""
        if spare := _SPARES.pop(id(self.executable)):
            return spare[1]
        shapes = self.executable.args_info[0][2]
        return jax.device_put(jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes), self.shardings[2])

    def snapshot(self) -> Snapshot:
        """What `run` can go on from, to the same bits."""
        lane_of = np.array([-1 if lane is None else lane for lane in self.lane_of])
        if np.any(lane_of >= 0):
            slots = [leaf[lane_of >= 0] for leaf in jax.device_get(jax.tree.leaves(self.slots))]
        else:
            slots = [np.zeros(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(self.inputs.slots(0))]
        left = {*lane_of.tolist(), *(lane for queue in self.waiting.values() for lane in queue)}
        done = np.array([lane for lane in range(len(self.group.runs)) if lane not in left], int)
        return Snapshot(slots, lane_of, self.epoch_of.copy(), self.used, done)

    def _restore(self, snapshot: Snapshot) -> None:
        """Stand where the driver stood whose snapshot it is."""
        gone = {*snapshot.lane_of.tolist(), *snapshot.done.tolist()}
        for choice, queue in self.waiting.items():
            self.waiting[choice] = collections.deque(lane for lane in queue if lane not in gone)
        self.lane_of = [None if lane < 0 else lane for lane in snapshot.lane_of.tolist()]
        self.epoch_of, self.used = snapshot.epoch_of.copy(), snapshot.used
        leaves, structure = jax.tree.flatten(self.slots)
        slots = [np.zeros(leaf.shape, leaf.dtype) for leaf in leaves]
        for whole, part in zip(slots, snapshot.slots, strict=True):
            whole[snapshot.lane_of >= 0] = part
        self.slots = jax.device_put(jax.tree.unflatten(structure, slots), self.shardings[2])
        if any(lane is not None for lane in self.lane_of):
            self._give()

    def _begin(self, expected_seconds: float) -> None:
        """No lane is on its way; one should take so many seconds."""
        self.waiting = self._all_waiting()
        self.lane_of: list[int | None] = [None] * self.recipe.slots
        self.epoch_of = np.zeros(self.recipe.slots, int)
        self.used = 0
        self.shared = self._shared()
        self.slots, self.given = self.empty_slots(), None
        # Nothing is known yet: as many whole runs as should take a part of a call, or one run's first epoch.
        together = int(self.call_seconds / 4 / max(expected_seconds, 1e-6))
        self.places = self.recipe.lanes if self.recipe.kind == "vmap" else self._whole(together)
        self.length = self.epochs * self.num if expected_seconds < self.call_seconds else self.num

    def call(self) -> Ended:
        """One segment."""
        fresh = self.fill() if self.used == 0 else np.zeros(len(self.lane_of), bool)
        active = np.array([lane is not None for lane in self.lane_of])
        moved = self._moved(active)
        started = time.perf_counter()
        part = extent(self.used, self.used + moved, self.num)
        occupancy = Occupancy.of(active, fresh, self.recipe.devices, self.recipe.width)
        self.slots = self.executable(self.shared, self.given, self.slots, occupancy, part)
        counts = self.inputs.counts(self.slots)
        status, epoch = counts["status"], counts["epoch"]
        self._pace(time.perf_counter() - started, moved, int(active.sum()))
        self.used = (self.used + moved) % self.num
        gone = np.minimum(epoch, self.epochs) - self.epoch_of
        self.epoch_of = np.where(active, epoch, 0)
        if self.used:
            return Ended()
        ended = np.flatnonzero(active & ((status != RUNNING) | (epoch >= self.epochs)))
        skipped = (self.epochs - epoch)[ended].clip(0).sum()
        return Ended(self._collect(ended, counts), int(gone[active].sum() + skipped) * self.num)

    def _moved(self, active: np.ndarray) -> int:
        """How many examples a call goes on by: to within an epoch, or whole epochs.

        Such as 300 of 1,000 examples: 300, and from there at most the 700 that are left of the epoch. Of
        2,500 from an epoch's start, two whole epochs. Lanes in turn each stop at their own end; at once, none
        may go further than the one that ends first.
        """
        left = int((self.epochs - self.epoch_of[active]).min()) * self.num - self.used
        is_in_turn = self.recipe.kind == "map"
        most = (self.epochs * self.num if is_in_turn else left) if self.used == 0 else self.num - self.used
        moved = min(self.length, most)
        return moved // self.num * self.num if moved > self.num - self.used else moved

    def _pace(self, seconds: float, moved: int, num_active: int) -> None:
        """Choose how many lanes and how many examples the next calls take.

        In turn, such as 4 lanes on 2 devices that took 0.1 s for an epoch of 1,000 examples, of 10: a device
        moved 2, so that of whole runs, 1 s for both, it takes one in a call of half a second.
        """
        per_example = max(seconds, 1e-4) / moved
        wanted = int(self.call_seconds / per_example)
        whole = self.epochs * self.num
        if self.recipe.kind == "map":
            together = -(-num_active // self.recipe.devices)
            lanes = int(self.call_seconds / (per_example * whole) * together)
            self.places = self._whole(min(lanes, 2 * together))
            wanted *= together
            self.length = whole if lanes >= 1 else wanted
        else:
            self.length = min(wanted, 4 * self.length)
        if self.length >= self.num:
            self.length = self.length // self.num * self.num
        self.length = max(1, self.length)

    def _whole(self, places: int) -> int:
        """So many slots of a device, rounded up to what moves at once, and no more than there are."""
        width, lanes = self.recipe.width, self.recipe.lanes
        return min(lanes, -(-max(1, places) // width) * width)

    def fill(self) -> np.ndarray:
        """Which slots got a new lane: as many as there are free and as are wanted on each device."""
        fresh, lanes = np.zeros(len(self.lane_of), bool), self.recipe.lanes
        for place in range(self.places):  # dealt out in turn, so that each device has as many
            for slot in range(place, len(self.lane_of), lanes):
                for free in self._free(slot):
                    queue = self._queue(free)
                    if queue:
                        self.lane_of[free] = queue.popleft()
                        self.epoch_of[free], fresh[free] = 0, True
        if fresh.any():
            self._give()
        return fresh

    def _give(self) -> None:
        """Have the inputs of the lanes in the slots on the devices; in an empty slot those of another."""
        present = next(lane for lane in self.lane_of if lane is not None)
        filled = [
            next(self._beside(slot), present) if lane is None else lane
            for slot, lane in enumerate(self.lane_of)
        ]
        lanes, places = np.unique(filled, return_inverse=True)
        if len(lanes) == len(filled):
            inputs = self.inputs.gather(filled)
        else:  # each once, however many slots are empty
            inputs = jax.tree.map(lambda x: x[places], self.inputs.gather(lanes.tolist()))
        self.given = jax.device_put(inputs, self.shardings[1])

    def _beside(self, slot: int) -> Iterator[int]:
        """The lanes in the slots that move at once with this one."""
        width = self.recipe.width
        begin = slot // width * width
        return (lane for lane in self.lane_of[begin : begin + width] if lane is not None)

    def _free(self, slot: int) -> Sequence[int]:
        """The slots that lanes may come into, with this one: where they share batches, all or none."""
        if not self.recipe.shares_batches:
            return [slot] if self.lane_of[slot] is None else []
        width = self.recipe.width
        beside = range(slot // width * width, (slot // width + 1) * width)
        return beside if all(self.lane_of[each] is None for each in beside) else []

    def _queue(self, slot: int) -> collections.deque[int] | None:
        """The waiting lanes of which one may come into a free slot."""
        beside = next(self._beside(slot), None)
        if beside is None:
            return next(filter(None, self.waiting.values()), None)
        return self.waiting[self._alike(beside)]

    def _all_waiting(self) -> dict[tuple[int, int], collections.deque[int]]:
        """The lanes by batch size, in the order in which they come in: devices then end together.

        Of several batch sizes in one program, the smallest make the most updates.
        """
        waiting = collections.defaultdict(collections.deque)
        for lane in range(len(self.group.runs)):
            waiting[self._alike(lane)].append(lane)
        return dict(sorted(waiting.items()))

    def _alike(self, lane: int) -> tuple[int, int]:
        """What lanes that move at once have in common: the batch size, and the seed if they share batches."""
        return self.choice(lane), self.group.runs[lane].seed if self.recipe.shares_batches else 0

    def choice(self, lane: int) -> int:
        """A lane's batch size, or its place among the sizes in their order; 0 where all have the same."""
        if not self.recipe.branches and self.recipe.microbatch is None:
            return 0
        return self.inputs.choices[lane]

    def _collect(self, ended: np.ndarray, counts: dict[str, np.ndarray]) -> Block | None:
        """The runs in these slots, which are free from now on; None where there are none."""
        if not len(ended):
            return None
        lanes = [lane for slot in ended.tolist() if (lane := self.lane_of[slot]) is not None]
        for slot in ended.tolist():
            self.lane_of[slot] = None
        return self.inputs.block(self.slots, ended, counts, lanes)
