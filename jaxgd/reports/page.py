"""A page of sections, each of words, figures and a table, as one HTML file that needs no network."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import unescape
from itertools import product
from typing import Any, NamedTuple

import jinja2
import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.colors import get_colorscale
from plotly.offline import get_plotlyjs

from jaxgd.reports.style import COLOUR_SCALE, GLYPHS

SMALL = 4  # columns from which on figures are small: one legend says what their colours and axes are

_WIDE = 48  # characters from which on a column of text may have several lines
_NUMBER = re.compile(r"([-+−]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?)(?: ?%)?(?: ± .*| of \d+)?")


class Choice(NamedTuple):
    """Figures of which a reader chooses one, by a value for each of the names.

    figures: by their values, for every combination of those that occur. The same name chooses the same value
    on the whole page.
    """

    names: tuple[str, ...]
    figures: Mapping[tuple[str, ...], go.Figure]


class TableCell(NamedTuple):
    """An entry of a table: its text, what it is sorted by ("" comes last), and a picture before the text."""

    text: str
    key: float | str
    picture: Markup = Markup()


class SortedTable(NamedTuple):
    """A table that its headings sort.

    head: texts of the columns. rows: texts, sorted as numbers where they are, or entries.
    groups: `(columns, text)` above the head. marked: rows that are set apart.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str | TableCell]]
    groups: Sequence[tuple[int, str]] = ()
    marked: Sequence[int] = ()

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, str | TableCell]], **more: Any) -> "SortedTable":
        """The table of one row or more, each the entries by their columns' heads."""
        return cls(list(rows[0]), [list(row.values()) for row in rows], **more)


class Section(NamedTuple):
    """A heading, a paragraph, figures, a table, a caption.

    columns: of figures, at most. ranks: whether the first figure, of learning curves, has the order of its
    curves within a budget beside it.
    """

    title: str
    words: str
    figures: Sequence[go.Figure | Choice] = ()
    table: SortedTable | None = None
    caption: str = ""
    columns: int = 2
    ranks: bool = False


def sections_page(
    kicker: str,
    headline: str,
    deck: str | Sequence[str],
    sections: Sequence[Section],
    facts: Mapping[str, str],
    warnings: Sequence[str] = (),
    code: Mapping[str, str] | None = None,
    *,
    lead: str = "",
) -> str:
    """The whole HTML document, plotly.js included; all texts are plain text.

    Args:
        kicker: the line above the headline, and the start of the window's title.
        headline: what was found, in a sentence or its first clause.
        deck: the line below it, or several.
        sections: in their order.
        facts: what the page rests on, by name.
        warnings: what a reader must know first.
        code: what can be copied, by name.
        lead: how the headline goes on, in a size for reading.
    """
    shown = [_shown(place, section) for place, section in enumerate(sections)]
    figures = {figure["place"]: figure.pop("payload") for section in shown for figure in section["figures"]}
    scripts = [get_plotlyjs(), _text_of("page.js")]
    return _template().render(
        policy=Markup(_policy(scripts)),
        kicker=kicker,
        headline=headline,
        lead=lead,
        deck=[deck] if isinstance(deck, str) else deck,
        sections=shown,
        facts=facts,
        warnings=warnings,
        code=code or {},
        payload=_payload({"figures": figures, "glyphs": GLYPHS}),
        scripts=[Markup(script) for script in scripts],
    )


def _policy(scripts: Sequence[str]) -> str:
    """What a browser may run on the page: scripts of exactly these texts; and load: what the page carries.

    Styles may stand in the page: plotly.js adds its own, and without a request no style can tell anything.
    """
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> jinja2.Environment:
    """The templates beside this module; whatever they are given is escaped unless it is marked as HTML."""
    loader = jinja2.PackageLoader("jaxgd.reports", "templates")
    options: dict[str, Any] = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    return jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, **options)


def _template() -> jinja2.Template:
    return _environment().get_template("page.html")


