"""Made-up trials whose values are known, and the benchmark that draws more of them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).parents[3] / "benchmarks" / "study_parts" / "decisions.py"
N, EPOCHS = 64, 4
SIZES = np.array([8, 32])


@pytest.fixture
def table():
    """The columns of trials at batch sizes 8 and 32; see `rows`."""
    return rows


def rows(final, seeds=10, rates=(0.1, 1, 10), methods=("adam",), noise=0.01):
    """Losses final[method][size][rate] + noise + 1 / epoch - 1 / EPOCHS, evaluated each epoch."""
    shape = (len(methods), len(SIZES), len(rates), seeds, EPOCHS)
    method, size, rate, seed, epoch = (axis.ravel() for axis in np.indices(shape))
    chance = noise * np.random.default_rng(0).normal(size=shape[:-1])
    loss = np.broadcast_to(final, shape[:3])[..., None] + chance
    epoch = epoch + 1
    return {
        "optimizer": np.array(methods)[method],
        "batch_size": SIZES[size],
        "learning_rate": np.array(rates)[rate],
        "seed": seed,
        "updates": epoch * N // SIZES[size],
        "examples": epoch * N,
        "epochs": epoch,
        "seconds": epoch * np.array([2.0, 1.0])[size],
        "loss": loss[method, size, rate, seed] + 1 / epoch - 1 / EPOCHS,
    }


@pytest.fixture(scope="session")
def benchmark():
    """The benchmark's module that draws trials."""
    spec = importlib.util.spec_from_file_location("benchmark_of_decisions", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
