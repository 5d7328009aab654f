"""The Python blocks of a page, what each of them prints and draws, and where that is kept.

A page runs once. The test that runs it keeps what its blocks have shown, in `docs/_build/outputs`, and the
site puts that below each block; the site runs those pages alone that no test has run as they are now.

    python docs/building/blocks.py docs/sweeps.md    # runs a page and keeps what it shows
"""

import ast
import contextlib
import hashlib
import importlib.util
import io
import json
import os
import re
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).parents[1]
KEPT = DOCS / "_build" / "outputs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What a page shows depends on these, besides the page and the package.
_VERSIONS = ("jax", "optax", "numpy", "xarray")


class Shown(NamedTuple):
    """What a block has shown.

    text: what it printed, then its last expression as text. table: that expression as HTML instead, if it is
    a table. figure: the same as JSON, if it is a Plotly figure.
    """

    text: str = ""
    table: str = ""
    figure: str = ""


def blocks(page: Path) -> list[str]:
    """The page's Python blocks, each behind as many blank lines as put it on its own line of the page."""
    text = page.read_text()
    return ["\n" * text.count("\n", 0, found.start(1)) + found[1] for found in BLOCK.finditer(text)]


def shown_by(page: Path, namespace: dict[str, Any] | None = None) -> list[Shown]:
    """What each block of the page shows: they run in order in one namespace, in the working directory."""
    namespace = {} if namespace is None else namespace
    namespace |= {"__name__": page.stem}
    return [_shown(block, str(page), namespace) for block in blocks(page)]


def _shown(block: str, name: str, namespace: dict[str, Any]) -> Shown:
    tree = ast.parse(block, name)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, name, "exec"), namespace)
        value = None
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
    return _with_value(printed.getvalue(), value)


def _with_value(text: str, value: Any) -> Shown:
    """What was printed, and a last expression's value as a notebook shows it."""
    kind = type(value)
    if kind.__module__.startswith("plotly.") and kind.__name__ == "Figure":
        return Shown(text, figure=value.to_json())
    if kind.__module__.partition(".")[0] in ("pandas", "jaxgd") and hasattr(value, "_repr_html_"):
        return Shown(text, table=value._repr_html_())
    return Shown(text if value is None else f"{text}{value!r}\n")


def keep(page: Path, shown: list[Shown]) -> None:
    """Keep what the page's blocks have shown, for the site."""
    path = place_of(page)
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {"key": _key(page), "shown": [block._asdict() for block in shown]}
    # In one step: a test of another process may keep the same page.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        json.dump(kept, file)
    os.replace(file.name, path)


def kept_of(page: Path) -> list[Shown] | None:
    """What the page's blocks have shown as they are now, or None if they did not run since they are so."""
    path = place_of(page)
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    return [Shown(**block) for block in kept["shown"]] if kept["key"] == _key(page) else None


def place_of(page: Path) -> Path:
    """The file that keeps what the page has shown."""
    return KEPT / page.relative_to(DOCS).with_suffix(".json")


def _key(page: Path) -> str:
    """A digest of the page's blocks, of the package that they use, and of what that builds on."""
    code = "\0".join(block.lstrip("\n") for block in blocks(page))
    return hashlib.sha256(f"{code}\0{_package()}".encode()).hexdigest()


@cache
def _package() -> str:
    """A digest of the package, and of the versions of what it builds on."""
    spec = importlib.util.find_spec("jaxgd")
    assert spec is not None
    assert spec.origin is not None
    digest = hashlib.sha256(str([version(name) for name in _VERSIONS]).encode())
    for source in sorted(Path(spec.origin).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def main(names: list[str]) -> None:
    """Run these pages, each in an empty folder of its own, and keep what they show."""
    import jax

    jax.config.update("jax_num_cpu_devices", 2)
    for page in map(Path, names):
        page = page.resolve()
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            keep(page, shown_by(page))


if __name__ == "__main__":
    main(sys.argv[1:])
