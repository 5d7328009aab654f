import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).parent
make_comparison = runpy.run_path(str(HERE / "synthetic.py"))["synthetic_comparison"]
chromium = runpy.run_path(str(HERE / "chromium.py"))
# Where there is no browser, nothing can look at pages.
collect_ignore = [] if chromium["EXECUTABLE"] else ["pages/test_browser.py"]


@pytest.fixture(scope="session")
def synthetic_comparison():
    """The function that makes up a comparison."""
    return make_comparison


@pytest.fixture(scope="session", params=["accuracy", "loss"])
def comparison(request):
    return make_comparison(request.param, unlucky=[("momentum", 32)])


@pytest.fixture
def browser():
    with chromium["Chromium"]() as browser:
        yield browser
