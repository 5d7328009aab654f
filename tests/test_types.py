"""Annotations are true: `typed.py` runs optimizers and trainers with each of them checked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def run():
    """What the script says in an interpreter of its own."""
    script = Path(__file__).parent / "typed.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def test_no_annotation_is_false(run):
    assert {"sgd", "adam", "lion", "lbfgs", "merged", "foreign"} <= set(run["optimizers"])
    assert run["trainers"] == ["rules", "a leaf"]
    assert run["misfits"] == []


def test_what_is_wrong_is_caught(run):
    arguments = ["a number", "a number or a schedule", "a count", "parameters", "a key", "a whole number"]
    assert run["caught"] == [*arguments, "SoftThresholdState.count", "SoftThresholdState.count"]
