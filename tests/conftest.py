"""Two host devices, as a person with two cores would set them, and 64-bit numbers for those who ask."""

import os
import subprocess
import sys

import jax
import pytest

_IS_SET = jax.config.jax_num_cpu_devices > 0 or "device_count" in os.environ.get("XLA_FLAGS", "")
if not _IS_SET:
    jax.config.update("jax_num_cpu_devices", 2)

# As people who hunt for mistakes set JAX. Optax, Flax and Equinox promote here and there: see `promoting`.
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

_OLD_EMITTERS = "xla_cpu_use_fusion_emitters"


def pytest_configure(config):
    """Compile by XLA's older emitters: a quarter less time in a suite that mostly compiles, the same bits.

    The slow tests, the documentation's commands and the examples of `.ci/run` use the default ones.
    """
    flags = os.environ.get("XLA_FLAGS", "")  # a worker of pytest-xdist has those of its parent
    if config.option.markexpr == "not slow" and _OLD_EMITTERS not in flags and _is_known(_OLD_EMITTERS):
        os.environ["XLA_FLAGS"] = f"{flags} --{_OLD_EMITTERS}=false"


def _is_known(flag: str) -> bool:
    """Whether the installed jaxlib has this flag: from 0.12 on it lacks the older emitters.

    It ends the process that names a flag in `XLA_FLAGS` which it lacks. As an option of one program, an
    unknown flag is an error; in another process, as this one must not start JAX before the flags are set.
    """
    program = f"import jax; jax.jit(lambda: 0, compiler_options={{{flag!r}: False}})()"
    return not subprocess.run([sys.executable, "-c", program], capture_output=True).returncode


@pytest.fixture
def promoting():
    """JAX as it is by default, for tests that run what other libraries wrote: Optax's Adam promotes."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def x64():
    """Floats are float64 while the test runs."""
    with jax.enable_x64(True):
        yield
