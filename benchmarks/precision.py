"""How far float32 updates are from the same recursion in float64: jaxgd's, and Optax's of the same name.

1,000 parameters from 0, 60 standard normal gradients, rate 0.01. An error is the largest distance from
Optax's numbers in float64, relative to the largest of those. jaxgd's optimizers are arguments of the
compiled function, as in training; Optax's are closed over.

    python benchmarks/precision.py
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgd import optim

ROWS = {
    "sgd": {},
    "adagrad": {},
    "rmsprop": {},
    "adadelta": {},
    "adam": {},
    "adam, b2=0.99999": {"b2": 0.99999},
    "adamw": {},
    "nadam": {},
    "amsgrad": {},
    "amsgrad, b2=0.99999": {"b2": 0.99999},
    "adamax": {},
    "lion": {},
    "lamb": {},
    "radam": {},
    "yogi": {},
    "adabelief": {},
    "adan": {},
    "novograd": {},
}
UPDATES, PARAMETERS = 60, 1000


class Errors(NamedTuple):
    """Of the first update, and of the parameters after the last."""

    first: float
    last: float


def descend(optimizer, gradients):
    """`(first update, last parameters)`."""

    def step(carry, gradient):
        params, state = carry
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), updates

    start = jnp.full(PARAMETERS, 0.0, gradients.dtype)
    (params, _), updates = jax.lax.scan(step, (start, optimizer.init(start)), gradients)
    return updates[0], params


def errors(row: str) -> tuple[Errors, Errors]:
    """The errors of jaxgd and of Optax for one row of `ROWS`."""
    name, arguments = row.split(",")[0], {"learning_rate": 0.01} | ROWS[row]
    gradients = np.random.default_rng(0).normal(size=(UPDATES, PARAMETERS)).astype(np.float32)
    theirs = getattr(optax, name)(**arguments)
    with jax.enable_x64(True):
        exact = jax.tree.map(np.asarray, jax.jit(partial(descend, theirs))(gradients.astype(np.float64)))
    found = jax.jit(descend)(getattr(optim, name)(**arguments), gradients)
    optaxs = jax.jit(partial(descend, theirs))(gradients)
    return _distances(found, exact), _distances(optaxs, exact)


def _distances(found, exact) -> Errors:
    pairs = zip(found, exact, strict=True)
    return Errors(*(float(np.abs(np.asarray(a, np.float64) - b).max() / np.abs(b).max()) for a, b in pairs))


def main():
    print("| | first update: jaxgd | Optax | parameters after 60: jaxgd | Optax |")
    print("|---|---|---|---|---|")
    for row in ROWS:
        ours, theirs = errors(row)
        cells = ours.first, theirs.first, ours.last, theirs.last
        print(f"| {row} | {' | '.join(f'{cell:.1e}' for cell in cells)} |")


if __name__ == "__main__":
    main()
