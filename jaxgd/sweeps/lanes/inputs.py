"""What a program of trainers is given, how it moves a lane, and what its runs give."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.pytrees import shape_of
from jaxgd.sweeps.blocks import Block, StackedStates
from jaxgd.sweeps.groups import Group
from jaxgd.sweeps.lanes.slots import LaneInputs, Occupancy, Slots, stacked
from jaxgd.sweeps.lanes.sources import Sources
from jaxgd.sweeps.runs import Run
from jaxgd.training import carrying
from jaxgd.training.carrying import COUNTS, as_history, carried, empty_rows
from jaxgd.training.loop import finish, initial_state
from jaxgd.training.problems.coupling import check_coupling
from jaxgd.training.rules.rule import kept_epochs
from jaxgd.training.segments import Extent, advance
from jaxgd.training.states import RUNNING, Moving


class Inputs:
    """What the program of a group is given, what it does with a lane, and what its slots then hold.

    These are trainers, whose runs move a segment in each call. `FunctionInputs` has the same of functions,
    which run whole: the programs and the driver know no difference.

    Attributes:
        num, epochs: the clock that segments are cut by: examples of an epoch, and epochs of a run.
        counted: what that clock counts, in words.
    """

    counted = "examples"

    def __init__(self, group: Group, sources: Sources):
        self.group, self.sources = group, sources
        self.shared = list(group.shared.values())
        self.num, self.epochs = group.num_examples, sources.epochs

    @property
    def key(self) -> Any:
        """What tells the group's program from others, besides its recipe: hashable."""
        group, run = self.group, self.group.runs[0]
        start = None if run.start is None else shape_of(run.start)
        return group.cohort.key, tuple(group.shared), start, self.epochs, self.sources.has_orders(run)

    def make(self, run: Run) -> None:
        """Make what a run begins with."""
        self.sources.make(run)

    def check(self) -> None:
        """Raise ValueError if the group's problem does not say that its examples are coupled."""
        first = self.group.first
        size = getattr(first.batch_size, "value", None)
        check_coupling(first.problem, self.sources.params(self.group.runs[0]), size)

    def begins_with(self, run: Run) -> Any:
        """What a run begins with, besides the leaves of its trainer."""
        return self.sources.key_data(run), self.sources.params(run), run.start

    @functools.cached_property
    def choices(self) -> list[int]:
        """Of each run its batch size, or its place among several, where that is a number."""
        column = self.group.column(lambda trainer: trainer.batch_size)
        return [int(column[run]) for run in range(len(self.group.runs))]

    @property
    def place_of_choice(self) -> int | None:
        """Where among a lane's leaves its index among several batch sizes is; None where it has none."""
        return self.group.place_of_choice

    def gather(self, runs: Sequence[int]) -> LaneInputs:
        """The inputs of these runs of the group, by their places in it."""
        members = [self.group.runs[run] for run in runs]
        rests = {id(run.start): _rest(run) for run in members}
        trees = (
            (self.sources.params(run), self.sources.orders(run), rests[id(run.start)]) for run in members
        )
        params, orders, start = map(stacked, zip(*trees, strict=True))
        return LaneInputs(
            leaves=[column.stacked(runs) for column in self.group.columns],
            key_data=stacked([self.sources.key_data(run) for run in members]),
            params=params,
            orders=orders,
            start=start,
        )

    def shapes(self, lanes: int) -> LaneInputs:
        """Shapes and dtypes of the inputs of so many lanes."""
        run, epochs = self.group.runs[0], self.sources.epochs
        key_data, params = self.sources.shapes(run)
        orders = jax.ShapeDtypeStruct((epochs, self.group.num_examples), np.int32)
        has_orders = self.sources.has_orders(run)
        leaves = [column[0] for column in self.group.columns]
        one = LaneInputs(leaves, key_data, params, orders if has_orders else None, _rest(run))
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((lanes, *np.shape(x)), jnp.result_type(x)), one)

    def slots(self, lanes: int) -> Slots:
        """Shapes and dtypes of so many lanes on their way."""
        one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), self.shapes(1))
        slot = jax.eval_shape(
            lambda shared, lane: initial_slot(self.group, self.sources.epochs, shared, lane), self.shared, one
        )
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((lanes, *x.shape), x.dtype), slot)

    def move(
        self,
        in_step: bool,
        shared: list[Any],
        extent: Extent,
        place: Any,
        lane: LaneInputs,
        slot: Slots,
        occupancy: Occupancy,
    ) -> Slots:
        """A lane moved on. `place`: its epoch where that is known to be the one of others, else None."""
        group, epochs = self.group, self.epochs
        trainer = group.trainer(lane.leaves, shared)
        key = jax.random.wrap_key_data(lane.key_data)
        begun = lambda: initial_slot(group, epochs, shared, lane)  # noqa: E731
        slot = jax.lax.cond(occupancy.fresh, begun, lambda: slot)
        if not in_step:  # a lane ends after its last epoch, whichever the others are in
            left = epochs - slot.packed.count("epoch")
            extent = extent._replace(epochs=jnp.minimum(extent.epochs, left))
        place = slot.packed.count("epoch") if place is None else place

        def moved(state, rows):
            state, rows = advance(trainer, state, rows, lane.orders, place, extent, in_step)
            if trainer.rules:
                has_ended = (state.status != RUNNING) | (state.epoch == epochs)
                is_over = (extent.end == group.num_examples) & has_ended
                state = carrying.cond(is_over, functools.partial(finish, trainer), state)
            return state, rows

        return Slots(*carrying.moved(moved, slot.packed, slot.rows, key))

    def epochs_gone(self, slots: Slots, occupancy: Occupancy) -> jax.Array:
        """Epochs that lanes have behind them, 0 in slots without one."""
        gone = jnp.where(occupancy.fresh, 0, slots.packed.count("epoch"))
        return jnp.where(occupancy.active, gone, 0)

    def counts(self, slots: Slots) -> dict[str, np.ndarray]:
        """What a call has come to in each slot, on the host: its `status` and `epoch` among others."""
        return slots.packed.counts_on_host()

    def block(
        self, slots: Slots, ended: np.ndarray, counts: dict[str, np.ndarray], lanes: list[int]
    ) -> Block:
        """What the runs in the slots that have ended give; `lanes` are their places in the group."""
        moving = slots.packed.moving
        on_host = jax.device_get((moving.params, moving.model_state, slots.rows))
        params, model_state, rows = jax.tree.map(lambda x: x[ended], on_host)
        kept = kept_epochs(self.group.first.rules, moving.rules)
        return Block(
            places=np.array([self.group.runs[lane].index for lane in lanes]),
            history=_completed(as_history(self.group.first, rows), counts["epoch"][ended]),
            status=counts["status"][ended],
            stopped_at=counts["stopped_at"][ended],
            kept_epoch=None if kept is None else kept[ended],
            states=StackedStates((params, model_state), len(ended)),
        )


def _rest(run: Run) -> Moving | None:
    return None if run.start is None else run.start._replace(params=None)


def initial_slot(group: Group, epochs: int, shared: list[Any], lane: LaneInputs) -> Slots:
    """A lane at its start."""
    trainer = group.trainer(lane.leaves, shared)
    key = jax.random.wrap_key_data(lane.key_data)
    return Slots(*carried(initial_state(trainer, key, lane.params, lane.start), empty_rows(trainer, epochs)))


def _completed(history: dict[str, np.ndarray], epochs: np.ndarray) -> dict[str, np.ndarray]:
    """The history of runs that have ended after so many epochs, their counts carried on over those after."""
    places = np.minimum(np.arange(history[COUNTS[0]].shape[1]), epochs[:, None] - 1)
    return history | {name: np.take_along_axis(history[name], places, axis=1) for name in COUNTS}
