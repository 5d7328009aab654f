"""A whole run: `fit`, one pure function, and the segments that it and a sweep are driven in."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.arguments import as_integer
from jaxgd.machine.compiling import quick_jit
from jaxgd.machine.switches import Checks, own_programs
from jaxgd.optim.trees.parameters import check_trainable
from jaxgd.pytrees import Static, check_unchanged
from jaxgd.training import carrying
from jaxgd.training.batching import epoch_order, epoch_orders, init_key
from jaxgd.training.carrying import Rows, as_history, as_rows, empty_rows
from jaxgd.training.loop import finish, run_epoch
from jaxgd.training.problems.coupling import check_coupling
from jaxgd.training.states import DIVERGED, STATUS_WORDS, TrainState, initial_state
from jaxgd.training.trainers import Trainer

# Epoch orders are made for as many epochs at once as fit into this many numbers.
_MAX_ORDERS = 2**24


class Fit(NamedTuple):
    """A finished run: its last state (`params` and `model_state` are the trained model) and its history.

    history: `{name: array [epochs]}`. train_loss: mean over the epoch's examples as they were used.
    valid_loss and valid_<metric>: after the epoch. updates, examples: cumulative counts. grad_norm: mean over
    the epoch's updates of the L2 norm of the batch gradient. From the epoch in which a run diverges on,
    floats are NaN, and its parameters and optimizer state are those with which that epoch began.
    """

    state: TrainState
    history: dict[str, jax.Array]

    def __repr__(self):
        shape = np.shape(self.state.status)
        runs = f"{shape} runs, " if shape else f"{STATUS_WORDS[int(self.state.status)]}, "
        return f"Fit({runs}history of {', '.join(self.history)}: {self.history['updates'].shape[-1]} epochs)"

    def _repr_html_(self) -> str:
        last = {name: column[..., -1] for name, column in self.history.items()}
        if any(np.ndim(value) for value in last.values()):
            return f"<pre>Fit of {np.shape(self.state.status)} runs</pre>"
        cells = "".join(
            f"<tr><th>{name}</th><td>{float(value):.6g}</td></tr>" for name, value in last.items()
        )
        word = STATUS_WORDS[int(self.state.status)]
        epochs = len(self.history["updates"])
        return f"<table><caption>Fit: {word}, epoch {epochs}</caption>{cells}</table>"


def fit(trainer: Trainer, key: jax.Array, epochs: int) -> Fit:
    """The run of `epochs` epochs that `key` determines: initial parameters, epoch orders and dropout masks.

    It is pure: under `jax.jit`, `vmap` and `jvp` it is one program, and under `grad` too where the batch size
    is structure. Called outside of any transformation it compiles once per structure of `trainer`: another
    learning rate, or any other leaf, compiles nothing.

    Args:
        trainer: as `trainer(...)` builds it.
        key: a PRNG key, `jax.random.key(seed)`. Trainers that differ in batch size alone start from the same
            parameters and see the examples in the same order.
        epochs: 1 or more; an epoch is as many examples as the training data has.

    Raises:
        ValueError: epochs below 1, a loss that does not give one number per example, or a function whose
            globals, or attributes that it reads, have changed since the trainer was made. Outside of any
            transformation also a first loss or gradient that is not finite, and a loss whose examples depend
            on each other though the problem does not say so.
    """
    epochs = check_run(trainer, key, epochs)
    if is_traced((trainer, key)):
        return _fit_traced(trainer, key, epochs)
    num, done = trainer.problem.num_examples, 0
    with own_programs() as checks:
        state, history = begin_run(trainer, key, epochs)
        while done < epochs:
            first, orders = orders_of(trainer, key, done, epochs)
            stop = min(first + len(orders), epochs)
            part = extent(done * num, stop * num, num)
            state, history = segment(trainer, state, history, orders, first, part)
            done = stop
        check_end(trainer, key, epochs, state, history, checks)
        return Fit(finished(trainer, state) if trainer.rules else state, history)


def check_run(trainer: Trainer, key: Any, epochs: Any) -> int:
    """The epochs as an int; raises unless these are a trainer as it was made, a key and epochs of `fit`."""
    if not isinstance(trainer, Trainer):
        raise TypeError(f"trainer must be a jaxgd.trainer(...), got {trainer!r}")
    check_unchanged(trainer)
    epochs = check_epochs(epochs, trainer.problem.num_examples)
    if not is_key(key):
        raise TypeError(f"key must be one PRNG key such as jax.random.key(0), got {key!r}")
    return epochs


def check_start(trainer: Trainer, state: TrainState) -> None:
    """Raise ValueError if a run had no finite loss and gradient to start from.

    In a sweep such a run is one that diverged at update 0; here it is an error in the problem.
    """
    if isinstance(state.status, Tracer) or not trainer.halt_on_divergence.value:
        return  # concrete arguments, but within a transformation
    if int(state.status) == DIVERGED and int(state.stopped_at) == 0:
        raise ValueError(
            "the loss or its gradient on the first batch is NaN or infinite at the initial parameters: check "
            "loss, init and the data's scale (trainer(..., halt_on_divergence=False) trains all the same)"
        )


def check_end(
    trainer: Trainer, key: jax.Array, epochs: int, state: TrainState, history: dict[str, Any], checks: Checks
) -> None:
    """Raise where a run came to nothing: at its start, or anywhere if JAX is told to stop at such numbers."""
    if any(checks):
        from jaxgd.training.replay import check_numbers  # which drives segments of this module

        check_numbers(trainer, key, epochs, state, history, checks)
    check_start(trainer, state)


def orders_of(trainer: Trainer, key: jax.Array, epoch: int, epochs: int) -> tuple[int, jax.Array]:
    """`(first, orders)`: the block of epoch orders that holds `epoch`, and the epoch of its first."""
    num = trainer.problem.num_examples
    block = max(1, min(epochs, _MAX_ORDERS // num))
    first = epoch // block * block
    return first, epoch_orders(key, first, block, num, trainer.order_sampling)


def check_epochs(epochs: Any, num: int) -> int:
    """The epochs as an int; raises unless from 1 to what 32-bit counts of `num` examples each can hold."""
    count = as_integer(epochs)
    if count is None:
        raise TypeError(f"epochs must be a whole number, 1 or more, got {epochs!r}")
    if count < 1:
        raise ValueError(f"epochs must be 1 or more, got {count}")
    if count * num >= 2**31:
        raise ValueError(
            f"epochs must be below {2**31 // num} for {num} examples (32-bit counts), got {count}"
        )
    return count


def is_key(key: Any) -> bool:
    """Whether it is one typed PRNG key, or one of the older uint32[2] form."""
    if not isinstance(key, jax.Array):
        return False
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return key.shape == ()
    return key.dtype == jnp.uint32 and key.shape == (2,)


def is_traced(tree: Any) -> bool:
    """Whether a leaf is a tracer, or a function in the structure closes over one."""
    nodes = jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, Static))
    return any(node.tracers if isinstance(node, Static) else isinstance(node, Tracer) for node in nodes)


def initial_params(init: Any, key: jax.Array) -> Any:
    """The initial parameters of a run with `key`, refused while traced where they cannot be trained."""
    params = jax.tree.map(jnp.asarray, init(init_key(key)))
    check_trainable(params)
    return params


# The same of concrete arguments, as a program.
drawn_params = quick_jit(initial_params, level=2)


def begin_run(trainer: Trainer, key: jax.Array, epochs: int) -> tuple[TrainState, dict[str, jax.Array]]:
    """`(state, history)` that a run of concrete arguments starts with.

    Raises:
        ValueError: the loss of an example depends on others, and the problem does not say so.
    """
    params = drawn_params(trainer.problem.init, key)
    state, history = start_run(trainer, key, params, epochs)
    if not isinstance(state.status, Tracer):  # concrete arguments, but within a transformation
        check_coupling(trainer.problem, params, getattr(trainer.batch_size, "value", None))
    return state, history


@functools.partial(jax.jit, static_argnums=3)
def start_run(trainer, key, params, epochs):
    """The state and the history that a run starts with."""
    return initial_state(trainer, key, params), as_history(empty_rows(trainer, epochs))


@functools.partial(jax.jit, donate_argnums=1)
def finished(trainer, state):
    """`finish` as a program of its own."""
    return finish(trainer, state)


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
    state, rows = advance(trainer, state, as_rows(history), orders, first, extent)
    return state, as_history(rows)


def advance(
    trainer: Trainer,
    state: TrainState,
    rows: Rows,
    orders: jax.Array,
    first: Any,
    extent: Extent,
    in_step: bool = False,
) -> tuple[TrainState, Rows]:
    """State and history moved along the clock of examples.

    Args:
        trainer: the trainer.
        state: where the run stands; its `epoch` says in which epoch that is.
        rows: the history.
        orders: int32[epochs, num_examples], the orders of epochs `first`, `first + 1`, ...; None to make each
            where it is needed, which compiles longer and needs no memory.
        first: the epoch of `orders[0]`.
        extent: how far, within the epochs that history and orders have.
        in_step: whether this is vmapped over runs that share `extent`.
    """
    num = trainer.problem.num_examples

    def epoch(index, run):
        state, rows = run
        begin = jnp.where(index == 0, extent.begin, 0)
        end = jnp.where(index == extent.epochs - 1, extent.end, num)
        if orders is None:
            order = epoch_order(state.key, state.epoch, num, trainer.order_sampling)
        else:
            order = orders[state.epoch - first]
        return run_epoch(trainer, state, rows, order, begin, end, extent.evaluate, in_step)

    return carrying.fori_loop(0, extent.epochs, epoch, (state, rows))


def _fit_traced(trainer: Trainer, key: jax.Array, epochs: int) -> Fit:
    state, rows, _ = traced_run(trainer, key, epochs)
    return Fit(finish(trainer, state), as_history(rows))


def traced_run(
    trainer: Trainer, key: jax.Array, epochs: int, seen: Callable[[TrainState], Any] = lambda state: None
) -> tuple[TrainState, Rows, Any]:
    """`(state, rows, path)` of a run within a transformation; the path is `seen(state)` by epoch, stacked."""
    state = initial_state(trainer, key, initial_params(trainer.problem.init, key))

    def epoch(run, index):
        order = epoch_order(key, index, trainer.problem.num_examples, trainer.order_sampling)
        state, rows = run_epoch(trainer, run[0], run[1], order)
        return (state, rows), seen(state)

    start = state, empty_rows(trainer, epochs)
    (state, rows), path = carrying.scan(epoch, start, jnp.arange(epochs))
    return state, rows, path
