"""`jaxgd landscape SURFACE`: the page, what is said of bad input, and how the page looks in a browser."""

import json
import re

import pytest

from jaxgd.cli import main
from jaxgd.reports.surface_report import surface_page
from jaxgd.studies.surface_study import study_surface


def run(*arguments):
    return main(["landscape", *arguments, "--no-cache"])


def figures_of(html):
    payload = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', html, re.DOTALL)
    return json.loads(payload[1])


@pytest.fixture(scope="module")
def wells():
    options = {"batch_sizes": ("full", 4), "command": "jaxgd landscape double_well"}
    return study_surface("double_well", ["sgd", "adam"], 60, **options)


def test_page_of_a_surface_without_a_minimum(tmp_path, capsys):
    out = tmp_path / "page.html"
    assert run("saddle", "--optimizers", "sgd,momentum", "--updates", "20", "--out", str(out)) == 0
    html = out.read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    assert "On saddle, 20 updates from 16 starts" in printed
    assert f"Page: {out}" in printed
    assert "1 saddle: found by" in html
    assert "(x**2 - curvature y**2) / 2" in html
    assert "Which minimum" not in html
    assert len(figures_of(html)) == 6
    assert "http" not in re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL).replace("http-equiv", "")


def test_page_of_a_surface_with_minima(wells):
    html = surface_page(wells)
    assert "2 minima, 1 saddle: found by" in html
    assert "each at its own best learning rate" in wells.sentence
    assert len(figures_of(html)) == 6 + 2 + 2
    for words in ("Which minimum does a start lead to?", "What does a smaller batch change?", "sgd, batch 4"):
        assert words in html
    assert wells.about["Surface"].startswith("double_well: ")
    assert "jaxgd landscape double_well" in html


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["himmelblou"], "there is no folder and no surface 'himmelblou'; did you mean 'himmelblau'?"),
        (["zzz"], "there is no folder 'zzz'"),
        (["sphere", "--optimizers", "adm"], "unknown optimizer 'adm'; did you mean 'adam'?"),
        (["sphere", "--updates", "0"], "updates is 0; at least 1 is needed"),
        (["sphere", "--updates", "1.5"], "updates is 1.5; a whole number"),
        (["sphere", "--batch-sizes", "half"], "batch_sizes has 'half'"),
        (["sphere", "--noise", "much"], "noise is 'much'; a number above 0 is needed"),
        (["sphere", "--noise", "0"], "noise is 0; a number above 0 is needed"),
        (["sphere", "--out", "none/page.html"], "there is no folder 'none'"),
        ([".", "--updates", "5"], "updates belongs to a surface, but '.' is a folder"),
    ],
)
def test_bad_input(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_surfaces_are_listed(capsys):
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    assert "himmelblau      (x**2 + y - 11)**2 + (x + y**2 - 7)**2" in text


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
