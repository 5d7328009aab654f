"""How many lanes a device takes."""

import jax
import numpy as np
import pytest

import jaxgd
from jaxgd.machine.devices import free_bytes
from jaxgd.sweeps.planning.constants import CORE
from jaxgd.sweeps.planning.costs import (
    Work,
    default_kind,
    fitting_lanes,
    fitting_width,
    run_seconds,
    step_bytes,
    work_of,
)
from jaxgd.sweeps.planning.plans import Recipe


class Accelerator:
    platform = "gpu"

    def memory_stats(self):
        return {"bytes_limit": 1000, "bytes_in_use": 100}


GPU = Accelerator()


def test_kinds():
    assert default_kind(jax.devices("cpu")) == "map"
    assert default_kind([GPU]) == "vmap"


def test_free_memory():
    assert free_bytes([GPU]) == 900
    assert 2**20 < free_bytes(jax.devices("cpu")[:1]) < 2**50


@pytest.mark.parametrize(
    ("kind", "num_lanes", "devices", "lane_bytes", "fixed", "lanes"),
    [
        ("vmap", 7, [GPU], 1, 0, 7),
        ("vmap", 7, [GPU] * 2, 1, 0, 4),
        ("vmap", 10_000, [GPU], 0.01, 0, 10_000),
        ("vmap", 70_000, [GPU], 0.01, 0, 35_000),  # at most 65,536
        ("vmap", 100, [GPU], 10, 0, 50),  # 900 bytes, of which 15 % are left: 78 fit
        ("vmap", 78, [GPU], 10, 0, 78),
        ("vmap", 100, [GPU], 10, 400, 34),  # 38 fit
        ("vmap", 100, [GPU], 10_000, 0, 1),
        ("map", 100, [GPU], 10, 0, 64),
        ("map", 2, [GPU], 10, 0, 64),
        ("map", 1, [GPU], 10, 0, 1),
        ("map", 100, [GPU], 200, 0, 3),
        ("map", 100, jax.devices("cpu"), 2**21, 0, 4),
        ("map", 100, jax.devices("cpu"), 2**24, 0, 1),
    ],
)
def test_lanes_that_fit(kind, num_lanes, devices, lane_bytes, fixed, lanes):
    assert fitting_lanes(kind, num_lanes, devices, lane_bytes, fixed) == lanes


@pytest.mark.parametrize(
    ("batch_size", "microbatch", "num_valid", "expected"),
    [
        # A row and its label are 16 bytes; in a gradient its products give three times 5 + 2 numbers.
        (10, None, 0, 10 * (16 + 4 * 21)),
        ("full", None, 0, 100 * (16 + 4 * 21)),
        (10, 5, 0, 5 * (16 + 4 * 21)),
        (10, None, 50, 50 * 4 * 21),
    ],
)
def test_bytes_of_a_step(batch_size, microbatch, num_valid, expected):
    split = np.ones((100, 3), np.float32), np.zeros(100, np.int32)
    valid = tuple(each[:num_valid] for each in split) if num_valid else None
    problem = jaxgd.classification(jaxgd.mlp([3, 5, 2]), split, valid)
    tr = jaxgd.trainer(problem, jaxgd.sgd(0.1), batch_size, microbatch=microbatch)
    params = jax.eval_shape(problem.init, jax.random.key(0))
    assert step_bytes(work_of(tr, params), tr) == expected


def test_a_plan_of_lanes_at_once_counts_their_batches():
    split = np.ones((1000, 3), np.float32), np.zeros(1000, np.int32)
    problem = jaxgd.classification(jaxgd.mlp([3, 5, 2]), split)
    axes = {"batch_size": [10, "full"], "seed": [0, 1]}

    def predicted(**options):
        def make_trainer(hp):
            return jaxgd.trainer(problem, jaxgd.sgd(0.1), hp.batch_size)

        groups = jaxgd.plan(make_trainer, axes, 1, merge=False, lanes=2, **options).groups
        return {group.batch_size: group.predicted_bytes for group in groups}

    at_once, in_turn = predicted(kind="vmap"), predicted(kind="map")
    assert at_once["1000"] - in_turn["1000"] == 2 * 1000 * (16 + 4 * 21)
    assert at_once["10"] - in_turn["10"] == 2 * 10 * (16 + 4 * 21)


@pytest.mark.parametrize(("params", "width"), [(4, 16), (20_000, 8), (30_000, 4), (100_000, 1), (1e9, 1)])
def test_width_that_stays_in_the_cache(params, width):
    assert fitting_width(Work(0, 0, params, 1)) == width


@pytest.mark.parametrize(("channels", "width"), [(2, 16), (4, 10), (8, 5), (16, 2), (64, 1)])
def test_convolutions_at_once_have_few_channels_together(channels, width):
    assert fitting_width(Work(0, 0, 400, 1, convs=1, channels=channels)) == width


def test_batches_that_are_shared_are_gathered_once():
    data = np.ones((60, 4), np.float32), np.arange(60) % 2
    trainer = jaxgd.trainer(jaxgd.classification(jaxgd.linear(4, 2), data), jaxgd.sgd(0.1), 10)
    work = work_of(trainer, jax.eval_shape(trainer.problem.init, jax.random.key(0)))
    apart, shared = (run_seconds(work, trainer, 2, Recipe("map", 1, 1), 8, sharing) for sharing in (1, 4))
    num, row = trainer.problem.num_examples, work.row
    assert apart - shared == pytest.approx(2 * num * row * CORE.gather * (1 - 1 / 4))


def test_a_recipe_says_what_it_does():
    assert str(Recipe("map", 8, 2)) == "8 lanes one after the other on each of 2 devices"
    assert str(Recipe("map", 8, 2, width=4)) == "8 lanes, 4 at a time, on each of 2 devices"
    assert str(Recipe("vmap", 4, 1, 32, True)) == (
        "4 lanes at once on 1 device, batch sizes merged in micro-batches of 32, optimizers merged"
    )
