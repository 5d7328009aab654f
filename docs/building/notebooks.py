"""The pages of docs/notebooks as Jupyter notebooks with what their cells have shown, beside each page."""

import json
import re
from pathlib import Path

import jupytext
import nbformat
from building.blocks import DOCS, Shown, kept_of
from nbformat.v4 import new_output

NOTEBOOKS = DOCS / "notebooks"
_LINK = re.compile(r"(?<!!)\[([^]]+)\]\([^):]+\)")


def notebook(page: Path) -> nbformat.NotebookNode:
    """The page as a notebook. Links to other pages, which it does not have beside it, are words."""
    made = jupytext.reads(_LINK.sub(r"\1", page.read_text()), fmt="md")
    made.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    for place, (cell, shown) in enumerate(zip(code, kept_of(page) or [Shown()] * len(code), strict=True), 1):
        cell.outputs, cell.execution_count = _outputs(shown, place), place
    return made


def _outputs(shown: Shown, place: int) -> list[nbformat.NotebookNode]:
    made = [new_output("stream", name="stdout", text=shown.text)] if shown.text else []
    data = {"text/html": shown.table} if shown.table else {}
    if shown.figure:
        data = {"application/vnd.plotly.v1+json": json.loads(shown.figure)}
    return [*made, new_output("execute_result", data, execution_count=place)] if data else made


def link(app, doctree) -> None:
    """Say below a notebook's title where it can be had as a file."""
    from docutils import nodes

    page = Path(app.env.doc2path(app.env.docname))
    if page.parent != NOTEBOOKS or page.stem == "index":
        return
    html = f'<p class="download"><a href="{page.stem}.ipynb" download>Download as a notebook</a></p>'
    title = next(doctree.findall(nodes.title))
    title.parent.insert(title.parent.index(title) + 1, nodes.raw("", html, format="html"))


def write(app, error) -> None:
    """Write the notebooks into the site."""
    if error is None and app.builder.format == "html":
        for page in sorted(NOTEBOOKS.glob("*.md")):
            if page.stem != "index":
                nbformat.write(notebook(page), Path(app.outdir, "notebooks", f"{page.stem}.ipynb"))


def setup(app):
    """Link and write the notebooks."""
    app.connect("doctree-read", link)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True}
