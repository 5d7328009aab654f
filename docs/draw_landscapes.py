"""Redraws the pictures of docs/landscapes.md: runs its blocks and writes its `figures` as SVG.

    python docs/draw_landscapes.py

Needs the `docs` and `all` extras and a Chromium on the path, which runs Plotly's own export.
"""

import jax
from draw_concepts import BLOCK, DOCS, svg_of

IMAGES = DOCS / "images" / "landscapes"
SIZES = {"paths": (760, 560), "losses": (760, 400), "escape": (760, 400), "hikers": (1040, 360)}


def main() -> None:
    """Draw every figure of the page."""
    namespace = {"__name__": "landscapes"}
    for block in BLOCK.findall((DOCS / "landscapes.md").read_text()):
        exec(compile(block, "landscapes.md", "exec"), namespace)
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, figure in namespace["figures"].items():
        width, height = SIZES.get(name, (400, 400))
        figure.update_layout(width=width, height=height, paper_bgcolor="white", font={"family": "sans-serif"})
        svg = svg_of(figure)
        (IMAGES / f"{name}.svg").write_text(svg)
        print(f"{name}: {len(svg) / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", 2)
    main()
