"""How many lanes a device takes."""

import jax
import pytest

from jaxgd.machine.devices import free_bytes
from jaxgd.sweeps.planning.costs import default_kind, fitting_lanes, fitting_width
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
        ("vmap", 10_000, [GPU], 0.01, 0, 4096),
        ("vmap", 100, [GPU], 10, 0, 78),  # 900 bytes, of which 15 % are left
        ("vmap", 100, [GPU], 10, 400, 38),
        ("vmap", 100, [GPU], 10_000, 0, 1),
        ("map", 100, [GPU], 10, 0, 64),
        ("map", 1, [GPU], 10, 0, 64),
        ("map", 100, [GPU], 200, 0, 3),
        ("map", 100, jax.devices("cpu"), 2**21, 0, 4),
        ("map", 100, jax.devices("cpu"), 2**24, 0, 1),
    ],
)
def test_lanes_that_fit(kind, num_lanes, devices, lane_bytes, fixed, lanes):
    assert fitting_lanes(kind, num_lanes, devices, lane_bytes, fixed) == lanes


@pytest.mark.parametrize(("params", "width"), [(4, 16), (20_000, 8), (30_000, 4), (100_000, 1), (1e9, 1)])
def test_width_that_stays_in_the_cache(params, width):
    assert fitting_width(params) == width


def test_a_recipe_says_what_it_does():
    assert str(Recipe("map", 8, 2)) == "8 lanes one after the other on each of 2 devices"
    assert str(Recipe("map", 8, 2, width=4)) == "8 lanes, 4 at a time, on each of 2 devices"
    assert str(Recipe("vmap", 4, 1, 32, True)) == (
        "4 lanes at once on each of 1 devices, batch sizes merged in micro-batches of 32, optimizers merged"
    )
