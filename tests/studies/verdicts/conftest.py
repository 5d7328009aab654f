import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[3] / "benchmarks" / "conclusions.py"


@pytest.fixture(scope="session")
def simulator():
    """The benchmark's module: worlds with known truth, and all looks at them."""
    spec = importlib.util.spec_from_file_location("conclusions_benchmark", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
