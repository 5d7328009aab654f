"""Objects as a notebook shows them: a title over a table, all of it text, in the colours of the page."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

# Colours are those of the page, which may be dark: lines are grey on either, and nothing has a background.
_LINE = "1px solid rgba(128,128,128,.4)"
_CARD = "color:inherit;font:13px/1.45 system-ui,sans-serif;max-width:100%;overflow-x:auto"
_TITLE = "font-weight:600;margin:0 0 .3em"
_TABLE = "border-collapse:collapse;background:none;color:inherit;font:inherit;margin:0"
_ROW = "background:none"
_CELL = f"font-weight:inherit;border:0;border-top:{_LINE};padding:.2em 1.2em .2em 0;vertical-align:top"
_NOTE = "margin:.3em 0 0;opacity:.8"
# Longer texts, such as the repr of a large model, are cut.
_MOST_LETTERS = 400


def card(
    title: str, rows: Iterable[Sequence[Any]] = (), head: Sequence[str] = (), notes: Iterable[str] = ()
) -> str:
    """The HTML of a title, a table whose rows begin with what they are of, and lines below it.

    Args:
        title: a line of text.
        rows: cells of each row, texts or numbers, as many in each.
        head: what the columns are, where that is not plain.
        notes: lines of text.

    Example:
        >>> "<b>" in card("a <b>", [("rate", 0.1)])
        False
    """
    table = [list(row) for row in rows]
    sides = ["left" if isinstance(value, str) else "right" for value in table[0]] if table else []
    lines = [list(head), *table] if head else table
    body = "".join(f'<tr style="{_ROW}">{_cells(line, sides)}</tr>' for line in lines)
    below = "".join(f'<div style="{_NOTE}">{_text(note)}</div>' for note in notes)
    whole = f'<table style="{_TABLE}">{body}</table>' if body else ""
    return f'<div style="{_CARD}"><div style="{_TITLE}">{_text(title)}</div>{whole}{below}</div>'


def _cells(line: Sequence[Any], sides: Sequence[str]) -> str:
    """The cells of a line; the first says what it is of. A column stands on the side of its first value."""
    tags = ["th", *["td"] * len(line[1:])]
    styles = (f"{_CELL};text-align:{side}" for side in sides)
    cells = zip(tags, styles, line, strict=True)
    return "".join(f'<{tag} style="{style}">{_text(value)}</{tag}>' for tag, style, value in cells)


def _text(value: Any) -> str:
    """A text, without its end if it is long, or a number, escaped."""
    if isinstance(value, str):
        text = value if len(value) <= _MOST_LETTERS else f"{value[:_MOST_LETTERS]}..."
    else:
        text = f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
    return escape(text)
