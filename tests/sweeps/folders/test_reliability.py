"""A few trials of each experiment of benchmarks/reliability.py: kills, flipped bits, races."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import jaxgd

ROOT = Path(jaxgd.__file__).parents[1]
EXPERIMENTS = {
    "sigkill": (3, "3 resumed bitwise equal"),
    "save": (10, "death at every call: 13 trials"),
    "flips": (50, "flips: 50 trials: 50 named"),
    "readers": (50, "a reader beside two writers: 50 trials"),
    "drivers": (3, "3 refused, with pid and host"),
    "malformed": (40, "40 named"),
}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment(name):
    trials, text = EXPERIMENTS[name]
    program = [sys.executable, str(ROOT / "benchmarks" / "reliability.py"), "--only", name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*program, "--trials", str(trials)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert text in done.stdout
