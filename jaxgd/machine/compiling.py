"""Programs that run once and take longer to compile than to run."""

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer


def quick_jit(function: Callable, level: int, static_argnames: Any = ()) -> Callable:
    """`jax.jit` of a function of concrete arguments, optimized less on a CPU: there compiling takes longest.

    level: LLVM's, of 0 to 3. From 1 on floats have had the bits of level 3 wherever that was tried; integers
    always have. `call.programs` are the jitted functions behind it.
    """
    plain = jax.jit(function, static_argnames=static_argnames)
    options = {"xla_backend_optimization_level": level}
    quick = jax.jit(function, static_argnames=static_argnames, compiler_options=options)

    @functools.wraps(function)
    def call(*arguments):
        run = quick if jax.default_backend() == "cpu" else plain
        if not _within_a_trace():
            return run(*arguments)
        # There jit takes no options, so it is computed at once. Not elsewhere: each constant that the
        # function makes would be a program of its own.
        with jax.ensure_compile_time_eval():
            return run(*arguments)

    call.programs = (plain, quick)  # pyright: ignore[reportAttributeAccessIssue]
    return call


def _within_a_trace() -> bool:
    """Whether another function is being traced: what is computed here then becomes part of its program."""
    return isinstance(jax.device_put(np.zeros(())), Tracer)


# Switches of JAX that are part of what a program computes, with what sets each for one thread and a time.
_OF_A_THREAD = {
    "jax_enable_x64": jax.enable_x64,
    "jax_default_matmul_precision": jax.default_matmul_precision,
    "jax_numpy_rank_promotion": jax.numpy_rank_promotion,
    "jax_numpy_dtype_promotion": jax.numpy_dtype_promotion,
    "jax_default_prng_impl": jax.default_prng_impl,
}
# Transfers that are meant: the levels that ask for more are obeyed.
_GUARDS = {
    "jax_transfer_guard_host_to_device": jax.transfer_guard_host_to_device,
    "jax_transfer_guard_device_to_device": jax.transfer_guard_device_to_device,
    "jax_transfer_guard_device_to_host": jax.transfer_guard_device_to_host,
}
_IMPLICIT = ("log", "disallow")


class Checks(NamedTuple):
    """nans: whether a NaN is to be an error, `jax_debug_nans`. infs: whether an infinity is."""

    nans: bool
    infs: bool


def setting(name: str) -> Any:
    """What a switch of JAX is set to, here and in this thread."""
    return getattr(jax.config, name)


def with_settings_of_caller(function: Callable) -> Callable:
    """`function`, a program of jaxgd's own, for another thread, under the JAX settings of this one."""
    settings = settings_of_caller()

    @functools.wraps(function)
    def run(*arguments):
        with under(settings):
            return function(*arguments)

    return run


def settings_of_caller() -> dict[str, Any]:
    """The JAX settings of this thread that numbers depend on, by name."""
    return {name: setting(name) for name in _OF_A_THREAD}


@contextlib.contextmanager
def under(settings: Mapping[str, Any]) -> Iterator[None]:
    """Programs of jaxgd's own run in here under these settings, of another thread or another process."""
    with contextlib.ExitStack() as stack:
        for name, value in settings.items():
            stack.enter_context(_OF_A_THREAD[name](value))
        stack.enter_context(own_programs())
        yield


@contextlib.contextmanager
def own_programs(has_marks: bool = True) -> Iterator[Checks]:
    """Programs of jaxgd's own run in here whatever switches for debugging are set.

    They are compiled under `jax_disable_jit` too, which a warning says once: a loop over updates takes hours
    without. What goes into them and comes out is meant to be moved (`jax_transfer_guard`).

    has_marks: whether a NaN or an infinity among their results may be a mark and no fault: rows of a history
        whose epochs have not been, the best value before the first. `jax_debug_nans` and `jax_debug_infs`
        would stop at those; `replay.check_numbers` looks at what a run has come to instead, if the checks
        that this gives say so.
    """
    checks = Checks(setting("jax_debug_nans"), setting("jax_debug_infs"))
    with contextlib.ExitStack() as stack:
        if setting("jax_disable_jit"):
            _tell_of_disabled_jit()
            stack.enter_context(jax.disable_jit(False))
        if has_marks and any(checks):
            stack.enter_context(jax.debug_nans(False))
            stack.enter_context(jax.debug_infs(False))
        for name, guard in _GUARDS.items():
            if setting(name) in _IMPLICIT:
                stack.enter_context(guard("allow"))
        yield checks


@functools.cache
def _tell_of_disabled_jit() -> None:
    warnings.warn(
        "jax_disable_jit is set: jaxgd compiles its own programs all the same; to step through a loss, call "
        "it by itself",
        stacklevel=5,
    )
