"""Programs that run once and take longer to compile than to run."""

import functools
from collections.abc import Callable
from typing import Any

import jax


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
        # Within the trace of another function, jit takes no options: there it is computed at once.
        with jax.ensure_compile_time_eval():
            return (quick if jax.default_backend() == "cpu" else plain)(*arguments)

    call.programs = (plain, quick)  # pyright: ignore[reportAttributeAccessIssue]
    return call
