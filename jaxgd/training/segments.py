"""Segments of a run: how far one call of its program goes, and a run on its way through them."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgd.training import carrying
from jaxgd.training.batching import epoch_order
from jaxgd.training.carrying import Rows, as_history, as_rows
from jaxgd.training.host_orders import orders_from
from jaxgd.training.loop import run_epoch
from jaxgd.training.states import TrainState
from jaxgd.training.trainers import Trainer

# Epoch orders are made for as many epochs at once as fit into this many numbers.
_MAX_ORDERS = 2**24


class Course:
    """A run on its way, its state and its history, from one segment to the next.

    gone: how many examples of all its epochs are behind it, of `whole`. max_orders: how many numbers the
    orders may have that are made at once.
    """

    def __init__(
        self,
        trainer: Trainer,
        key: jax.Array,
        epochs: int,
        state: TrainState,
        history: dict[str, Any],
        gone: int = 0,
        max_orders: int = _MAX_ORDERS,
    ):
        self.trainer, self.key, self.epochs = trainer, key, epochs
        self.state, self.history, self.gone = state, history, gone
        self.num = trainer.problem.num_examples
        self.whole, self.max_orders = epochs * self.num, max_orders
        self._first, self._orders = 0, None

    def go_to(self, end: int) -> None:
        """Move on to where so many examples are behind it; the program takes over the state's memory."""
        while self.gone < end:
            first, orders = self.orders_of(self.gone // self.num)
            to = min(end, (first + len(orders)) * self.num)
            part = extent(self.gone, to, self.num)
            self.state, self.history = segment(self.trainer, self.state, self.history, orders, first, part)
            self.gone = to

    def orders_of(self, epoch: int) -> tuple[int, jax.Array]:
        """`(first, orders)`: the block of epoch orders that holds `epoch`, and the epoch of its first."""
        block = max(1, min(self.epochs, self.max_orders // self.num))
        first = epoch // block * block
        if self._orders is None or self._first != first:
            sampling = self.trainer.order_sampling
            self._first, self._orders = first, orders_from(self.key, first, block, self.num, sampling)
        return self._first, self._orders


class Extent(NamedTuple):
    """How far a segment goes on the clock of examples, from where the state stands.

    begin: examples of its first epoch that have been used. epochs: how many epochs it touches. end: examples
    of the last of them that will have been used; the epoch ends if they are the number of training examples.
    evaluate: False leaves the history's floats empty, for runs that are timed.

    All are values of the program. So one program serves every segment, and since XLA does not know the number
    of epochs, loops compile alike wherever a run is cut: its bits are those of the whole run.
    """

    begin: Any
    epochs: Any
    end: Any
    evaluate: Any


def extent(begin: int, end: int, num: int, evaluate: bool = True) -> Extent:
    """The extent from one number of examples to another, later one, in epochs of `num` examples."""
    first, used = divmod(begin, num)
    last = -(-end // num)  # an epoch's end belongs to the epoch
    numbers = used, last - first, end - (last - 1) * num
    return Extent(*map(np.int32, numbers), evaluate=np.bool_(evaluate))


@functools.partial(jax.jit, donate_argnums=(1, 2))
def segment(trainer, state, history, orders, first, extent):
    """`state` and `history` moved on, as a program that takes over their memory; see `advance`."""
    state, rows = advance(trainer, state, as_rows(history), orders, state.epoch - first, extent)
    return state, as_history(trainer, rows)


def advance(
    trainer: Trainer,
    state: TrainState,
    rows: Rows,
    orders: jax.Array | None,
    place: Any,
    extent: Extent,
    in_step: bool = False,
) -> tuple[TrainState, Rows]:
    """State and history moved along the clock of examples.

    Args:
        trainer: the trainer.
        state: where the run stands; its `epoch` says in which epoch that is.
        rows: the history.
        orders: int32[epochs, num_examples], epoch orders; None to make each where it is needed, which
            compiles longer and needs no memory, or where the data come in their order.
        place: where in `orders` that of the state's epoch is; without any, that epoch.
        extent: how far, within the epochs that history and orders have.
        in_step: whether this is vmapped over runs that share `extent`.
    """
    num = trainer.problem.num_examples

    def epoch(index, run):
        state, rows = run
        begin = jnp.where(index == 0, extent.begin, 0)
        end = jnp.where(index == extent.epochs - 1, extent.end, num)
        if trainer.is_fed:
            order = None
        elif orders is None:
            order = epoch_order(state.key, place + index, num, trainer.order_sampling)
        else:
            order = jax.lax.dynamic_index_in_dim(
                orders, place + index, 0, keepdims=False, allow_negative_indices=False
            )
        return run_epoch(trainer, state, rows, order, begin, end, extent.evaluate, in_step)

    return carrying.fori_loop(0, extent.epochs, epoch, (state, rows))
