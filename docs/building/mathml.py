"""Formulas as MathML, which a browser draws by itself: no script, no font, no network."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

_log = logging.getLogger(__name__)


def _inline(translator, node: nodes.math) -> None:
    translator.body.append(_converted(node, "inline"))
    raise nodes.SkipNode


def _block(translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{_converted(node, "block")}</div>\n')
    raise nodes.SkipNode


def _converted(node: nodes.Element, display: str) -> str:
    made = convert(node.astext(), display=display).replace("\\_", "_")
    if "\\" in made or ">&<" in made:  # what the converter does not know it passes on
        _log.warning("not all of the formula is known: %s", node.astext(), location=node)
    return made


def setup(app):
    """Register the renderer, which `html_math_renderer` then names."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True}
