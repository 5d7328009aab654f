"""The page as a browser shows it. Left out where there is no Chromium (see conftest.py)."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from jaxgd.reports.pages import of_comparison

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(synthetic_comparison):
    return synthetic_comparison(data="<script>alert(1)</script>.csv", unlucky=[("momentum", 32)])


@pytest.fixture(scope="module")
def path(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    of_comparison.write(made, path)
    return path


def assert_quiet(browser):
    """No error or warning on the console, and nothing asked for but the file itself and what it carries."""
    assert browser.errors == []
    assert {url.split(":")[0] for url in browser.requests} <= {"file", "data", "blob"}
    assert len([url for url in browser.requests if url.startswith("file:")]) == 1


def ranks(browser):
    return browser.evaluate("[...document.querySelectorAll('#ranks tbody tr')].map(row => row.innerText)")


def choose(browser, value, name="Optimizer"):
    browser.evaluate(
        f"(() => {{ const select = document.querySelector('select[data-name={name}]');"
        f"select.value = '{value}'; select.dispatchEvent(new Event('change')); }})()"
    )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_state_is_quiet_and_fits_the_window(browser, path, width, dark):
    browser.open(path, width, 850, dark)
    radios = browser.evaluate("document.querySelectorAll('input[type=radio]').length")
    assert radios == 4
    for optimizer, measure in (("momentum", "accuracy"), ("adam", "loss")):
        choose(browser, optimizer)
        choose(browser, measure, "Validation")
        for radio in range(radios):
            browser.evaluate(f"document.querySelectorAll('input[type=radio]')[{radio}].click()")
            assert browser.evaluate("document.documentElement.scrollWidth") == width
    drawn = (
        "[...document.querySelectorAll('.plot')].map(plot => plot.querySelectorAll('svg.main-svg').length)"
    )
    assert all(count > 0 for count in browser.evaluate(drawn))
    assert_quiet(browser)


@pytest.mark.parametrize("score", ["accuracy", "loss"])
def test_the_table_of_cells_needs_no_scroll_bar(browser, synthetic_comparison, tmp_path, score):
    """With the longest verdict and differences of several digits."""
    made = synthetic_comparison(score, unlucky=[("momentum", 32)])
    first = dataclasses.replace(made.cells[0], verdict="cannot tell", gap_low=-0.571, gap_high=0.701)
    made = dataclasses.replace(made, cells=[first, *made.cells[1:]], recommended=first)
    of_comparison.write(made, tmp_path / "page.html")
    browser.open(tmp_path / "page.html", 1280, 850)
    assert "recommended" in browser.evaluate("document.querySelector('.cells').innerText")
    assert browser.evaluate("document.querySelector('.cells').parentElement.scrollWidth") <= 1144
    assert browser.evaluate("document.querySelector('.cells').parentElement.clientWidth") == 1144


def test_the_clock_changes_the_order(browser, path):
    browser.open(path, 1280, 850)
    choose(browser, "adam")
    at_epochs = ranks(browser)
    browser.evaluate("document.querySelector('input[value=updates]').click()")
    at_updates = ranks(browser)
    assert "SGD (batch 1)" in at_epochs[0]
    assert "BGD (full batch)" in at_updates[0]
    assert "20 updates" in browser.evaluate("document.getElementById('budget-text').innerText")
    assert "BGD (full batch) leads" in browser.evaluate("document.getElementById('changes').innerText")


def test_the_budget_moves_the_order(browser, path):
    browser.open(path, 1280, 850)
    choose(browser, "adam")
    browser.evaluate("document.querySelector('input[value=updates]').click()")
    slide = (
        "(() => { const slider = document.getElementById('budget'); slider.value = {};"
        "slider.dispatchEvent(new Event('input')); })()"
    )
    browser.evaluate(slide.replace("{}", "0"))
    assert "only BGD (full batch) has been measured" in browser.evaluate(
        "document.getElementById('changes').innerText"
    )
    browser.evaluate(slide.replace("{}", "slider.max"))
    assert [row.split()[0] for row in ranks(browser)] == ["1", "2", "3", "4"]
    assert "SGD (batch 1)" in ranks(browser)[0]


def test_a_heading_sorts_and_what_diverged_comes_last(browser, path):
    browser.open(path, 1280, 850)
    rows = "[...document.querySelector('.cells').querySelectorAll('tbody tr')]"
    scores = f"{rows}.map(row => row.cells[4].dataset.sort)"
    for _ in range(2):
        browser.evaluate("document.querySelectorAll('.cells thead tr:last-child button')[4].click()")
        *known, last = browser.evaluate(scores)
        assert last == ""
    known = [float(score) for score in known]
    assert known == sorted(known, reverse=True)
    assert browser.evaluate("document.querySelectorAll('.cells th[aria-sort=descending]').length") == 1


LABELS = """
[...document.querySelectorAll('.plot')]
  .filter(plot => plot.data.some(trace => trace.type === 'heatmap'))
  .map(plot => {
    const labels = [...plot.querySelectorAll('.xaxislayer-above .xtick text, .xaxislayer-below .xtick text')];
    const { left, right, bottom } = plot.getBoundingClientRect();
    return { left, right, bottom, labels: labels.map(label => {
      const place = label.getBoundingClientRect();
      return [label.textContent, place.left, place.right, Math.round(place.bottom)];
    }) };
  })
