"""Every script in examples runs."""

import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

# What a script needs that few have installed.
NEEDS = {"batches_of_torch": "torch", "sweep_on_ray": "ray"}
# six_problems runs where its problems are tested one by one: tests/training/test_newcomers_models.py.
SCRIPTS = [
    script
    for script in sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
    if script.stem != "six_problems" and find_spec(NEEDS.get(script.stem, "jaxgd"))
]


# What makes a longer one short enough to be tested.
ARGUMENTS = {"sharpness_by_batch_size": ["1", "2", "320"]}  # epochs, seeds, examples


# Importing submitit closes the handlers of `logging` that there are, pytest's among them.
APART = {"sweep_on_submitit"}

LONG = (
    "batches_of_torch",
    "sharpness_by_batch_size",
    "hypergradients",
    "noisy_quadratic_model",
    "optax_loop_as_a_sweep",
    "own_model",
    "reinforcement_learning_sweep",
    "saddle_escape",
    "sweep_on_dask",
    "sweep_on_submitit",
    "sweep_on_ray",
)  # with the slow tests
RUN = [
    pytest.param(script, id=script.stem, marks=[pytest.mark.slow] if script.stem in LONG else [])
    for script in SCRIPTS
]


@pytest.mark.usefixtures("promoting")  # as a reader runs it: with JAX as it is by default
@pytest.mark.parametrize("script", RUN)
def test_example_runs(script, capsys, monkeypatch):
    arguments = [str(script), *ARGUMENTS.get(script.stem, [])]
    if script.stem in APART:
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
        printed = done.stdout
    else:
        monkeypatch.setattr(sys, "argv", arguments)
        runpy.run_path(str(script), run_name="__main__")
        printed = capsys.readouterr().out
    assert printed
    assert "nan" not in printed
