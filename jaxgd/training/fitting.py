"""A whole run: `fit`, one pure function, and `iterate`, which goes through it from the host."""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxgd.aliases import History, Key, Params, WholeNumber
from jaxgd.arguments import shown, whole_number
from jaxgd.html_text import card
from jaxgd.machine.compiling import Checks, own_programs, quick_jit
from jaxgd.optim.trees.parameters import check_trainable
from jaxgd.pytrees import Static, check_unchanged
from jaxgd.tracing import explained
from jaxgd.training import carrying
from jaxgd.training.batching import epoch_order, init_key
from jaxgd.training.carrying import Rows, as_history, empty_rows
from jaxgd.training.loop import finish, initial_state, run_epoch
from jaxgd.training.models.model import check_no_averages
from jaxgd.training.pacing import Pace, pace_of
from jaxgd.training.problems.coupling import check_coupling
from jaxgd.training.replay import check_numbers
from jaxgd.training.segments import Course
from jaxgd.training.starts import check_start, examples_gone, goes_on
from jaxgd.training.states import DIVERGED, RUNNING, STATUS_WORDS, TrainState, moving_part
from jaxgd.training.trainers import Trainer, check_mesh


class Fit(NamedTuple):
    """A finished run: its last state (`params` and `model_state` are the trained model) and its history.

    history: `{name: array [epochs]}`. train_loss: mean over the epoch's examples as they were used.
    valid_loss and valid_<metric>: after the epoch. updates, examples: cumulative counts. grad_norm: mean over
    the epoch's updates of the L2 norm of the batch gradient. From the epoch in which a run diverges on,
    floats are NaN, and its parameters and optimizer state are those with which that epoch began.
    """

    state: TrainState
    history: History

    def __repr__(self):
        shape = np.shape(self.state.status)
        runs = f"{shape} runs, " if shape else f"{STATUS_WORDS[int(self.state.status)]}, "
        return f"Fit({runs}history of {', '.join(self.history)}: {self.history['updates'].shape[-1]} epochs)"

    def _repr_html_(self) -> str:
        shape, epochs = np.shape(self.state.status), self.history["updates"].shape[-1]
        if shape:
            return card(
                f"Fit of {shape} runs of {epochs} epochs", notes=[f"history of {', '.join(self.history)}"]
            )
        rows = [(name, float(column[0]), float(column[-1])) for name, column in self.history.items()]
        title = f"Fit: {STATUS_WORDS[int(self.state.status)]}, epoch {epochs}"
        return card(title, rows, head=("after epoch", "1", str(epochs)))


def fit(trainer: Trainer, key: Key, epochs: WholeNumber, start: Any = None) -> Fit:
    """The run of `epochs` epochs that `key` determines: initial parameters, epoch orders and dropout masks.

    It is pure: under `jax.jit`, `vmap` and `jvp` it is one program, and under `grad` too where the batch size
    is structure. Called outside of any transformation it compiles once per structure of `trainer`: another
    learning rate, or any other leaf, compiles nothing.

    Args:
        trainer: as `trainer(...)` builds it.
        key: a PRNG key, `jax.random.key(seed)`. Trainers that differ in batch size alone start from the same
            parameters and see the examples in the same order.
        epochs: 1 or more; an epoch is as many examples as the training data has.
        start: what to go on from instead of the problem's initial parameters. A state, such as
            `fit(...).state`: a new run from its parameters, optimizer's and model's state, with another rate,
            batch size or optimizer if that has states of the same structure; counts, rules and history begin
            anew, and so do the orders, with this key. Or the pair `(state, history)` that `iterate` gives:
            the same run goes on, to `epochs` in all, as if it had never stopped; the key is the run's.

    Raises:
        ValueError: epochs below 1, a loss that does not give one number per example, or a function whose
            globals, or attributes that it reads, have changed since the trainer was made. Outside of any
            transformation also a first loss or gradient that is not finite, and a loss whose examples depend
            on each other though the problem does not say so. A start of other shapes, or of another key.
    """
    epochs = check_run(trainer, key, epochs, start)
    if is_traced((trainer, key, start)):
        return _fit_traced(trainer, key, epochs, start)
    with own_programs() as checks:
        course = begin_run(trainer, key, epochs, start)
        course.go_to(course.whole)
        _check_end(course, checks)
        return end_run(course)


