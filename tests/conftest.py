"""Two host devices, as a person with two cores would set them, and 64-bit numbers for those who ask."""

import os

import jax
import pytest

_IS_SET = jax.config.jax_num_cpu_devices > 0 or "device_count" in os.environ.get("XLA_FLAGS", "")
if not _IS_SET:
    jax.config.update("jax_num_cpu_devices", 2)


def pytest_configure(config):
    """Compile by XLA's older emitters: a quarter less time in a suite that mostly compiles, the same bits.

    The slow tests, the documentation's commands and the examples of `.ci/run` use the default ones.
    """
    if config.option.markexpr == "not slow":
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_use_fusion_emitters=false"


@pytest.fixture
def x64():
    """Floats are float64 while the test runs."""
    with jax.enable_x64(True):
        yield
