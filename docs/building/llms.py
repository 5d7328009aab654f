"""`llms.txt` at the root of the site: every page in a line, as the index has it, and every public name."""

import re
from pathlib import Path

from building.blocks import DOCS
from building.reference import entries, pages

_PAGE = re.compile(r"\]\(([\w/]+)\.md\)")


def text() -> str:
    """The text of `llms.txt`, whose links are relative to the site's root."""
    index = (DOCS / "index.md").read_text()
    title, about = index.split("\n\n")[:2]
    groups = index[index.index("## ") : index.index("```{toctree}")]
    quoted = " ".join(about.split())
    listed = _PAGE.sub(r"](\1.html)", groups).strip()
    return f"{title}\n\n> {quoted}\n\n{listed}\n\n{_names()}\n"


def _names() -> str:
    lines = []
    for page in pages():
        place = page.relative_to(DOCS).with_suffix(".html")
        named = entries(page.read_text())
        if named:
            lines += [f"#{page.read_text().splitlines()[0]}", ""]
        lines += [f"- [{entry.shown}]({place}#{entry.shown}): {entry.first_line}" for entry in named]
        lines += [""] if named else []
    return "\n".join(lines).strip()


def write(app, error) -> None:
    """Write it into the site."""
    if error is None and app.builder.format == "html":
        Path(app.outdir, "llms.txt").write_text(text())


def setup(app):
    """Write the file when all pages are there."""
    app.connect("build-finished", write)
    return {"parallel_read_safe": True}