@cache
def _text_of(name: str) -> str:
    """The text of a file among the templates."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _payload(data: Any) -> Markup:
    """Data as JSON that can stand inside a script element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), default=_plain)
    # "</script>" and "<!--" would end or change the element that holds the JSON.
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in the page's JSON")


def _shown(place: int, section: Section) -> dict[str, Any]:
    """A section as its template reads it."""
    is_small = section.columns >= SMALL
    figures = [_figure(f"figure-{place}-{k}", figure, is_small) for k, figure in enumerate(section.figures)]
    choices = {name: options for figure in figures for name, options in figure["choices"].items()}
    return {
        **section._asdict(),
        "figures": figures,
        "is_small": is_small,
        "choices": choices,
        "legend": _legend(_first(section.figures[0])) if is_small and figures else None,
        "table": section.table and _table(section.table),
    }


def _first(figure: go.Figure | Choice) -> go.Figure:
    return next(iter(figure.figures.values())) if isinstance(figure, Choice) else figure


def _figure(place: str, figure: go.Figure | Choice, is_small: bool) -> dict[str, Any]:
    """A figure's place, title, words, clocks and what chooses it, and what the page's script draws."""
    names, figures = figure if isinstance(figure, Choice) else ((), {(): figure})
    options = [list(dict.fromkeys(values)) for values in zip(*figures, strict=True)]
    layout: Any = _first(figure).layout
    meta = layout.meta or {}
    drawn = [figures[values].to_plotly_json() for values in product(*options)]
    titles = [unescape(one["layout"].get("title", {}).get("text") or "") for one in drawn]
    return {
        "place": place,
        "title": titles[0],
        "words": meta.get("words"),
        "clocks": list(meta.get("clocks", ())),
        "clock": meta.get("clock"),
        "choices": dict(zip(names, options, strict=True)),
        "payload": {
            "names": names,
            "counts": [len(values) for values in options],
            "figures": drawn,
            "titles": titles,
            "small": is_small,
        },
    }


def _legend(figure: go.Figure) -> dict[str, Any] | None:
    """The colours of small maps with their values, and what their other signs mean."""
    data: Any = figure.data
    colours = next((trace for trace in data if trace.type == "heatmap"), None)
    if colours is None:
        return None
    low, high, bar = colours.zmin, colours.zmax, colours.colorbar
    layout: Any = figure.layout
    return {
        "stops": ",".join(f"{colour} {100 * at:.0f}%" for at, colour in get_colorscale(COLOUR_SCALE)),
        "ticks": [
            (f"{100 * (value - low) / (high - low):.1f}", text)
            for value, text in zip(bar.tickvals, bar.ticktext, strict=True)
        ],
        "signs": [unescape(trace.name).replace("_", " ") for trace in data if trace.name],
        "axes": [axis.title.text.replace("_", " ") for axis in (layout.xaxis, layout.yaxis)],
    }


def _table(table: SortedTable) -> dict[str, Any]:
    """A table as its template reads it: every entry with its key; a column without numbers is text."""
    rows = [[_entry(entry) for entry in row] for row in table.rows]
    keys = [[row[column].key for row in rows] for column in range(len(table.head))]
    is_text = [any(isinstance(key, str) and key for key in column) for column in keys]
    kinds = ["text" if text else "number" for text in is_text]
    wide = [text and max(len(row[k].text) for row in rows) > _WIDE for k, text in enumerate(is_text)]
    return {
        "groups": table.groups,
        "head": list(zip(table.head, kinds, strict=True)),
        "rows": [list(zip(row, kinds, wide, strict=True)) for row in rows],
        "marked": table.marked,
    }


def _entry(entry: str | TableCell) -> TableCell:
    """An entry of a text: sorted as the number that it is, or else as a text."""
    if isinstance(entry, TableCell):
        return entry._replace(key="") if entry.key != entry.key else entry
    if found := _NUMBER.fullmatch(entry):
        return TableCell(entry, float(found[1].replace(",", "").replace("−", "-")))
    return TableCell(entry, "" if entry in ("–", "diverged", "not run") else entry)
