import sys
from pathlib import Path

from jaxgd import __version__

sys.path.insert(0, str(Path(__file__).parent))

project = "jaxgd"
copyright = "2026, The jaxgd authors"
release = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "building.mathml",
    "building.outputs",
    "building.reference",
    "building.gallery",
    "building.notebooks",
    "building.llms",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"jaxgd {release}"
html_static_path = ["building/static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
# A docstring's `name` is code.
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
# Functions of Optax under their own names bring docstrings that refer to pages of Optax.
suppress_warnings = ["ref.doc"]


def skip_bare_fields(app, what, name, obj, skip, options):
    # All that a NamedTuple says of a field by itself is its index.
    return True if (obj.__doc__ or "").startswith("Alias for field number") else None


def setup(app):
    app.connect("autodoc-skip-member", skip_bare_fields)
