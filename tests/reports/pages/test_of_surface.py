"""The page of a surface: what is on it, and how it looks in a browser."""

import json
import re
import warnings

import pytest

from jaxgd.landscape.surfaces.survey import study_surface
from jaxgd.reports.pages.of_surface import surface_page


def figures_of(html):
    payload = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', html, re.DOTALL)
    return json.loads(payload[1])


@pytest.fixture(scope="module")
def wells():
    options = {"batch_sizes": ("full", 4), "command": "jaxgd landscape double_well"}
    return study_surface("double_well", ["sgd", "adam"], 60, **options)


def test_page_of_a_surface_with_minima(wells):
    html = surface_page(wells)
    assert "2 minima, 1 saddle: found by" in html
    assert "each at its own best learning rate" in wells.sentence
    assert len(figures_of(html)["figures"]) == 6 + 2 + 2
    for words in ("Which minimum does a start lead to?", "What does a smaller batch change?", "sgd, batch 4"):
        assert words in html
    assert wells.about["Surface"].startswith("double_well: ")
    assert "jaxgd landscape double_well" in html


def test_a_surface_whose_minimum_no_path_reaches(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = study_surface("rosenbrock", ["sgd", "adam"], 2, batch_sizes=("full",), progress=True)
    assert "no optimizer reaches a minimum" in found.sentence
    assert capsys.readouterr().err.splitlines() == [
        "rosenbrock: its critical points",
        "2 optimizers at 29 rates from 16 starts",
        "where starts of a grid end",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_in_a_browser(browser, wells, tmp_path, width, dark):
    path = tmp_path / "page.html"
    path.write_text(surface_page(wells), encoding="utf-8")
    browser.open(path, width, 850, dark)
    drawn = "[...document.querySelectorAll('.plot')].map(p => p.querySelectorAll('svg.main-svg').length)"
    assert all(count > 0 for count in browser.evaluate(drawn))
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    assert browser.errors == []
    assert {url.split(":")[0] for url in browser.requests} <= {"file", "data", "blob"}
