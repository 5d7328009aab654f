"""What the blocks of a page print and draw, below each block."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path

from building.blocks import blocks, kept_of
from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util import logging

_log = logging.getLogger(__name__)
_HERE = Path(__file__).parent


def run_missing(app, env, added, changed, removed) -> list[str]:
    """Run the pages that no test has run as they are now, two at a time.

    Returns: the names of those that now show something else, for Sphinx to read again.
    """
    pages = {name: Path(env.doc2path(name)) for name in sorted(env.found_docs)}
    pages = {name: page for name, page in pages.items() if page.suffix == ".md" and blocks(page)}
    missing = [page for page in pages.values() if kept_of(page) is None] if app.config.run_pages else []
    with ThreadPoolExecutor(2) as pool:
        for page, run in zip(missing, pool.map(_run, missing), strict=True):
            if run.returncode:
                raise ExtensionError(f"{page.name} does not run:\n{run.stdout}")
            _log.info("ran %s", page.name)
    before = getattr(env, "shown_by_pages", {})
    env.shown_by_pages = {name: kept_of(page) for name, page in pages.items()}
    return [name for name, shown in env.shown_by_pages.items() if before.get(name) != shown]


def _run(page: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(_HERE / "blocks.py"), str(page)]
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def add_outputs(app, doctree: nodes.document) -> None:
    """Put below each Python block of a page what it has shown."""
    shown = app.env.shown_by_pages.get(app.env.docname)
    if shown is None:
        return
    code = [block for block in doctree.findall(nodes.literal_block) if block.get("language") == "python"]
    if len(code) != len(shown):
        raise ExtensionError(f"{app.env.docname} has {len(code)} blocks of Python, of which {len(shown)} ran")
    for place, (block, output) in enumerate(zip(code, shown, strict=True)):
        block.parent.insert(block.parent.index(block) + 1, _nodes(output, place))


def _nodes(output, place: int) -> list[nodes.Node]:
    made: list[nodes.Node] = []
    if output.text.strip():
        text = nodes.literal_block(output.text, output.text.rstrip("\n"), language="text")
        made.append(nodes.container("", text, classes=["output"]))
    if output.table:
        made.append(nodes.raw("", f'<div class="output table">{output.table}</div>', format="html"))
    if output.figure:
        made.append(nodes.raw("", _figure(output.figure, place), format="html"))
    return made


def _figure(figure: str, place: int) -> str:
    """The figure as data, which `figures.js` draws."""
    layout = json.loads(figure)["layout"]
    height = layout.get("height", 420)
    label = escape(layout.get("title", {}).get("text", "figure"), quote=True)
    data = figure.replace("</", "<\\/")
    attributes = f'id="figure-{place}" role="img" aria-label="{label}" style="height: {height}px"'
    return f'<div class="figure-of-block" {attributes}><script type="application/json">{data}</script></div>'


def add_scripts(app, name, template, context, doctree) -> None:
    """Load Plotly on the pages that draw, and on no others."""
    if doctree is not None and any("figure-of-block" in raw.astext() for raw in doctree.findall(nodes.raw)):
        app.add_js_file("plotly.min.js", loading_method="defer")
        app.add_js_file("figures.js", loading_method="defer")


def copy_plotly(app) -> None:
    """Put Plotly beside the site's own files, once."""
    from plotly.offline import get_plotlyjs

    if app.builder.format == "html":
        static = Path(app.outdir, "_static")
        static.mkdir(parents=True, exist_ok=True)
        (static / "plotly.min.js").write_text(get_plotlyjs())


def setup(app):
    """Run what has not run, and show what was shown."""
    app.add_config_value("run_pages", True, "")
    app.connect("builder-inited", copy_plotly)
    app.connect("env-get-outdated", run_missing)
    app.connect("doctree-read", add_outputs)
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True}
