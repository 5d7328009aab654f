"""An update by Adam beside the memory bandwidth that a copy reaches, measured in the same run."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from gpu_parts.reporting import Scope, Table, in_turns

import jaxgd

RATE = 1e-3
# Adam reads parameters, gradients and two moments, and writes all but the gradients.
ARRAYS = 7
# Updates in a row, so that calling them takes none of their time.
QUEUED = 20


def adam_update(scope: Scope) -> None:
    """Adam's update of one large array, of many, and of many small ones, donated and lined up."""
    size = 2**16 if scope.small else 2**27
    trees = {
        "one array": [(size,)],
        "150 arrays": [(math.isqrt(size // 150), math.isqrt(size // 150))] * 150,
        "200 arrays of 32 x 32": [(32, 32)] * 200,
    }
    table = Table(
        *("tree", "parameters", "jaxgd, ms", "Optax, ms", "Optax / jaxgd", "copy, GB/s"),
        *("jaxgd, GB/s", "of the copy's rate"),
    )
    for name, shapes in list(trees.items())[: 1 if scope.small else None]:
        add_row(table, name, shapes, scope)


def add_row(table: Table, name: str, shapes: list[tuple[int, ...]], scope: Scope) -> None:
    """Print what an update of such a tree takes."""
    count = sum(map(math.prod, shapes))
    calls = {
        "jaxgd": queued(jaxgd.adam(RATE), shapes),
        "Optax": queued(optax.adam(RATE), shapes),
        "copy": queued_copy(count, shapes),
    }
    for call in calls.values():
        call()
    seconds = in_turns(calls, 3 if scope.small else 15, scope.end)
    own, theirs, copy = (seconds[each] / QUEUED for each in calls)
    copied, moved = 2 * 4 * count / copy / 1e9, ARRAYS * 4 * count / own / 1e9
    table.add(name, count, 1e3 * own, 1e3 * theirs, theirs / own, copied, moved, f"{moved / copied:.0%}")


def queued(optimizer: Any, shapes: list[tuple[int, ...]]) -> Callable[[], Any]:
    """Updates in a row; jaxgd's optimizer is an argument of the program, Optax's is closed over."""
    is_own = isinstance(optimizer, jaxgd.Transform)

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(params, state, gradient, given):
        updates, state = (given if is_own else optimizer).update(gradient, state, params)
        return optax.apply_updates(params, updates), state

    params, gradient = ([jnp.full(shape, value) for shape in shapes] for value in (1.0, 1e-3))
    held = [params, optimizer.init(params)]
    given = jax.device_put(optimizer) if is_own else ()

    def call():
        for _ in range(QUEUED):
            held[:] = update(*held, gradient, given)
        jax.block_until_ready(held)

    return call


def queued_copy(count: int, shapes: list[tuple[int, ...]]) -> Callable[[], Any]:
    """Passes in a row that read as many numbers as the tree has and write them, as so many arrays."""
    copy = jax.jit(lambda tree: [leaf + 1.0 for leaf in tree], donate_argnums=0)
    held = [[jnp.zeros(shape) for shape in shapes]]

    def call():
        for _ in range(QUEUED):
            held[0] = copy(held[0])
        jax.block_until_ready(held)

    return call


SECTIONS = {"Adam's update": adam_update}
