"""How a group of lanes is run."""

import jax
import numpy as np

from jaxgd.machine.compiling import with_settings_of_caller
from jaxgd.sweeps.lanes.slots import abstract


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
