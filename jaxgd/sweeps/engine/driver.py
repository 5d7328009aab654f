"""A program at work: lanes move through its slots in segments, and leave as they end."""

import collections
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxgd.sweeps.engine.programs import Ready
from jaxgd.sweeps.lanes import Occupancy, Slots
from jaxgd.sweeps.results.dataset import LaneResults
from jaxgd.sweeps.runs import Run
from jaxgd.training.carrying import COUNTS, as_history, count_of
from jaxgd.training.fitting import extent
from jaxgd.training.progress import Progress
from jaxgd.training.rules.rule import kept_epochs
from jaxgd.training.states import RUNNING

# Seconds that one call of a program aims at, so that progress shows and Ctrl-C is heard.
_CALL_SECONDS = 0.5


def run_unit(ready: Ready, expected_seconds: float, shown: Progress) -> Iterator[tuple[Run, LaneResults]]:
    """Each run of the group with its results, as it ends; all should take so many seconds together."""
    work = _Work(ready, expected_seconds * ready.recipe.devices / len(ready.group.runs))
    while work.is_left:
        ended, examples = work.call()
        yield from ended
        shown.advance(len(ended), examples, _best([results for _, results in ended]))


class _Work:
    """The lanes of a group on their way through the slots of its program.

    A slot whose lane has ended gets the next one: lanes that stop early cost nothing from then on. All lanes
    stand at the same place within their epochs, so a new one comes in at an epoch's end. Slots that move at
    once hold lanes of one batch size.
    """

    def __init__(self, ready: Ready, expected_seconds: float):
        self.ready, self.num = ready, ready.group.num_examples
        self.epochs = ready.inputs.sources.epochs
        self.waiting = _waiting(ready)
        self.lane_of: list[int | None] = [None] * ready.recipe.slots
        self.epoch_of = np.zeros(ready.recipe.slots, int)
        self.shardings = ready.program.input_shardings[0]
        self.shared = jax.device_put(ready.inputs.shared, self.shardings[0]) if ready.inputs.shared else []
        self.slots = empty_slots(ready)
        self.inputs: Any = None
        self.used = 0  # examples of the present epoch
        # Nothing is known yet: as many whole runs as should take a part of a call, or one run's first epoch.
        together = int(_CALL_SECONDS / 4 / max(expected_seconds, 1e-6))
        self.places = ready.recipe.lanes if ready.recipe.kind == "vmap" else self._whole(together)
        self.length = self.epochs * self.num if expected_seconds < _CALL_SECONDS else self.num

    @property
    def is_left(self) -> bool:
        """Whether a lane is on its way or waits."""
        return any(self.waiting.values()) or any(lane is not None for lane in self.lane_of)

    def call(self) -> tuple[list[tuple[Run, LaneResults]], int]:
        """The runs that end in one segment, with their results, and how many examples are done with."""
        fresh = self._fill() if self.used == 0 else np.zeros(len(self.lane_of), bool)
        active = np.array([lane is not None for lane in self.lane_of])
        left = int((self.epochs - self.epoch_of[active]).min()) * self.num - self.used
        is_in_turn = self.ready.recipe.kind == "map"
        most = (self.epochs * self.num if is_in_turn else left) if self.used == 0 else self.num - self.used
        moved = min(self.length, most)
        if moved > self.num - self.used:
            moved = moved // self.num * self.num
        started = time.perf_counter()
        self.slots = self.ready.program(
            self.shared,
            self.inputs,
            self.slots,
            Occupancy(active, fresh),
            extent(self.used, self.used + moved, self.num),
        )
        counts = jax.device_get(self.slots.packed.counts)
        status, epoch = count_of(counts, "status"), count_of(counts, "epoch")
        self._pace(time.perf_counter() - started, moved, int(active.sum()))
        self.used = (self.used + moved) % self.num
        gone = np.minimum(epoch, self.epochs) - self.epoch_of
        self.epoch_of = np.where(active, epoch, 0)
        if self.used:
            return [], 0
        ended = np.flatnonzero(active & ((status != RUNNING) | (epoch >= self.epochs)))
        skipped = (self.epochs - epoch)[ended].clip(0).sum()
        return self._collect(ended, counts), int(gone[active].sum() + skipped) * self.num

    def _whole(self, places: int) -> int:
        """So many slots of a device, rounded up to what moves at once, and no more than there are."""
        width, lanes = self.ready.recipe.width, self.ready.recipe.lanes
        return min(lanes, -(-max(1, places) // width) * width)

    def _fill(self) -> np.ndarray:
        """Which slots got a new lane: as many as there are free and as are wanted on each device."""
        fresh, lanes = np.zeros(len(self.lane_of), bool), self.ready.recipe.lanes
        for place in range(self.places):  # dealt out in turn, so that each device has as many
            for slot in range(place, len(self.lane_of), lanes):
                queue = self._queue(slot) if self.lane_of[slot] is None else None
                if queue:
                    self.lane_of[slot] = queue.popleft()
                    self.epoch_of[slot], fresh[slot] = 0, True
        if fresh.any():
            present = next(lane for lane in self.lane_of if lane is not None)
            filled = [
                next(self._beside(slot), present) if lane is None else lane
                for slot, lane in enumerate(self.lane_of)
            ]
            self.inputs = jax.device_put(self.ready.inputs.gather(filled), self.shardings[1])
        return fresh

    def _beside(self, slot: int) -> Iterator[int]:
        """The lanes in the slots that move at once with this one."""
        width = self.ready.recipe.width
        begin = slot // width * width
        return (lane for lane in self.lane_of[begin : begin + width] if lane is not None)

    def _queue(self, slot: int) -> collections.deque[int] | None:
        """The waiting lanes of which one may come into a free slot."""
        beside = next(self._beside(slot), None)
        if beside is None:
            return next(filter(None, self.waiting.values()), None)
        return self.waiting[_choice(self.ready, beside)]

    def _pace(self, seconds: float, moved: int, num_active: int) -> None:
        """Choose how many lanes and how many examples the next calls take."""
        per_example = max(seconds, 1e-4) / moved
        wanted = int(_CALL_SECONDS / per_example)
        recipe, whole = self.ready.recipe, self.epochs * self.num
        if recipe.kind == "map":
            together = -(-num_active // recipe.devices)
            lanes = int(_CALL_SECONDS / (per_example * whole) * together)
            self.places = self._whole(min(lanes, 2 * together))
            wanted *= together
            self.length = whole if lanes >= 1 else wanted
        else:
            self.length = min(wanted, 4 * self.length)
        if self.length >= self.num:
            self.length = self.length // self.num * self.num
        self.length = max(1, self.length)

    def _collect(self, ended: np.ndarray, counts: np.ndarray) -> list[tuple[Run, LaneResults]]:
        if not len(ended):
            return []
        moving, runs = self.slots.packed.moving, self.ready.group.runs
        params, model_state, rows = jax.device_get((moving.params, moving.model_state, self.slots.rows))
        kept = kept_epochs(runs[0].trainer.rules, moving.rules)
        history = as_history(rows)
        status, stopped_at = count_of(counts, "status"), count_of(counts, "stopped_at")
        on_host = LaneResults(params, model_state, history, status, stopped_at, kept)
        found = []
        for slot in ended:
            results = jax.tree.map(lambda x, slot=slot: x[slot].copy(), on_host)
            epoch = int(count_of(counts, "epoch")[slot])
            found.append((runs[self.lane_of[slot]], _completed(results, epoch)))
            self.lane_of[slot] = None
        return found


def _waiting(ready: Ready) -> dict[int, collections.deque[int]]:
    """The lanes by batch size, in the order in which they come in: devices then end together.

    Of several batch sizes in one program, the smallest make the most updates.
    """
    waiting = collections.defaultdict(collections.deque)
    for lane in range(len(ready.group.runs)):
        waiting[_choice(ready, lane)].append(lane)
    return dict(sorted(waiting.items()))


def _choice(ready: Ready, lane: int) -> int:
    """A lane's batch size, or its place among the sizes in their order; 0 where all have the same."""
    if not ready.recipe.branches and ready.recipe.microbatch is None:
        return 0
    return int(jax.tree.leaves(ready.group.runs[lane].trainer.batch_size)[0])


def empty_slots(ready: Ready) -> Slots:
    """Slots without lanes, on the devices."""
    shapes = ready.inputs.slots(ready.recipe.slots)
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    return jax.device_put(zeros, ready.program.input_shardings[0][2])


def _completed(results: LaneResults, epoch: int) -> LaneResults:
    """The results of a run that stopped, its counts carried on over the epochs after."""
    for name in COUNTS:
        results.history[name][epoch:] = results.history[name][epoch - 1]
    return results


def _best(results: Sequence[LaneResults]) -> float | None:
    """The lowest loss that a run ended with: on validation data where there are any."""
    name = "valid_loss" if results and "valid_loss" in results[0].history else "train_loss"
    losses = [float(each.history[name][-1]) for each in results]
    return min((loss for loss in losses if loss == loss), default=None)
