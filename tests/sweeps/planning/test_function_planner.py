"""How many runs of a function a device holds, and how many move at once."""

import math

import jax
import jax.numpy as jnp
import pytest

from jaxgd.pytrees import Static
from jaxgd.sweeps.axes import checked_axes
from jaxgd.sweeps.functions.routines import Routine
from jaxgd.sweeps.functions.structures import function_runs
from jaxgd.sweeps.lanes.sources import Sources
from jaxgd.sweeps.planning import function_planner
from jaxgd.sweeps.planning.constants import CORE
from jaxgd.sweeps.planning.function_costs import function_seconds, function_work
from jaxgd.sweeps.planning.function_planner import FunctionPlanner
from jaxgd.sweeps.planning.planner import EXACT, Options

AXES = {"rate": [0.1 * n for n in range(1, 17)], "seed": list(range(4))}


def scanned(size):
    """Twenty steps that multiply a square matrix of this size by a vector."""

    def train(key, rate):
        def step(x, _):
            x = jnp.tanh(jnp.full((size, size), rate) @ x)
            return x, jnp.sum(x)

        x, sums = jax.lax.scan(step, jnp.ones(size), length=20)
        return {"loss": sums, "params": x}

    return train


def branching(key, rate):
    return {"loss": jax.lax.while_loop(lambda x: jnp.sum(x) < 10, lambda x: x + rate, jnp.zeros(2))}


def work_of(train):
    return function_work(Routine(Static(train), {"rate": 0.5}, Static({})).traced)


def program_of(train, options, measure=None, axes=AXES):
    runs, epochs = function_runs(train, checked_axes(axes))
    planner = FunctionPlanner(jax.devices(), Sources(epochs), measure, options)
    [(group, program)] = planner.choose(runs)
    assert [run.index for run in group.runs] == list(program.runs) == list(range(64))
    return program


def test_work_is_counted_by_hand():
    work = work_of(scanned(8))
    assert work.products.flops == 20 * 2 * 8 * 8
    assert work.carried == 8 * 4
    assert work.returned == 20 * 4 + 8 * 4
    assert work.operations >= 20 * 4  # full, product, tanh, sum
    assert not work.has_branches
    assert work_of(branching).has_branches


def test_short_steps_gain_by_moving_at_once_and_long_ones_do_not():
    short, long = (work_of(scanned(size)) for size in (8, 2000))
    assert function_seconds(short, 16) < 0.6 * function_seconds(short, 1)
    assert function_seconds(long, 16) > 0.95 * function_seconds(long, 1)
    assert program_of(scanned(8), Options()).recipe.width == 16
    assert program_of(scanned(2000), Options()).recipe.width == 1


def test_no_place_is_paid_for_nothing():
    runs, epochs = function_runs(scanned(8), checked_axes({"rate": [0.1, 0.2, 0.3], "seed": [0, 1]}))
    [(_, program)] = FunctionPlanner(jax.devices(), Sources(epochs), None, Options()).choose(runs)
    assert program.recipe.width * program.recipe.devices <= 8


def test_lanes_with_branches_move_one_by_one():
    program = program_of(branching, Options())
    assert program.recipe.width == 1
    assert program.reason == "it has branches of its own"


def test_exact_is_one_lane_at_a_time():
    recipe = program_of(scanned(8), EXACT).recipe
    assert (recipe.kind, recipe.lanes, recipe.width) == ("map", 1, 1)


@pytest.mark.parametrize(("one", "two", "lanes"), [(1e6, 2e6, 8), (1e6, math.inf, 1), (5e6, 5e6 + 1, 32)])
def test_lanes_at_once_are_as_many_as_fit_by_programs_of_one_and_two(monkeypatch, one, two, lanes):
    monkeypatch.setattr(function_planner, "free_bytes", lambda devices: 10_000_000)
    monkeypatch.setattr("jaxgd.sweeps.planning.costs.free_bytes", lambda devices: 10_000_000)
    measured = {1: one, 2: two}
    program = program_of(scanned(8), Options(kind="vmap"), lambda inputs, recipe: measured[recipe.lanes])
    assert program.recipe.kind == "vmap"
    assert program.recipe.lanes == lanes
    assert int(10_000_000 / CORE.margin / 1e6) == 8
