"""The same sweep on the device and on a CPU in float64, and in float32 at each precision of products.

    python exactness.py FILE [--small]

is the process on the CPU: it writes what it computed.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gpu_parts.grids import OPTIMIZERS, RATES, SEEDS, distance, kind_of, maker, numbers_of, sweep
from gpu_parts.reporting import Scope, Table, in_turns

import jaxgd

AXES = {"optimizer": list(OPTIMIZERS), "batch_size": [32, "full"], "learning_rate": RATES, "seed": SEEDS}
ONE_PROGRAM = AXES | {"optimizer": ["momentum"], "batch_size": [32]}
SMALL = ONE_PROGRAM | {"batch_size": ["full"]}  # without orders, which take longest to compile
BOUND = 1e-9
PRECISIONS = (None, "bfloat16", "tensorfloat32", "float32")
PRODUCT_SIDE = 8192


def agreement(scope: Scope) -> None:
    """float64 on the device beside float64 on a CPU, one lane at a time, after an epoch."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "reference.npz")
        # It computes while this process compiles. Its lanes go one after the other, ours at once.
        environment = dict(os.environ) | {"JAX_PLATFORMS": "cpu"}
        command = [sys.executable, __file__, str(file), *["--small"] * scope.small]
        reference = subprocess.Popen(command, env=environment)
        found = numbers_at(np.float64, scope.small)
        if reference.wait():
            raise RuntimeError(f"the process on the CPU ended with status {reference.returncode}")
        with np.load(file) as arrays:
            truth = dict(arrays)
    table = Table("float64, after an epoch", "largest relative difference", f"at most {BOUND}")
    for name in truth:
        far = distance({name: found[name]}, {name: truth[name]})
        table.add(name, far, far <= BOUND)


def precisions(scope: Scope) -> None:
    """float32 beside float64 after an epoch at each precision of matrix products, and what these take."""
    print(f"jax_default_matmul_precision is {jax.config.jax_default_matmul_precision} unless set.\n")
    side = 256 if scope.small else PRODUCT_SIDE
    truth = numbers_at(np.float64, scope.small, ONE_PROGRAM)
    params = {name: values for name, values in truth.items() if name.startswith("parameters")}
    losses = {name: values for name, values in truth.items() if name.endswith("_loss")}
    table = Table("precision", "parameters off by", "losses off by", f"product of {side} x {side}, TFLOP/s")
    for precision in PRECISIONS[: 1 if scope.small else None]:
        with jax.default_matmul_precision(precision) if precision else contextlib.nullcontext():
            found = numbers_at(np.float32, scope.small, ONE_PROGRAM)
            rate = product_rate(side, scope)
        table.add(str(precision), distance(found, params), distance(found, losses), rate)


def numbers_at(
    dtype: Any, small: bool, axes: dict[str, Any] | None = None, **options: Any
) -> dict[str, np.ndarray]:
    """The numbers of the sweep with data and parameters in this dtype, by a plan with these options."""
    axes = SMALL if small else axes or AXES
    with jax.enable_x64(dtype == np.float64):
        make_trainer, options = maker(small, dtype), kind_of(small) | options
        plan = jaxgd.plan(make_trainer, axes, 1, merge=False, generalize=False, **options)
        return numbers_of(sweep(make_trainer, axes, 1, plan))


def product_rate(side: int, scope: Scope) -> float:
    """TFLOP/s of a product of two square float32 matrices."""
    ones = jnp.ones((side, side), jnp.float32)
    multiply = jax.jit(jnp.matmul)
    call = lambda: jax.block_until_ready([multiply(ones, ones) for _ in range(4)])  # noqa: E731
    call()
    return 4 * 2 * side**3 / in_turns({"product": call}, 5, scope.end)["product"] / 1e12


SECTIONS = {"float64 on both": agreement, "Precision of products": precisions}

if __name__ == "__main__":
    on_cpu = numbers_at(np.float64, "--small" in sys.argv, kind="map", width=1)
    np.savez(sys.argv[1], **on_cpu)
