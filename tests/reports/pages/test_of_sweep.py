"""The page of a sweep: what it says, and that it stands alone."""

import dataclasses
import re

import numpy as np
import pytest

import jaxgd
from jaxgd.reports.pages import of_sweep

INPUTS = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)
LABELS = (INPUTS[:, 0] > 0).astype(int)
PROBLEM = jaxgd.classification(jaxgd.linear(2, 2), (INPUTS, LABELS), (INPUTS, LABELS))
OPTIMIZERS = {"sgd": jaxgd.sgd, "adam": jaxgd.adam}


def run(axes):
    def make_trainer(hp):
        optimizer = OPTIMIZERS[hp.get("optimizer", "sgd")](hp.learning_rate)
        return jaxgd.trainer(PROBLEM, optimizer, hp.get("batch_size", 8))

    return jaxgd.sweep(make_trainer, axes, epochs=2, progress=False)


@pytest.fixture(scope="module")
def grid():
    axes = {
        "optimizer": ["sgd", "adam"],
        "batch_size": ["full", 8],
        "learning_rate": [0.01, 0.1, 1e30],
        "seed": [0, 1],
    }
    spec = {"data": "<b>", "fixed": {"width": 3}, "early_stopping": {"patience": 2}}
    return dataclasses.replace(run(axes), spec=spec)


def test_the_page_of_a_grid(grid):
    page = of_sweep.page(grid)
    assert "<h1>Best validation accuracy: " in page
    assert "24 runs of at most 2 epochs on &lt;b&gt;: 16 completed and 8 diverged" in page
    titles = re.findall(r"<h2 id=\"title-\d\">([^<]*)</h2>", page)
    assert titles == ["Learning curves", "Over two axes", "Along each axis", "The best points", "The plan"]
    figures = re.findall(r'class="figure-title" id="[^"]*">([^<]*)<', page)
    curves = [f"valid_accuracy, best point of each {name}" for name in ("batch_size", "optimizer")]
    assert figures[:4] == [title for title in curves for _ in ("epochs", "updates")]
    assert figures[6:8] == ["valid_accuracy, optimizer sgd", "valid_accuracy, optimizer adam"]
    assert "<dt>Fixed</dt><dd>width 3</dd>" in page
    assert "<dt>Early stopping</dt><dd>patience 2</dd>" in page
    assert 'src="http' not in page
    assert "<b>" not in page


def test_batch_size_and_rate_both_have_curves_on_two_clocks():
    page = of_sweep.page(run({"batch_size": ["full", 8], "learning_rate": [0.01, 0.1], "seed": [0, 1]}))
    titles = re.findall(r'class="figure-title" id="[^"]*">([^<]*)<', page)[:4]
    names = ("batch_size", "batch_size", "learning_rate", "learning_rate")
    assert titles == [f"valid_accuracy, best point of each {name}" for name in names]
    checked = re.findall(r'value="(\w+)" checked', page)
    assert checked == ["epochs", "updates"] * 2
    assert page.count('value="examples"') == 4


def test_its_table_is_that_of_the_best(grid):
    page = of_sweep.page(grid, "valid_loss")
    best = grid.best("valid_loss")
    body = page.split("<tbody>")[1].split("</tbody>")[0]
    first = re.findall(r"<td[^>]*>([^<]*)</td>", body)[:8]
    size = "full" if best.coords["batch_size"] == 24 else "8"
    assert first[:3] == [best.coords["optimizer"], size, f"{best.coords['learning_rate']:.4g}"]
    assert first[3:5] == [f"{best.value:.3g}", f"{best.spread:.2g}"]
    assert first[5] == "0"


def test_what_a_reader_must_know():
    page = of_sweep.page(run({"learning_rate": [0.001, 0.01, 0.1]}), "valid_loss")
    assert "Each point is one run: what looks better may be chance." in page
    assert "The best learning rate, 0.1, is the highest that was tried: better may lie beyond." in page
    inner = of_sweep.page(run({"learning_rate": [0.01, 0.1, 1e30], "seed": [0, 1]}), "valid_loss")
    assert "better may lie beyond" not in inner
    assert "may be chance" not in inner


def test_drawn_points():
    points = jaxgd.draw(6, {"learning_rate": jaxgd.log_uniform(1e-3, 1), "batch_size": [4, 8]})
    page = of_sweep.page(run({"point": points, "seed": [0, 1]}))
    titles = re.findall(r'class="figure-title" id="[^"]*">([^<]*)<', page)
    assert titles == [
        *["valid_accuracy, best point of each point"] * 2,
        "valid_accuracy by learning_rate, mean over 2 runs",
        "valid_accuracy by batch_size, mean over 2 runs",
    ]


def test_seeds_alone():
    page = of_sweep.page(run({"learning_rate": [0.1], "seed": [0, 1]}), "valid_loss")
    assert "at learning rate 0.1</h1>" in page

    def make_trainer(hp):
        return jaxgd.trainer(PROBLEM, jaxgd.sgd(0.1), 8)

    seeds = jaxgd.sweep(make_trainer, {"seed": [0, 1]}, epochs=2, progress=False)
    page = of_sweep.page(seeds, "valid_loss")
    assert re.search(r"<h1>Mean validation loss: 0\.\d+</h1>", page)


def test_everything_diverged():
    page = of_sweep.page(run({"learning_rate": [1e30]}))
    assert "<h1>At no point is valid_accuracy finite in all runs</h1>" in page


def test_an_unknown_metric(grid):
    with pytest.raises(ValueError, match="unknown metric 'valid_los'; did you mean 'valid_loss'"):
        of_sweep.page(grid, "valid_los")


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_draws_every_figure_and_asks_for_nothing(grid, browser, tmp_path, width, dark):
    (tmp_path / "report.html").write_text(of_sweep.page(grid))
    browser.open(tmp_path / "report.html", width, 850, dark)
    drawn = browser.evaluate(
        "[...document.querySelectorAll('.plot')].map(p => p.querySelectorAll('svg').length)"
    )
    assert len(drawn) == 11
    assert all(drawn)
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    assert browser.errors == []
    assert {url.split(":")[0] for url in browser.requests} <= {"file", "data", "blob"}
