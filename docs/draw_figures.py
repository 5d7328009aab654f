"""Redraws the pictures of docs/curvature.md, landscapes.md and noisy_quadratic.md.

Those of the first two are the `figures` of their blocks, those of the last are an example's.

    python docs/draw_figures.py                # all pages
    python docs/draw_figures.py curvature      # one of them

Needs the `docs` and `all` extras and a Chromium on the path, which runs Plotly's own export.
"""

import runpy
import sys

import jax
from building.blocks import DOCS, shown_by
from draw_concepts import svg_of

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
    "noisy_quadratic": {None: (760, 440)},
}
EXAMPLES = {"noisy_quadratic": "noisy_quadratic_model"}


def figures_of(page: str) -> dict:
    """The figures of a page by name."""
    if page in EXAMPLES:
        return runpy.run_path(str(DOCS.parent / "examples" / f"{EXAMPLES[page]}.py"))["figures"]()
    namespace = {}
    shown_by(DOCS / f"{page}.md", namespace)
    return namespace["figures"]


def draw(page: str) -> None:
    """Draw every figure of a page as SVG."""
    images = DOCS / "images" / page
    images.mkdir(parents=True, exist_ok=True)
    for name, figure in figures_of(page).items():
        width, height = SIZES[page].get(name, SIZES[page][None])
        figure.update_layout(width=width, height=height, paper_bgcolor="white", font={"family": "sans-serif"})
        svg = svg_of(figure)
        (images / f"{name}.svg").write_text(svg)
        print(f"{page}/{name}: {len(svg) / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 2)
    for page in sys.argv[1:] or SIZES:
        draw(page)
