"""Two host devices, as a person with two cores would set them, and 64-bit numbers for those who ask."""

import os
import pathlib
import signal
import subprocess
import sys

import hypothesis
import jax
import pytest

_IS_SET = jax.config.jax_num_cpu_devices > 0 or "device_count" in os.environ.get("XLA_FLAGS", "")
if not _IS_SET:
    jax.config.update("jax_num_cpu_devices", 2)

# The same examples every time, however long a machine takes for one.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None)
hypothesis.settings.load_profile("fixed")

# As people who hunt for mistakes set JAX. Optax, Flax and Equinox promote here and there: see `promoting`.
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# XLA's older emitters, and LLVM without its optimizations.
_QUICK = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 0}

# A process that maps memory more than 65,530 times crashes on Linux; a compiled program does some ten times.
_MAPPED = 30_000


def pytest_configure(config):
    """In the fast suite, compile quickly and once: neither another worker nor the next run compiles it again.

    Plans are made with the constants of jaxgd: no test reads what a person keeps.
    """
    os.environ["XDG_CACHE_HOME"] = str(config.cache.mkdir("home"))
    if config.option.markexpr != "not slow":
        return
    _compile_quickly()
    jax.config.update("jax_compilation_cache_dir", str(config.cache.mkdir("programs")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_ignore_collect(collection_path, config):
    """Import no file for its slow tests that has none."""
    if config.option.markexpr == "slow" and collection_path.suffix == ".py":
        return "mark.slow" not in collection_path.read_text() or None
    return None


def _compile_quickly():
    """Compile quickly, in a suite that mostly compiles: each flag saves about a quarter of that; bits stay.

    The slow tests, the documentation's commands and the examples of `.ci/run` compile as users do.
    """
    flags = os.environ.get("XLA_FLAGS", "")  # a worker of pytest-xdist has those of its parent
    if not any(flag in flags for flag in _QUICK):
        known = [f"--{flag}={int(value)}" for flag, value in _QUICK.items() if _is_known(flag, value)]
        os.environ["XLA_FLAGS"] = " ".join([flags, *known])


def _is_known(flag: str, value: int) -> bool:
    """Whether the installed jaxlib has this flag: from 0.12 on it lacks the older emitters.

    It ends the process that names a flag in `XLA_FLAGS` which it lacks. As an option of one program, an
    unknown flag is an error; in another process, as this one must not start JAX before the flags are set.
    """
    program = f"import jax; jax.jit(lambda: 0, compiler_options={{{flag!r}: {value!r}}})()"
    return not subprocess.run([sys.executable, "-c", program], capture_output=True).returncode


@pytest.fixture(scope="module", autouse=True)
def few_programs():
    """Let compiled programs go before there are too many for one process: half a suite's are."""
    yield
    maps = pathlib.Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > _MAPPED:
        jax.clear_caches()


@pytest.fixture
def promoting():
    """JAX as it is by default, for tests that run what other libraries wrote: Optax's Adam promotes."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def default_handlers():
    """Handlers of signals as a process begins with; they must be there again afterwards."""
    given = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in given.items()}
    yield
    found = {number: signal.signal(number, handler) for number, handler in before.items()}
    assert found == given


@pytest.fixture
def x64():
    """Floats are float64 while the test runs."""
    with jax.enable_x64(True):
        yield