"""


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_rates_of_a_map_do_not_touch_and_name_the_chosen(browser, made, path, width):
    browser.open(path, width, 850)
    drawn = browser.evaluate(LABELS)
    names = [str(name) for name in made.grid.optimizer.values]
    assert len(drawn) == len(names)
    for name, plot in zip(names, drawn, strict=True):
        labels = sorted((label for label in plot["labels"] if label[0]), key=lambda label: label[1])
        for line in {label[3] for label in labels}:
            for before, after in pairwise(label for label in labels if label[3] == line):
                assert before[2] + 2 < after[1]
        assert plot["left"] <= labels[0][1]
        assert max(label[2] for label in labels) <= plot["right"] + 1
        assert max(label[3] for label in labels) <= plot["bottom"]
        rates = made.grid.learning_rate.sel(optimizer=name).values
        chosen = np.flatnonzero(np.isin(rates, made.fresh.learning_rate.sel(optimizer=name).values))
        # Where chosen rates are neighbours on a narrow map, every other one is a line below.
        assert {f"{rates[k]:g}" for k in (0, *chosen, -1)} <= {label[0] for label in labels}
    assert_quiet(browser)


def test_a_map_names_every_rate_where_two_lines_hold_them(browser, made, path):
    browser.open(path, 1280, 850)
    for name, plot in zip(made.grid.optimizer.values, browser.evaluate(LABELS), strict=True):
        rates = made.grid.learning_rate.sel(optimizer=name).values
        assert [label[0] for label in plot["labels"] if label[0]] == [f"{rate:g}" for rate in rates]


def test_command_and_snippet_can_be_copied(browser, path):
    browser.open(path, 1280, 850)
    for what in (0, 1):
        button = f"document.querySelector('.copy[data-copies=code-{what}]')"
        browser.evaluate(f"{button}.click()")
        browser.evaluate("new Promise(done => setTimeout(done, 200))")
        # Without leave to write to the clipboard the text is selected instead.
        assert browser.evaluate(f"{button}.innerText") in ("Copied", "Selected")
        if browser.evaluate(f"{button}.innerText") == "Selected":
            text = browser.evaluate(f"document.getElementById('code-{what}').textContent")
            assert browser.evaluate("getSelection().toString()").strip() == text.strip()
    assert_quiet(browser)


def test_where_all_diverged_the_page_still_draws(browser, synthetic_comparison, tmp_path):
    made = synthetic_comparison(
        "loss", optimizers=("adam",), batch_sizes=(32,), epochs=1, seeds=1, fresh_seeds=2
    )
    nothing = made.fresh.valid_loss.where(made.fresh.epoch > 99)
    grid = made.grid.isel(rate=[1]).assign(status=made.grid.status.isel(rate=[1]).where(False, "diverged"))
    of_comparison.write(
        dataclasses.replace(made, fresh=made.fresh.assign(valid_loss=nothing), grid=grid),
        tmp_path / "page.html",
    )
    browser.open(tmp_path / "page.html", 390, 850)
    assert "diverged" in ranks(browser)[0]
    assert_quiet(browser)
