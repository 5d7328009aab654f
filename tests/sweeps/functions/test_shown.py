"""What the example says of itself: how many lines change where an Optax scan becomes a sweep."""

import ast
import difflib
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "optax_loop_as_a_sweep.py"


def lines_of(name):
    """The lines of one of its functions as Python reads them: without comments and docstring."""
    functions = ast.parse(EXAMPLE.read_text()).body
    found = next(node for node in functions if isinstance(node, ast.FunctionDef) and node.name == name)
    found.name, found.body = "train", found.body[1:]
    return ast.unparse(found).splitlines()


def test_nine_lines_change():
    changes = difflib.ndiff(lines_of("train_once"), lines_of("train"))
    assert sum(line.startswith("+ ") for line in changes) == 9
    assert "in nine changed lines" in EXAMPLE.read_text()
