"""A page of sections, each of words, figures and a table, as one HTML file that needs no network."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs


class Section(NamedTuple):
    """A heading, a paragraph, figures (two in a row), a table's rows (the first its head), a caption."""

    title: str
    words: str
    figures: Sequence[go.Figure] = ()
    rows: Sequence[Sequence[str]] = ()
    caption: str = ""


def sections_page(
    kicker: str,
    headline: str,
    deck: str,
    sections: Sequence[Section],
    facts: Mapping[str, str],
    warnings: Sequence[str] = (),
) -> str:
    """The whole HTML document, plotly.js included; all texts are plain text.

    Args:
        kicker: the line above the headline, and the start of the window's title.
        headline: what was found, in a sentence.
        deck: the line below it.
        sections: in their order.
        facts: what the page rests on, by name.
        warnings: what a reader must know first.
    """
    figures = {f"figure-{i}-{k}": f for i, s in enumerate(sections) for k, f in enumerate(s.figures)}
    return Template(_asset("sections.html")).substitute(
        css=_asset("page.css"),
        script=_asset("sections.js"),
        plotly=get_plotlyjs(),
        payload=_payload({place: figure.to_plotly_json() for place, figure in figures.items()}),
        kicker=escape(kicker),
        headline=escape(headline),
        deck=escape(deck),
        warnings=_warnings(warnings),
        sections="\n".join(_section(place, section) for place, section in enumerate(sections)),
        facts="\n".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()),
    )


def _asset(name: str) -> str:
    return (files("jaxgd.reports") / name).read_text(encoding="utf-8")


def _payload(figures: Mapping[str, Any]) -> str:
    """The figures as JSON that can stand inside a script element."""
    text = json.dumps(figures, allow_nan=False, separators=(",", ":"), default=_plain)
    # "</script>" and "<!--" would end or change the element that holds the JSON.
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in the page's JSON")


def _warnings(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    heading = "<h2>Before you rely on it</h2>"
    return f'<aside class="warnings" aria-label="Warnings">{heading}<ul>{items}</ul></aside>'


def _section(place: int, section: Section) -> str:
    title = f'<h2 id="title-{place}">{escape(section.title)}</h2>'
    drawn = "\n".join(_figure(f"figure-{place}-{k}", figure) for k, figure in enumerate(section.figures))
    columns = " two" if len(section.figures) > 1 else ""
    parts = [title, f"<p>{escape(section.words)}</p>"]
    parts += [f'<div class="figures{columns}">\n{drawn}\n</div>'] if drawn else []
    parts += [_table(place, section.rows)] if section.rows else []
    parts += [f'<p class="note">{escape(section.caption)}</p>'] if section.caption else []
    return f'<section aria-labelledby="title-{place}">\n' + "\n".join(parts) + "\n</section>"


def _figure(place: str, figure: go.Figure) -> str:
    """A figure under its title, which the page writes in its own letters."""
    title = figure.layout.title.text or ""
    label = f'id="{place}" class="plot" role="img" aria-labelledby="{place}-title"'
    return f'<figure><p class="figure-title" id="{place}-title">{title}</p><div {label}></div></figure>'


def _table(place: int, rows: Sequence[Sequence[str]]) -> str:
    """The rows as a table; a column whose first entry has no digit is text."""
    texts = [not any(c.isdigit() for c in entry) for entry in rows[1]]

    def row(entries, tag, scope=""):
        starts = (f'<{tag}{scope} class="text">' if text else f"<{tag}{scope}>" for text in texts)
        cells = (f"{start}{escape(entry)}</{tag}>" for start, entry in zip(starts, entries, strict=True))
        return f"<tr>{''.join(cells)}</tr>"

    head, body = row(rows[0], "th", ' scope="col"'), "".join(row(entries, "td") for entries in rows[1:])
    scroll = f'<div class="scroll" tabindex="0" role="group" aria-labelledby="title-{place}">'
    return f'{scroll}<table class="lines"><thead>{head}</thead><tbody>{body}</tbody></table></div>'
