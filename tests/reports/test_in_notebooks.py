"""What a notebook shows of a comparison."""

from html import unescape


def test_a_comparison(comparison):
    html = comparison._repr_html_()
    text = unescape(html)
    assert text.index(comparison.sentence) < text.index("optimizer") < text.index(comparison.details[0])
    assert all(f"! {line}" in text for line in comparison.warnings)
    assert html.count("<tr") == 9
    assert text.count(" *</td>") == (comparison.recommended is not None)


def test_names_stay_text(synthetic_comparison):
    html = synthetic_comparison(data="<img src=x>.csv")._repr_html_()
    assert "<img" not in html
    assert "&lt;img src=x&gt;.csv" in html
