"""A sweep whose planned lanes do not fit into memory goes on with half as many.

    python memory.py

is the process whose memory is small: a GPU gives it a part of its own.
"""

import json
import os
import subprocess
import sys
import time
import warnings
from typing import Any

import jax
import numpy as np
from gpu_parts.reporting import Scope, Table
from gpu_parts.speed import examples_of
from peers import grid
from workloads import Workload, data_of, named

import jaxgd
from jaxgd.machine.devices import free_bytes
from jaxgd.sweeps.engine.driver import Driver

# Of a GPU's memory, about 1.5 GB on one of 80 GB.
FRACTION = "0.02"
# By the plan's prediction the lanes need so many times what is free.
TOO_MUCH = 3.0
# In the small form, whose memory ends at a number of lanes.
SMALL, LANES, FITTING = "3:epochs=1", 8, 4
LARGE = "gpu2:batch_sizes=32:optimizers=adam:epochs=1"
FEW = 4


def halving(scope: Scope) -> None:
    """Print what came of lanes that did not fit."""
    found = small_form() if scope.small else in_little_memory(scope)
    table = Table("planned", "went on with", "runs completed", "losses of 4 runs off by", "seconds")
    table.add(*found)


def small_form() -> list[Any]:
    """What came of lanes where more than a few raise the error of an allocation."""
    call = Driver.call

    def limited(driver):
        if driver.recipe.lanes > FITTING:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory by the benchmark")
        return call(driver)

    Driver.call = limited
    try:
        return swept(named(SMALL), LANES)
    finally:
        Driver.call = call


def in_little_memory(scope: Scope) -> list[Any]:
    """What came of lanes in a process that has a small part of the GPU's memory."""
    environment = dict(os.environ) | {"XLA_PYTHON_CLIENT_MEM_FRACTION": FRACTION}
    environment.pop("XLA_CLIENT_MEM_FRACTION", None)  # JAX refuses both
    seconds = max(1.0, scope.seconds_left)
    asked = subprocess.run(
        [sys.executable, __file__], env=environment, stdout=subprocess.PIPE, text=True, timeout=seconds
    )
    asked.check_returncode()
    return json.loads(asked.stdout.splitlines()[-1])


def lanes_too_many(work: Workload) -> int:
    """So many lanes that by the plan they need more than there is."""
    make_trainer, axes = made(work, FEW)
    program = jaxgd.plan(make_trainer, axes, work.epochs, kind="vmap", lanes=FEW).groups[0]
    return int(TOO_MUCH * free_bytes(jax.devices()) * FEW / program.predicted_bytes)


def made(work: Workload, runs: int) -> tuple[Any, dict[str, Any]]:
    """`(make_trainer, axes)` of so many runs of a workload's program, at low rates."""
    rates = tuple(np.geomspace(1e-5, 1e-3, runs).tolist())
    work = work._replace(rates=rates, seeds=work.seeds[:1])
    return grid(work, data_of(work, examples_of(work)[0]))


def swept(work: Workload, lanes: int) -> list[Any]:
    """What a sweep of so many runs at once came to, beside one of few of them."""
    begun, (make_trainer, axes) = time.perf_counter(), made(work, lanes)
    plan = jaxgd.plan(make_trainer, axes, work.epochs, kind="vmap", lanes=-(-lanes // jax.device_count()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of memory: the plan says it too
        result = jaxgd.sweep(make_trainer, axes, work.epochs, progress=False, plan=plan)
    seconds = time.perf_counter() - begun
    then = [group.recipe.lanes for group in result.plan.groups]
    few = axes | {"learning_rate": axes["learning_rate"][:FEW]}
    plan = jaxgd.plan(make_trainer, few, work.epochs, kind="vmap", lanes=FEW)
    beside = jaxgd.sweep(make_trainer, few, work.epochs, progress=False, plan=plan)
    expected = beside.dataset.train_loss
    losses = result.dataset.train_loss.sel(learning_rate=expected.learning_rate)
    completed = int((result.dataset.status == "completed").sum())
    far = float(np.abs(losses / expected - 1).max())
    return [f"{lanes} lanes", f"{then[-1]} lanes", f"{completed} of {lanes}", far, seconds]


SECTIONS = {"Lanes that do not fit": halving}

if __name__ == "__main__":
    print(json.dumps(swept(named(LARGE), lanes_too_many(named(LARGE)))))
