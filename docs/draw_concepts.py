"""Redraws the pictures of the pages in docs/concepts: runs a page's blocks and writes its `figure` as SVG.

    python docs/draw_concepts.py              # every page
    python docs/draw_concepts.py momentum     # one of them

Needs the `docs` and `all` extras and a Chromium on the path, which runs Plotly's own export.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote

import jax
from claims import PAGES, replayed
from plotly.offline import get_plotlyjs

DOCS = Path(__file__).parent
IMAGES = DOCS / "images" / "concepts"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --virtual-time-budget=20000 --dump-dom"
)
PAGE = """<!doctype html><meta charset="utf-8"><div id="plot"></div><pre id="svg"></pre>
<script>{plotly}</script>
<script>
const figure = {figure};
Plotly.newPlot("plot", figure.data, figure.layout)
  .then(plot => Plotly.toImage(plot, {{format: "svg", width: {width}, height: {height}}}))
  .then(url => document.getElementById("svg").textContent = url);
</script>"""


def svg_of(figure) -> str:
    """The figure as Plotly draws it in a browser."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit("drawing needs Chromium")
    size = {"width": figure.layout.width, "height": figure.layout.height}
    html = PAGE.format(plotly=get_plotlyjs(), figure=figure.to_json(), **size)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        page.write_text(html)
        command = [browser, *FLAGS.split(), f"--user-data-dir={folder}/profile", page.as_uri()]
        dom = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"data:image/svg\+xml,([^<\"]+)", dom)
    if found is None:
        raise SystemExit("the browser drew nothing")
    return unquote(found[1])


def main(names: list[str]) -> None:
    """Draw the pages of these names, or all."""
    for page in sorted(PAGES.glob("*.md")):
        if page.stem != "index" and (not names or page.stem in names):
            svg = svg_of(replayed(page.stem, first_seed=0)["figure"])
            (IMAGES / f"{page.stem}.svg").write_text(svg)
            print(f"{page.stem}: {len(svg) / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 2)
    main(sys.argv[1:])
