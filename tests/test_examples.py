"""Every script in examples runs."""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

# six_problems runs where its problems are tested one by one: tests/training/test_newcomers_models.py.
SCRIPTS = [
    script
    for script in sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
    if script.stem != "six_problems" and (script.stem != "batches_of_torch" or find_spec("torch"))
]


# What makes a longer one short enough to be tested.
ARGUMENTS = {"sharpness_by_batch_size": ["1", "2", "320"]}  # epochs, seeds, examples


LONG = (
    "batches_of_torch",
    "sharpness_by_batch_size",
    "hypergradients",
    "own_model",
    "saddle_escape",
)  # with the slow tests
RUN = [
    pytest.param(script, id=script.stem, marks=[pytest.mark.slow] if script.stem in LONG else [])
    for script in SCRIPTS
]


@pytest.mark.filterwarnings("ignore:the sweep ran on")  # said on a CPU if it takes more than five seconds
@pytest.mark.usefixtures("promoting")  # as a reader runs it: with JAX as it is by default
@pytest.mark.parametrize("script", RUN)
def test_example_runs(script, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(script), *ARGUMENTS.get(script.stem, [])])
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed
    assert "nan" not in printed
