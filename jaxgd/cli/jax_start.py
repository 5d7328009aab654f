"""JAX set up before its first computation: a host device per core, and a cache of compiled programs."""

import contextlib
import os
import sys

from jaxgd.cli.inputs import InputError
from jaxgd.machine.host import num_cores


def start_jax(cache: bool) -> None:
    """Set up jax before its first computation: one host device per core, and a cache of compiled programs.

    Runs are spread over host devices, and most of a short comparison is compiling. What the user has set in
    the environment stays.

    Raises:
        InputError: JAX cannot start, such as on a platform that is not there.
    """
    try:
        _set_up_devices()
    except Exception as error:
        raise InputError(_why_not(error)) from error
    if cache and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        from jaxgd.machine.compilation_cache import enable_compilation_cache

        try:
            enable_compilation_cache()
        except OSError as error:
            print(f"jaxgd: compiled programs are not kept: {error}", file=sys.stderr)


def _set_up_devices() -> None:
    import jax

    chosen = "JAX_NUM_CPU_DEVICES" in os.environ
    if not chosen and "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", num_cores())
    jax.devices()


def _why_not(error: Exception) -> str:
    """What keeps JAX from starting: the platform that was asked for, where another would do."""
    asked = os.environ.get("JAX_PLATFORMS")
    with contextlib.suppress(Exception):
        if asked:
            import jax

            jax.config.update("jax_platforms", "")
            there = ", ".join(sorted({jax.default_backend(), "cpu"}))
            return f"JAX_PLATFORMS asks for {asked!r}, which cannot be had; there is: {there}"
    text = str(error).strip().splitlines()
    return f"JAX cannot start: {text[0] if text else type(error).__name__}"
