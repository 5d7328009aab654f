"""What a table of numbers costs beside pandas, as the benchmark measures it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "tables.py"
ROWS = 200_000


@pytest.fixture
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_of_tables", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_large_table_of_numbers(benchmark, tmp_path):
    """The least of two runs each: another process may hold the cores."""
    file = tmp_path / "numbers.csv"
    benchmark.write_numbers(file, ROWS)
    found = {"pandas": [], "jaxgd": []}
    for _ in range(2):
        for reader, measured in found.items():
            command = [sys.executable, str(SCRIPT), "--measure", reader, str(file), str(ROWS)]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            measured.append([float(word) for word in run.stdout.split()])
    cpu = {reader: min(seconds for seconds, _ in measured) for reader, measured in found.items()}
    assert cpu["jaxgd"] <= 3 * cpu["pandas"]
    assert max(growth for _, growth in found["jaxgd"]) <= 3


def test_thirty_files_are_named(benchmark):
    assert len({(package, path) for package, path, _ in benchmark.FILES}) == 30


def test_files_in_packages_that_are_there(benchmark, tmp_path):
    """Those of scikit-learn and plotly, which the tests need anyway."""
    here = [entry for entry in benchmark.FILES if entry[0] in ("sklearn", "plotly")]
    results = [benchmark.describe(benchmark.locate(*entry[:2], tmp_path), entry[2], False) for entry in here]
    assert [works for works, _ in results] == [True, False, True, True]
