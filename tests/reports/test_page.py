import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest

from jaxgd.reports.page import Section, sections_page


def page(**changes):
    figure = go.Figure(go.Scatter(x=[1, 2], y=[np.float32(3), None], name="</script>"))
    figure.update_layout(title={"text": "a figure"})
    rows = [["name", "value"], ["one", "1.5 ± 0.1"], ["<two>", "2"]]
    sections = [Section("First", "Words.", [figure, figure], rows, "A caption."), Section("Second", "More.")]
    given = {"kicker": "jaxgd test", "headline": "It is < so", "deck": "Deck.", "sections": sections}
    return sections_page(**{**given, "facts": {"Data": "digits & more"}, **changes})


def test_texts_are_escaped_and_in_their_order():
    html = page()
    places = [
        html.index(f">{t}<") for t in ("It is &lt; so", "Deck.", "First", "Words.", "A caption.", "Second")
    ]
    assert places == sorted(places)
    assert "<dd>digits &amp; more</dd>" in html
    assert '<td class="text">&lt;two&gt;</td><td>2</td>' in html
    assert "$" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_every_figure_has_its_place_and_its_title():
    html = page()
    carried = json.loads(re.search(r'id="page-data">(.*?)</script>', html)[1])
    assert list(carried) == ["figure-0-0", "figure-0-1"]
    assert carried["figure-0-0"]["data"][0]["y"] == [3, None]
    for place in carried:
        assert f'<p class="figure-title" id="{place}-title">a figure</p><div id="{place}"' in html


def test_it_asks_for_nothing_from_outside():
    html = re.sub(r"<script.*?</script>", "", page(), flags=re.DOTALL)
    assert not re.search(r'(src|href)="', html)


@pytest.mark.parametrize(("warnings", "count"), [([], 0), (["One <seed>."], 1)])
def test_warnings_stand_there_only_when_there_are_any(warnings, count):
    html = page(warnings=warnings)
    assert html.count("<aside") == count
    assert html.count("<li>One &lt;seed&gt;.</li>") == count
