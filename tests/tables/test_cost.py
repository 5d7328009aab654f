"""What a table of numbers costs; its seconds beside those of pandas are the benchmark's."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import jaxgd

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


def test_a_file_of_numbers_is_parsed_once(benchmark, tmp_path, monkeypatch):
    """All but the first rows, from which its layout is found."""
    file = tmp_path / "numbers.csv"
    benchmark.write_numbers(file, 4_000)
    parsed, read_csv = [], pd.read_csv

    def counted(*arguments, **options):
        for block in read_csv(*arguments, **options):
            parsed.append(block.size)
            yield block

    monkeypatch.setattr(pd, "read_csv", counted)
    jaxgd.table(file, "c99")
    assert sum(parsed) == 4_000 * 100


@pytest.mark.slow
def test_memory_of_a_large_table_of_numbers(benchmark, tmp_path):
    file = tmp_path / "numbers.csv"
    benchmark.write_numbers(file, ROWS)
    command = [sys.executable, str(SCRIPT), "--measure", "jaxgd", str(file), str(ROWS)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(run.stdout.split()[1]) <= 3  # times the table of its numbers; pandas takes as much


def test_thirty_files_are_named(benchmark):
    assert len({(package, path) for package, path, _ in benchmark.FILES}) == 30


def test_files_in_packages_that_are_there(benchmark, tmp_path):
    """Those of scikit-learn and plotly, which the tests need anyway."""
    here = [entry for entry in benchmark.FILES if entry[0] in ("sklearn", "plotly")]
    results = [benchmark.describe(benchmark.locate(*entry[:2], tmp_path), entry[2], False) for entry in here]
    assert [works for works, _ in results] == [True, False, True, True]
