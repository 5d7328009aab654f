"""Texts of others on pages: they are shown as they are, and nothing in them runs or is asked for."""

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import jaxgd
from jaxgd.landscape.curvature import SharpnessPath, Spectrum
from jaxgd.landscape.networks.close_up import LookedAt, SweepLandscape
from jaxgd.landscape.networks.directions import Directions
from jaxgd.landscape.networks.planes import Line, Plane
from jaxgd.reports.page import Choice, Section, SortedTable, TableCell, sections_page
from jaxgd.reports.pages import of_comparison, of_sweep
from jaxgd.reports.pages.of_landscape import landscape_page

# Each would set `ran`, ask for something or leave the page, if a page took it for more than text.
PAYLOADS = (
    "<script>window.ran=1</script>",
    "</script><script>window.ran=1</script>",
    "</title><script>window.ran=1</script>",
    "</style><script>window.ran=1</script>",
    "</option></select><script>window.ran=1</script>",
    "<ScRiPt>window.ran=1</sCrIpT>",
    "<scr<script>ipt>window.ran=1</script>",
    "<!--<script>window.ran=1",
    "--><script>window.ran=1</script>",
    "]]><script>window.ran=1</script>",
    "<img src=x onerror=window.ran=1>",
    '"><img src=x onerror=window.ran=1>',
    "'><img src=x onerror=window.ran=1>",
    "<svg onload=window.ran=1>",
    "<svg><script>window.ran=1</script></svg>",
    "<svg><animate onbegin=window.ran=1 attributeName=x dur=1s>",
    "<body onload=window.ran=1>",
    "<details open ontoggle=window.ran=1>",
    "<input autofocus onfocus=window.ran=1>",
    '" autofocus onfocus="window.ran=1" x="',
    "' onmouseover='window.ran=1' x='",
    "<iframe srcdoc='<script>parent.ran=1</script>'></iframe>",
    '<a href="javascript:window.ran=1">x</a>',
    '<a href="data:text/html,<script>opener.ran=1</script>" target="_top">x</a>',
    "<meta http-equiv=refresh content='0;url=https://example.invalid/'>",
    "<link rel=stylesheet href=https://example.invalid/x.css>",
    "<style>@import 'https://example.invalid/x.css'; body { display: none }</style>",
    "<base href=https://example.invalid/>",
    "${window.ran=1} {{ 7 * 7 }} {% raw %} %{customdata} \\u003cscript\\u003ewindow.ran=1",
    "&lt;img src=x onerror=window.ran=1&gt; &#x3C;script&#x3E; \u2028window.ran=1//\u202e",
)
HARMLESS = "a text"


