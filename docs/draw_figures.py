"""Redraws the pictures of docs/curvature.md and landscapes.md: runs their blocks and draws their `figures`.

    python docs/draw_figures.py                # both pages
    python docs/draw_figures.py curvature      # one of them

Needs the `docs` and `all` extras and a Chromium on the path, which runs Plotly's own export.
"""

import sys

import jax
from claims import BLOCK
from draw_concepts import DOCS, svg_of

# Width and height of each figure; None for the others of a page.
SIZES = {
    "curvature": {None: (760, 420)},
    "landscapes": {
        None: (400, 400),
        "paths": (760, 560),
        "losses": (760, 400),
        "escape": (760, 400),
        "hikers": (1040, 360),
    },
}


def draw(page: str) -> None:
    """Draw every figure of a page as SVG."""
    namespace, images = {"__name__": page}, DOCS / "images" / page
    for block in BLOCK.findall((DOCS / f"{page}.md").read_text()):
        exec(compile(block, f"{page}.md", "exec"), namespace)
    images.mkdir(parents=True, exist_ok=True)
    for name, figure in namespace["figures"].items():
        width, height = SIZES[page].get(name, SIZES[page][None])
        figure.update_layout(width=width, height=height, paper_bgcolor="white", font={"family": "sans-serif"})
        svg = svg_of(figure)
        (images / f"{name}.svg").write_text(svg)
        print(f"{page}/{name}: {len(svg) / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 2)
    for page in sys.argv[1:] or SIZES:
        draw(page)
