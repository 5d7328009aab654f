"""`sweep_function`: a person's own training function at every point of a grid."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from jaxgd.logs.delivery import Log
from jaxgd.sweeps.axes import checked_axes
from jaxgd.sweeps.conducting import Ways, conduct
from jaxgd.sweeps.functions.structures import function_runs
from jaxgd.sweeps.planning.function_planner import FunctionPlanner
from jaxgd.sweeps.planning.plans import Plan
from jaxgd.sweeps.results.result import SweepResult


def sweep_function(
    train: Callable[..., Mapping[str, Any]],
    axes: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]],
    *,
    progress: bool | Callable[[int, int, str], None] = True,
    plan: Plan | None = None,
    exact: bool = False,
    explain: bool = False,
    folder: str | os.PathLike | None = None,
    replace: bool = False,
    log: Log | Sequence[Log] = (),
    part: tuple[int, int] | None = None,
) -> SweepResult:
    """The result of a training function of your own at every point of a grid, or of a list of points.

    Args:
        train: `train(key, **values)`, which `jax.jit` can compile: a scan over updates, by Optax or anything
            else. It is called with `jax.random.key(seed)` and a value for each axis by its name, and returns
            a dict of arrays. Of these

            * arrays with one dimension, all of one length, are histories along the dimension `epoch`;
            * numbers are scores of a whole run, the same in every epoch;
            * `params`, any tree, is what `result.params(...)` gives; without it, that is a dict of all else
              that is no history. With it, all else is `result.model_state(...)`;
            * `updates` and `examples`, whole numbers along the histories, are its clocks: how many were made
              and used up to each entry. Without `updates`, each entry counts as one.

            A run of which a history or a number ends as NaN or infinite is "diverged"; `stopped_at` is the
            number of updates before the entry from which on that is so.
        axes: as in `jaxgd.sweep`. Numbers are traced, and their runs are lanes of one program: all learning
            rates and seeds cost one compile. Where tracing fails since the function needs a number's value,
            for a shape or a branch of Python's, the number is structure, and each of its values a program;
            so are texts, bools, None and whatever else is no number. `seed` gives the key, and goes to
            `train` only where it takes an argument of that name.
        progress: as in `jaxgd.sweep`, and so is what follows.
        plan: that of an earlier result, to be followed; None to choose.
        exact: give every run the bits of `jax.jit(train)(key, **numbers)` alone, with what is structure
            closed over (on a CPU): one lane at a time.
        explain: print the plan before it is followed, and why it was chosen.
        folder: where the sweep is kept as it goes. A lane is one call from its beginning to its end: between
            two of them Ctrl-C is heard, and the folder learns what has ended. The same call trains the rest.
        replace: begin anew in that folder, whatever it has.
        log: gets a row for every run as it ends; `examples` is NaN where `train` does not return them.
        part: `(number, of)`: this process trains one of so many parts, into a folder that all write to.

    Raises:
        ValueError, TypeError: a function that does not take the key first, an axis that it does not take,
            what is no dict of arrays, histories of different lengths, or what the function raises when it is
            traced; and as in `jaxgd.sweep`. All of it before anything compiles.
        OSError, Interrupted, MemoryError: as in `jaxgd.sweep`.

    Example:
        >>> import jax, jaxgd, optax
        >>> def train(key, learning_rate):
        ...     optimizer = optax.adam(learning_rate)
        ...     loss = lambda x: ((x - 3.0) ** 2).sum()
        ...     def step(carry, _):
        ...         x, state = carry
        ...         value, grads = jax.value_and_grad(loss)(x)
        ...         updates, state = optimizer.update(grads, state)
        ...         return (optax.apply_updates(x, updates), state), value
        ...     x = jax.random.normal(key, (4,))
        ...     (x, _), losses = jax.lax.scan(step, (x, optimizer.init(x)), length=200)
        ...     return {"loss": losses, "params": x}
        >>> result = jaxgd.sweep_function(train, {"learning_rate": [0.001, 0.1], "seed": [0, 1, 2]})
        >>> result.best("loss").coords
        {'learning_rate': 0.1}
    """
    ways = Ways(progress, plan, exact, explain, folder, replace, log, part)

    def make():
        lists = checked_axes(axes)
        return lists, *function_runs(train, lists), jax.devices()

    return conduct(make, FunctionPlanner, ways)