def iterate(
    trainer: Trainer, key: Key, epochs: WholeNumber, every: Any = "epoch", start: Any = None
) -> Iterator[tuple[TrainState, History]]:
    """The run of `fit` as a loop: `(state, history)` after each epoch, or each few updates or seconds.

    Example:
        >>> for state, history in jaxgd.iterate(trainer, key, epochs=10):
        ...     print(int(state.epoch), float(history["train_loss"][state.epoch - 1]))

    The last pair is what `fit` gives, bit for bit, however the run was cut. A run that stops early or
    diverges ends the loop: its last pair follows at once. What has been given stays as it is while the run
    goes on, and any pair but the last can be a `start`. A row of the history is there once its epoch has
    ended, NaN before.

    Args:
        trainer: as in `fit`.
        key: as in `fit`.
        epochs: as in `fit`.
        every: "epoch"; a number of updates; or `jaxgd.seconds(0.5)`, about so many between two states.
        start: as in `fit`.

    Raises:
        ValueError, TypeError: as in `fit`, when it is called; another word for `every`; if traced.
    """
    epochs = check_run(trainer, key, epochs, start)
    if is_traced((trainer, key, start)):
        raise TypeError("iterate drives a run from the host: inside jit, vmap or grad use fit")
    return _iterated(trainer, key, epochs, pace_of(every, trainer, epochs), start)


def _iterated(trainer, key, epochs, pace, start):
    with own_programs() as checks:
        course = begin_run(trainer, key, epochs, start)
    steps = drive(course, pace, checks)
    while course.gone < course.whole:
        with own_programs():
            next(steps)
            is_last = course.gone == course.whole
            state, history = end_run(course) if is_last else _copied((course.state, course.history))
        yield state, history


@jax.jit
def _copied(tree):
    """Arrays that no later segment takes over."""
    return jax.tree.map(jnp.copy, tree)


def drive(course: Course, pace: Pace, checks: Checks) -> Iterator[Course]:
    """The run each time that its pace says, last at its end; the next step takes over its memory.

    A run that has stopped goes to its end at once: what is left are rows without numbers.

    Raises:
        ValueError: the run had no finite loss or gradient to start from.
        FloatingPointError: it came to what JAX was told to stop at, by the checks.
    """
    while course.gone < course.whole:
        begin, started = course.gone, time.perf_counter()
        course.go_to(min(pace.end_after(begin), course.whole))
        if course.gone < course.whole:
            jax.block_until_ready(course.state)
            pace.took(course.gone - begin, time.perf_counter() - started)
            if int(course.state.status) != RUNNING:
                course.go_to(course.whole)
        if course.gone == course.whole:
            _check_end(course, checks)
        yield course


def end_run(course: Course) -> Fit:
    """What a run gives, at its end or wherever it is left."""
    return Fit(ended(course.trainer, course.state), course.history)


def ended(trainer: Trainer, state: TrainState) -> TrainState:
    """The state with which a run ends; `finish` takes over its memory."""
    return finished(trainer, state) if trainer.rules else state


def _check_end(course: Course, checks: Checks) -> None:
    """What `drive` says of a run at its end."""
    if any(checks):
        check_numbers(course, checks)
    check_first_loss(course.trainer, course.state)


def check_first_loss(trainer: Trainer, state: TrainState) -> None:
    """Raise ValueError if a run had no finite loss and gradient to start from.

    In a sweep such a run is one that diverged at update 0; here it is an error in the problem.
    """
    if isinstance(state.status, Tracer) or not trainer.halt_on_divergence.value:
        return  # concrete arguments, but within a transformation
    if int(state.status) == DIVERGED and int(state.stopped_at) == 0:
        raise ValueError(
            "the loss or its gradient on the first batch is NaN or infinite at the initial parameters: check "
            "loss, init, the data's scale and that labels are in range (trainer(..., "
            "halt_on_divergence=False) trains all the same)"
        )


def check_run(trainer: Trainer, key: Any, epochs: Any, start: Any = None) -> int:
    """The epochs as an int; raises unless these are a trainer as it was made, and arguments of `fit`."""
    check_trainer(trainer)
    epochs = check_epochs(epochs, trainer.problem.num_examples)
    check_key(key)
    if start is not None:
        with own_programs():
            check_start(start, trainer, key, fresh_run(trainer, key, epochs))
    return epochs