class Tags(HTMLParser):
    """The elements of a page with the names of their attributes, in their order."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, *(name for name, _ in attrs)))


def page_of(*texts):
    """A page that has the texts wherever a page can have one; in its head the first."""
    named = {text: text for text in texts}
    return sections_page(texts[0], texts[0], texts, [_section(text) for text in texts], named, texts, named)


def _section(text):
    figures = {(f"{text} {k}",): _figure(text) for k in range(2)}
    table = SortedTable([text, "n"], [[text, TableCell(text, text)]], groups=[(2, text)], marked=[0])
    return Section(text, text, [_figure(text), Choice((text,), figures)], table, text)


def _figure(text):
    from html import escape

    import plotly.graph_objects as go

    figure = go.Figure(go.Scatter(x=[1], y=[1], name=escape(text), text=[escape(text)]))
    return figure.update_layout(title={"text": escape(text)}, meta={"words": text})


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_text_adds_no_element_and_no_attribute(payload):
    assert Tags(page_of(payload)).found == Tags(page_of(HARMLESS)).found


def policy_of(html):
    content = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    return dict(part.strip().split(" ", 1) for part in content.split(";"))


def test_the_policy_allows_the_scripts_of_the_page_and_no_other():
    policy = policy_of(page_of(HARMLESS))
    assert policy["default-src"] == "'none'"
    assert re.fullmatch(r"('sha256-[A-Za-z0-9+/]{43}=' ?){2}", policy["script-src"])
    assert policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy == policy_of(page_of(PAYLOADS[0]))


def renamed(comparison, texts):
    """The comparison with texts for the names of its optimizers, and more wherever it has a text."""
    names = [str(name) for name in comparison.grid.optimizer.values]
    new = dict(zip(names, texts, strict=False))
    assert len(new) == len(names)
    cells = [dataclasses.replace(cell, optimizer=new[cell.optimizer]) for cell in comparison.cells]
    datasets = {
        part: getattr(comparison, part).assign_coords(optimizer=[new[name] for name in names])
        for part in ("grid", "fresh", "clock")
    }
    first = texts[0]
    about = comparison.about._replace(
        splits=first, model=first, device=first, command=first, intervals=first, versions={first: first}
    )
    return dataclasses.replace(
        comparison,
        **datasets,
        data=first,
        cells=cells,
        recommended=cells[0],
        sentence=first,
        details=list(texts),
        warnings=list(texts),
        about=about,
        snippet=first,
        classes=tuple(texts[k % len(texts)] for k in range(10)),
    )


def comparison_pages(make):
    """Pages whose optimizers, classes, warnings and other texts are the payloads."""
    made = make(
        optimizers=("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam"),
        batch_sizes=(1078, 32),
        epochs=3,
        seeds=1,
    )
    for place in range(0, len(PAYLOADS), 6):
        yield of_comparison.page(renamed(made, PAYLOADS[place : place + 6]))


PROBLEM = jaxgd.regression(jaxgd.linear(1, 1), *[(np.ones((4, 1), np.float32), np.ones(4, np.float32))] * 2)


@pytest.fixture(scope="module")
def result():
    """A sweep with the payloads as values of one axis; the others have two plain ones each."""
    axes = {"one": list(PAYLOADS), "two": ["x", "y"], "learning_rate": [0.01, 0.1]}

    def make_trainer(hp):
        assert hp.one
        assert hp.two
        return jaxgd.trainer(PROBLEM, jaxgd.sgd(hp.learning_rate), "full")

    return jaxgd.sweep(make_trainer, axes, 2, progress=False, clock=True)


def hostile_sweep(result, names):
    """The sweep with its axes, its spec and its plan named by payloads."""
    renaming = dict(zip(("one", "two", "learning_rate"), names, strict=True))
    axes = {renaming.get(name, name): values for name, values in result.axes.items()}
    first = names[0]
    table = {name: name for name in names}
    spec = {"data": first, "fixed": table, "early_stopping": table, "budget": table}
    groups = [
        dataclasses.replace(group, optimizer=first, batch_size=first, reason=first)
        for group in result.plan.groups
    ]
    plan = dataclasses.replace(result.plan, groups=groups, device=first, versions=table)
    dataset = result.dataset.rename(renaming).assign_attrs(seed_policy=first)
    return dataclasses.replace(result, dataset=dataset, axes=axes, spec=spec, plan=plan)


def sweep_pages(result):
    for place in range(0, len(PAYLOADS), 3):
        yield of_sweep.page(hostile_sweep(result, PAYLOADS[place : place + 3]))


def landscape_pages(result):
    """Pages of landscapes whose axes, values, runs and data are the payloads."""
    x = np.linspace(-1, 1, 3)
    places = np.array([[1.0, 0.5, 0], [0.5, 1, 0]])
    plane = Plane(x, x, 1 + x**2 + x[:, None] ** 2, Directions(None, None, ("a", "b"), places, np.array(0.9)))
    along = SharpnessPath(np.arange(3), np.ones(3), np.ones(3), np.full(3, 20.0))
    spectrum = Spectrum(np.array([[0.0, 5]]), np.array([[0.9, 0.1]]))
    for place in range(0, len(PAYLOADS), 3):
        texts = PAYLOADS[place : place + 3]
        swept = hostile_sweep(result, texts)
        status = swept.dataset.status
        names = ("sharpness", "smallest_eigenvalue", "trace", "trace_error", "loss")
        measured = {name: (status.dims, np.ones(status.shape)) for name in names}
        curvature = status.coords.to_dataset().assign(measured)
        coords = {name: values[0] for name, values in swept.axes.items()}
        runs = [
            LookedAt(text, {**coords, texts[0]: text}, plane, along, spectrum, is_repeat=False)
            for text in texts
        ]
        line = Line(x, np.array([1.0, 3, 1]))
        limits = np.ones(status.shape)
        landscape = SweepLandscape(
            swept, curvature, limits, texts[0], "valid_loss", runs, line, texts[1], 100, 2.0
        )
        yield landscape_page(landscape, texts[2], {"Command": texts[0], texts[1]: texts[1]})


FOREIGN = """[...document.querySelectorAll('*')].filter(element =>
    ['IFRAME', 'OBJECT', 'EMBED', 'BASE', 'A'].includes(element.tagName) && !element.closest('.plot')
    || element.tagName === 'A' && element.hasAttribute('href')
    || [...element.attributes].some(each => each.name.startsWith('on'))).length"""
CHOOSE = """document.querySelectorAll('select').forEach(select => [...select.options].forEach(option => {
    select.value = option.value; select.dispatchEvent(new Event('change')); }))"""
CLICK = "document.querySelectorAll('button, input[type=radio]').forEach(element => element.click())"


def assert_inert(browser, html, path):
    """The page draws its figures, and nothing of what it shows has run, been asked for or made an element."""
    path.write_text(html, encoding="utf-8")
    browser.open(path, 1280, 850)
    browser.evaluate(CHOOSE)
    browser.evaluate(CLICK)
    browser.evaluate("new Promise(done => setTimeout(done, 50))")
    assert browser.evaluate("window.ran") is None
    assert browser.evaluate("location.href") == path.resolve().as_uri()
    assert browser.evaluate("document.scripts.length") == 3
    assert browser.evaluate(FOREIGN) == 0
    drawn = "[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('svg.main-svg'))"
    assert browser.evaluate(drawn)
    assert browser.errors == []
    assert {url.split(":")[0] for url in browser.requests} <= {"file", "data", "blob"}


@pytest.mark.slow
def test_every_text_of_a_page_is_inert(browser, tmp_path):
    assert_inert(browser, page_of(*PAYLOADS), tmp_path / "page.html")


@pytest.mark.slow
def test_a_comparison_is_inert(browser, synthetic_comparison, tmp_path):
    for html in comparison_pages(synthetic_comparison):
        assert_inert(browser, html, tmp_path / "page.html")


@pytest.mark.slow
def test_a_sweep_is_inert(browser, result, tmp_path):
    for html in sweep_pages(result):
        assert_inert(browser, html, tmp_path / "page.html")


@pytest.mark.slow
def test_a_landscape_is_inert(browser, result, tmp_path):
    for html in landscape_pages(result):
        assert_inert(browser, html, tmp_path / "page.html")


@pytest.mark.slow
def test_what_got_into_a_page_would_still_not_run(browser, tmp_path):
    injected = (
        "<script>window.ran = 1</script><img src='data:,' onerror='window.ran = 2'>"
        "<script src='https://example.invalid/x.js'></script></main>"
    )
    path = tmp_path / "page.html"
    path.write_text(page_of(HARMLESS).replace("</main>", injected), encoding="utf-8")
    browser.open(path, 1280, 850)
    later = "const made = document.createElement('script'); made.textContent = 'window.ran = 3';"
    browser.evaluate(f"(() => {{ {later} document.body.append(made); }})()")
    browser.evaluate("new Promise(done => setTimeout(done, 100))")
    assert browser.evaluate("window.ran") is None
    assert sum("Content Security Policy" in error for error in browser.errors) >= 4
    assert browser.evaluate("document.querySelector('.plot svg.main-svg') !== null")
