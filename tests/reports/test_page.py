import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest

from jaxgd.reports.page import Choice, Section, SortedTable, TableCell, sections_page


def page(**changes):
    figure = go.Figure(go.Scatter(x=[1, 2], y=[np.float32(3), None], name="</script>"))
    figure.update_layout(title={"text": "a figure"})
    table = SortedTable(["name", "value"], [["one", "1.5 ± 0.1"], ["<two>", "2"]])
    sections = [Section("First", "Words.", [figure, figure], table, "A caption."), Section("Second", "More.")]
    given = {"kicker": "jaxgd test", "headline": "It is < so", "deck": "Deck.", "sections": sections}
    return sections_page(**{**given, "facts": {"Data": "digits & more"}, **changes})


def test_texts_are_escaped_and_in_their_order():
    html = page()
    places = [
        html.index(f">{t}<") for t in ("It is &lt; so", "Deck.", "First", "Words.", "A caption.", "Second")
    ]
    assert places == sorted(places)
    assert "<dd>digits &amp; more</dd>" in html
    assert (
        '<td class="text" data-sort="&lt;two&gt;">&lt;two&gt;</td><td class="number" data-sort="2.0">2</td>'
        in html
    )
    assert "$" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_every_figure_has_its_place_and_its_title():
    html = page()
    carried = json.loads(re.search(r'id="page-data">(.*?)</script>', html)[1])["figures"]
    assert list(carried) == ["figure-0-0", "figure-0-1"]
    assert carried["figure-0-0"]["figures"][0]["data"][0]["y"] == [3, None]
    for place in carried:
        assert f'<p class="figure-title" id="{place}-title">a figure</p>\n<div id="{place}"' in html


def test_it_asks_for_nothing_from_outside():
    html = re.sub(r"<script.*?</script>", "", page(), flags=re.DOTALL)
    assert not re.search(r'(src|href)="', html)


@pytest.mark.parametrize(("warnings", "count"), [([], 0), (["One <seed>."], 1)])
def test_warnings_stand_there_only_when_there_are_any(warnings, count):
    html = page(warnings=warnings)
    assert html.count("<aside") == count
    assert html.count("<li>One &lt;seed&gt;.</li>") == count


def test_a_choice_has_a_figure_for_every_combination():
    both = [("a<b", "x"), ("a<b", "y"), ("c", "x"), ("c", "y")]
    figures = {key: go.Figure(layout={"title": {"text": " ".join(key)}}) for key in both}
    html = page(sections=[Section("One", "Words.", [Choice(("Name", "Other"), figures)])])
    carried = json.loads(re.search(r'id="page-data">(.*?)</script>', html)[1])["figures"]["figure-0-0"]
    assert carried["counts"] == [2, 2]
    assert carried["titles"] == ["a<b x", "a<b y", "c x", "c y"]
    assert re.findall(r"<option>([^<]*)</option>", html) == ["a&lt;b", "c", "x", "y"]


def test_entries_are_sorted_as_the_numbers_that_they_are():
    rows = [["12,300", "1 of 5", "−2 ± 1", "64 lanes", TableCell("2 ms", 0.002)]]
    rows += [["7", "0", "diverged", "3 lanes", TableCell("–", float("nan"))]]
    html = page(sections=[Section("One", "Words.", table=SortedTable(["a", "b", "c", "d", "e"], rows))])
    keys = re.findall(r'data-sort="([^"]*)"', html)
    assert keys == ["12300.0", "1.0", "-2.0", "64 lanes", "0.002", "7.0", "0.0", "", "3 lanes", ""]
    assert re.findall(r'<th scope="col" class="(\w+)"', html) == ["number"] * 3 + ["text", "number"]
