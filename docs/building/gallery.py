"""The pictures of all pages on one page, each with a link to where it stands and the block that made it.

A block `{gallery}` names the pages, one a line.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from building.blocks import DOCS
from mdit_py_plugins.anchors.index import slugify

_GALLERY = re.compile(r"^```\{gallery\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PART = re.compile(
    r"^#{1,3} (?P<title>[^\n]+)$"
    r"|^```(?P<language>\w*)\n(?P<code>.*?)^```$"
    r"|^!\[(?P<alt>[^]]+)\]\((?P<link>[^)]+)\)",
    re.MULTILINE | re.DOTALL,
)


class Picture(NamedTuple):
    """A picture of a page.

    link: its file, from the page. alt: its words. heading: what it stands under. code: the block before it.
    """

    link: str
    alt: str
    heading: str
    code: str


def pictures(page: Path) -> Iterator[Picture]:
    """The pictures of a page, in order."""
    heading = code = ""
    for part in _PART.finditer(page.read_text()):
        if part["title"]:
            heading = part["title"]
        elif part["language"] == "python":
            code = part["code"]
        elif part["alt"]:
            yield Picture(part["link"], part["alt"], heading, code)


def title_of(page: Path) -> str:
    """The page's title."""
    found = re.search(r"^# (.+)$", page.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def expand(app, docname: str, source: list[str]) -> None:
    """Write the block of pages out, each as a section of its pictures."""
    found = _GALLERY.search(source[0])
    if found is None:
        return
    names = found[1].split()
    for name in names:
        app.env.note_dependency(str(DOCS / f"{name}.md"))
    sections = "\n".join(_section(name, DOCS / f"{name}.md") for name in names)
    source[0] = source[0].replace(found[0], sections)


def _section(name: str, page: Path) -> str:
    cards: dict[str, list[Picture]] = {}
    for picture in pictures(page):
        cards.setdefault(picture.code, []).append(picture)
    lines = [f"## [{title_of(page)}]({name}.md)", ""]
    return "\n".join(lines + [_card(name, page, *card) for card in cards.items()])


def _card(name: str, page: Path, code: str, shown: list[Picture]) -> str:
    images = []
    for picture in shown:
        path = (page.parent / picture.link).resolve().relative_to(DOCS)
        images.append(f"[![{picture.alt}]({path})]({name}.md#{slugify(picture.heading)})")
    heading = shown[0].heading
    summary = f"<details><summary>The code of “{heading}”</summary>"
    folded = [_html(summary), f"```python\n{code}```", _html("</details>")] if code else []
    return "\n\n".join([*images, *folded]) + "\n"


def _html(text: str) -> str:
    return f"```{{raw}} html\n{text}\n```"


def setup(app):
    """Write the gallery out when its page is read."""
    app.connect("source-read", expand)
    return {"parallel_read_safe": True}
