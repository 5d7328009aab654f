"""How a group of lanes is run."""

import jax
import numpy as np

from jaxgd.sweeps.programs import LaneInputs, Recipe, abstract, choose_recipe, with_settings_of_caller
from jaxgd.sweeps.run import _assign


def inputs(order_bytes):
    params = {"w": jax.ShapeDtypeStruct((1000, 250), np.float32)}
    return LaneInputs([], None, params, jax.ShapeDtypeStruct((order_bytes // 4,), np.int32))


class Accelerator:
    platform = "gpu"


def test_on_a_cpu_lanes_run_in_turn():
    devices = jax.devices("cpu")
    assert choose_recipe(inputs(100), devices, 1000) == Recipe("map", 8, len(devices))


def test_elsewhere_lanes_run_at_once():
    assert choose_recipe(inputs(100), [Accelerator()], 7) == Recipe("vmap", 7, 1)
    assert choose_recipe(inputs(100), [Accelerator()] * 2, 7) == Recipe("vmap", 4, 2)
    # Two megabytes of parameters in and out for each lane, and 256 for all of them.
    assert choose_recipe(inputs(100), [Accelerator()], 10_000) == Recipe("vmap", 134, 1)
    assert choose_recipe(inputs(2**30), [Accelerator()], 10_000) == Recipe("vmap", 1, 1)


def test_lanes_are_dealt_out_in_turn():
    places, counts = _assign(10, 5, Recipe("map", 4, 2))
    assert places == [10, 12, 14, 10, 11, 13, 10, 10]
    assert counts.tolist() == [3, 2]


def test_abstract_is_what_jax_takes_in(x64):
    leaf = np.zeros(3)
    assert abstract([leaf]) == [jax.ShapeDtypeStruct((3,), np.float64)]
    with jax.enable_x64(False):
        assert abstract([leaf]) == [jax.ShapeDtypeStruct((3,), np.float32)]


def test_settings_reach_other_threads(x64):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(with_settings_of_caller(lambda: jax.numpy.ones(()).dtype)).result() == np.float64
        assert pool.submit(lambda: jax.numpy.ones(()).dtype).result() == np.float32