def check_trainer(trainer: Any) -> None:
    """Raise unless it is a trainer as it was made."""
    if not isinstance(trainer, Trainer):
        raise TypeError(f"trainer must be a jaxgd.trainer(...), got {shown(trainer)}")
    check_unchanged(trainer)
    check_mesh(trainer)


def check_key(key: Any) -> None:
    """Raise unless it is one PRNG key."""
    if is_key(key):
        return
    given = shown(key)
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        given = f"{key.size} of them: jax.vmap runs over keys, and jaxgd.sweep over an axis seed"
    raise TypeError(f"key must be one PRNG key such as jax.random.key(0), got {given}")


def fresh_run(trainer: Trainer, key: Key, epochs: int) -> tuple[TrainState, dict[str, Any]]:
    """Shapes and dtypes of the state and the history that a run begins with by itself."""
    params = jax.eval_shape(initial_params, trainer.problem.init, key)
    return start_run.eval_shape(trainer, key, params, epochs)


def check_epochs(epochs: Any, num: int) -> int:
    """The epochs as an int; raises unless from 1 to what 32-bit counts of `num` examples each can hold."""
    count = whole_number("epochs", epochs)
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


def initial_params(init: Any, key: Key) -> Params:
    """The initial parameters of a run with `key`, refused while traced where they cannot be trained."""
    with explained("init"):
        params = init(init_key(key))
    check_no_averages(params)
    params = jax.tree.map(jnp.asarray, params)
    check_trainable(params)
    return params


# The same of concrete arguments, as a program.
drawn_params = quick_jit(initial_params, level=2)


def begin_run(trainer: Trainer, key: Key, epochs: int, start: Any = None) -> Course:
    """A run of concrete arguments at its start.

    Raises:
        ValueError: the loss of an example depends on others, and the problem does not say so.
    """
    if start is not None and goes_on(start):
        gone = examples_gone(trainer, *start)
        state, history = resumed(trainer, *start, epochs)
    else:
        gone, (state, history) = 0, begun(trainer, key, epochs, start)
    if not isinstance(state.status, Tracer):  # concrete arguments, but within a transformation
        check_coupling(trainer.problem, state.params, getattr(trainer.batch_size, "value", None))
    return Course(trainer, key, epochs, state, history, gone)


def begun(trainer: Trainer, key: Key, epochs: int, start: Any) -> tuple[TrainState, History]:
    """The state and the history of a new run, from another one's state if it is given as `start`."""
    taken = None if start is None else _copied(moving_part(start)._replace(rules=()))
    params = drawn_params(trainer.problem.init, key) if taken is None else taken.params
    return start_run(trainer, key, params, epochs, taken)


@functools.partial(jax.jit, static_argnums=3)
def start_run(trainer, key, params, epochs, start=None):
    """The state and the history that a run starts with."""
    return initial_state(trainer, key, params, start), as_history(trainer, empty_rows(trainer, epochs))


@functools.partial(jax.jit, static_argnums=3)
def resumed(trainer, state, history, epochs):
    """The state and the history of a run that goes on, in arrays that are nobody else's, with more rows."""
    empty = as_history(trainer, empty_rows(trainer, epochs))
    rows = {name: empty[name].at[: len(column)].set(column) for name, column in history.items()}
    return _copied(state), {name: rows[name] for name in empty}


@functools.partial(jax.jit, donate_argnums=1)
def finished(trainer, state):
    """`finish` as a program of its own."""
    return finish(trainer, state)


def _fit_traced(trainer: Trainer, key: Key, epochs: int, start: Any) -> Fit:
    state, rows, _ = traced_run(trainer, key, epochs, start)
    return Fit(finish(trainer, state), as_history(trainer, rows))


def traced_run(
    trainer: Trainer,
    key: Key,
    epochs: int,
    start: TrainState | None = None,
    seen: Callable[[TrainState], Any] = lambda state: None,
) -> tuple[TrainState, Rows, Any]:
    """`(state, rows, path)` of a run within a transformation; the path is `seen(state)` by epoch, stacked."""
    params = initial_params(trainer.problem.init, key) if start is None else start.params
    begin = initial_state(trainer, key, params, start), empty_rows(trainer, epochs)

    def epoch(run, index):
        order = epoch_order(key, index, trainer.problem.num_examples, trainer.order_sampling)
        state, rows = run_epoch(trainer, run[0], run[1], order)
        return (state, rows), seen(state)

    (state, rows), path = carrying.scan(epoch, begin, jnp.arange(epochs))
    return state, rows, path
