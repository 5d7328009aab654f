"""The benchmark of random specs: what it draws, where it says time went, and that it prints its table."""

import importlib.util
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "sweeps"


def module(name):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_specs_are_bounded_and_the_same_for_a_seed():
    drawn = module("drawn")
    specs, again = ([*itertools.islice(drawn.draw(3), 60)] for _ in range(2))
    assert specs == again
    assert {spec.family for spec in specs} == set(drawn.HIDDEN)
    assert {spec.optimizer for spec in specs} == set(drawn.OPTIMIZERS)
    assert all(drawn.SECONDS[0] < spec.seconds < drawn.SECONDS[1] for spec in specs)
    assert all(spec.examples % size == 0 for spec in specs for size in spec.batch_sizes)
    assert drawn.from_text(drawn.as_text(specs[0])) == specs[0]


def test_a_moment_counts_once():
    intervals = {"clock": [(3.5, 3.75)], "program": [(2.0, 3.0)], "compile": [(1.0, 4.0), (1.5, 2.5)]}
    found = module("phases").shares(0.0, 5.0, intervals)
    assert found == {"clock": 0.25, "program": 1.0, "compile": 1.75, "host": 2.0}


@pytest.mark.slow
def test_a_random_spec_is_measured():
    command = [sys.executable, str(FOLDER), "--random", "1", "--seed", "1"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    title, _, spec, mean = (line.split(" | ") for line in lines if line.startswith("|"))
    assert len(title) == len(spec) == len(mean)
    assert float(spec[-1].rstrip(" |")) < 1e-3  # all three did the same
