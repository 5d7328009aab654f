import dataclasses
import re

import numpy as np
import pytest
import xarray

from jaxgd.landscape.curvature import SharpnessPath, Spectrum
from jaxgd.landscape.networks.close_up import LookedAt, SweepLandscape
from jaxgd.landscape.networks.directions import Directions
from jaxgd.landscape.networks.planes import Line, Plane
from jaxgd.reports.pages.of_landscape import landscape_page
from jaxgd.sweeps.results.result import SweepResult

AXES = {"batch_size": [100, 10], "learning_rate": [0.1, 0.5], "seed": [0, 1, 2]}
DIMS = list(AXES)
SHARPNESS = np.arange(1.0, 13).reshape(2, 2, 3)


def looked_at(name, batch_size, is_repeat=True):
    x = np.linspace(-1, 1, 3)
    places = np.array([[1.0, 0.5, 0], [0.5, 1, 0]])
    plane = Plane(x, x, 1 + x**2 + x[:, None] ** 2, Directions(None, None, ("a", "b"), places, np.array(0.9)))
    along = SharpnessPath(np.arange(3), np.ones(3), np.ones(3), np.full(3, 20.0))
    spectrum = Spectrum(np.array([[0.0, 5]]), np.array([[0.9, 0.1]]))
    coords = {"batch_size": batch_size, "learning_rate": 0.1, "seed": 0}
    return LookedAt(name, coords, plane, along, spectrum, is_repeat)


@pytest.fixture
def landscape():
    accuracy = (np.arange(24.0).reshape(2, 2, 3, 2) + 50) / 100
    status = np.full((2, 2, 3), "completed")
    variables = {"valid_accuracy": ([*DIMS, "epoch"], accuracy), "status": (DIMS, status)}
    dataset = xarray.Dataset(variables, {**AXES, "epoch": [1, 2]})
    names = ("sharpness", "smallest_eigenvalue", "trace", "trace_error", "loss")
    curvature = xarray.Dataset(dict.fromkeys(names, (DIMS, SHARPNESS)), AXES)
    result = SweepResult(dataset, None, AXES, [])  # pages do not show the plan
    runs = [looked_at("full batch", 100), looked_at("batch 10", 10)]
    line = Line(np.linspace(0, 1, 3), np.array([1.0, 3, 1]))
    limits = np.array([[20.0, 4], [20, np.nan]])
    return SweepLandscape(
        result, curvature, limits, "batch_size", "valid_accuracy", runs, line, "seed 0 to seed 1", 100, 2.0
    )


def text_of(html):
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style).*?</\1>", "", html, flags=re.S))
    )


def test_the_headline_names_the_flattest_and_the_sharpest(landscape):
    html = landscape_page(landscape, "digits", {"Command": "jaxgd landscape runs"})
    assert "<h1>Sharpness from 2 ± 1 at full batch to 8 ± 1 at batch 10, each at its best</h1>" in html
    assert "jaxgd landscape runs" in html


def test_the_table_has_a_row_for_every_point(landscape):
    rows = re.findall(r"<tr>(.*?)</tr>", landscape_page(landscape, "digits", {}))
    cells = [re.findall(r"<(?:td|button)[^>]*>(.*?)</(?:td|button)>", row) for row in rows]
    assert cells[0][:4] == ["batch size", "learning rate", "sharpness", "limit"]
    assert len(cells) == 5
    assert cells[1][:4] == ["full batch", "0.1", "2 ± 1", "20"]
    assert cells[4][:4] == ["batch 10", "0.5", "11 ± 1", "–"]


def test_planes_say_what_they_hold_and_the_line_its_barrier(landscape):
    words = text_of(landscape_page(landscape, "digits", {}))
    assert "full batch: plane that holds 90.0 % of the path’s variance" in words
    assert "the training loss rises by 2 above" in words


def test_warnings_are_said_where_they_are_true(landscape):
    assert "Before you rely" not in text_of(landscape_page(landscape, "digits", {}))
    landscape.curvature.sharpness[0, 0, 0] = np.nan
    runs = [looked_at("full batch", 100, is_repeat=False)]
    words = text_of(landscape_page(dataclasses.replace(landscape, runs=runs), "digits", {}))
    assert "Repeated for its path, full batch ended at other parameters" in words
    assert "1 of 12 runs diverged" in words


def test_where_all_diverged_the_page_says_so(landscape):
    for values in landscape.curvature.data_vars.values():
        values[:] = np.nan
    html = landscape_page(dataclasses.replace(landscape, runs=[], between=None), "digits", {})
    assert "<h1>Every run diverged</h1>" in html


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_draws_in_a_browser(landscape, browser, tmp_path, width, dark):
    path = tmp_path / "page.html"
    path.write_text(landscape_page(landscape, "digits", {}), encoding="utf-8")
    browser.open(path, width, 900, dark)
    assert browser.evaluate("document.querySelectorAll('.plot .main-svg').length") >= 7
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert browser.errors == []
    assert all(url.startswith(("file:", "blob:", "data:")) for url in browser.requests)
