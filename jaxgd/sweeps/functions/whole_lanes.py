"""What a program of a function is given, how it runs a lane, and what its runs give."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.sweeps.blocks import Block
from jaxgd.sweeps.functions.routines import Routine, TracedRoutine
from jaxgd.sweeps.groups import Group
from jaxgd.sweeps.lanes.inputs import Inputs
from jaxgd.sweeps.lanes.slots import LaneInputs, Occupancy, stacked
from jaxgd.sweeps.lanes.sources import Sources
from jaxgd.sweeps.runs import Run
from jaxgd.training.segments import Extent
from jaxgd.training.states import RUNNING


def inputs_of(group: Group, sources: Sources) -> Inputs:
    """The inputs of a group's program, by what its runs are."""
    kind = FunctionInputs if isinstance(group.first, Routine) else Inputs
    return kind(group, sources)


class FunctionInputs(Inputs):
    """What the program of a function is given, what it does with a lane, and what its slots then hold.

    A call runs a lane from its beginning to its end, one epoch of one example on the clock of segments. Its
    slot holds what the function has returned.
    """

    counted = "runs"

    def __init__(self, group: Group, sources: Sources):
        self.group, self.sources, self.shared = group, sources, []
        self.num = self.epochs = 1

    @functools.cached_property
    def traced(self) -> TracedRoutine:
        """The function as it was traced."""
        return self.group.cohort.first.traced

    @property
    def key(self) -> Any:
        """What tells the group's program from others, besides its recipe: hashable."""
        return self.group.cohort.key

    @property
    def place_of_choice(self) -> int | None:
        """None: there are no batch sizes to choose from."""
        return None

    def make(self, run: Run) -> None:
        """Make what a run begins with: its key."""
        self.sources.key_data(run)

    def check(self) -> None:
        """Nothing: a function has been checked as it was traced."""

    def begins_with(self, run: Run) -> Any:
        """What a run begins with, besides the numbers of its routine."""
        return (self.sources.key_data(run),)

    def gather(self, runs: Sequence[int]) -> LaneInputs:
        """The inputs of these runs of the group, by their places in it."""
        return LaneInputs(
            leaves=[column.stacked(runs) for column in self.group.columns],
            key_data=stacked([self.sources.key_data(self.group.runs[run]) for run in runs]),
            params=None,
            orders=None,
        )

    def shapes(self, lanes: int) -> LaneInputs:
        """Shapes and dtypes of the inputs of so many lanes."""
        one = self.gather([0])
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((lanes, *x.shape[1:]), x.dtype), one)

    def slots(self, lanes: int) -> Any:
        """Shapes and dtypes of what so many lanes return."""
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((lanes, *x.shape), x.dtype), self.traced.shapes)

    def move(
        self,
        in_step: bool,
        shared: list[Any],
        extent: Extent,
        place: Any,
        lane: LaneInputs,
        slot: Any,
        occupancy: Occupancy,
    ) -> Any:
        """What a lane returns; a slot without one keeps what it holds."""
        returned = self.traced.call(jax.random.wrap_key_data(lane.key_data), lane.leaves)
        return jax.tree.map(lambda new, old: jnp.where(occupancy.active, new, old), returned, slot)

    def epochs_gone(self, slots: Any, occupancy: Occupancy) -> jax.Array:
        """Epochs that lanes have behind them: none, since all are at their beginning."""
        return jnp.zeros(occupancy.active.shape, jnp.int32)

    def counts(self, slots: Any) -> dict[str, np.ndarray]:
        """What a call has come to in each slot, on the host: the end."""
        num = len(jax.tree.leaves(jax.block_until_ready(slots))[0])
        return {"status": np.full(num, RUNNING), "epoch": np.ones(num, np.int32)}

    def block(self, slots: Any, ended: np.ndarray, counts: dict[str, np.ndarray], lanes: list[int]) -> Block:
        """What the runs in the slots that have ended give; `lanes` are their places in the group."""
        values = jax.tree.map(lambda x: x[ended], jax.device_get(slots))
        returns = self.traced.returns
        history = returns.history(values)
        status, stopped_at = returns.how_ended(history)
        return Block(
            places=np.array([self.group.runs[lane].index for lane in lanes]),
            history=history,
            status=status,
            stopped_at=stopped_at,
            kept_epoch=None,
            states=returns.states(values),
        )
