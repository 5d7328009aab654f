"""Models that do not fit the simple case become Problems in a few lines."""

import ast
import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "six_problems.py"
FUNCTIONS = [node for node in ast.parse(EXAMPLE.read_text()).body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_a_problem_takes_at_most_twenty_lines(function):
    lines = EXAMPLE.read_text().splitlines()[function.lineno : function.end_lineno]
    assert len([line for line in lines if line.strip()]) <= 20


@pytest.mark.slow
@pytest.mark.usefixtures("promoting")  # the losses are as newcomers write them
def test_each_learns(capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(FUNCTIONS) == 6
    for line in lines:
        before, after = (
            float(word) for word in line.split() if word.replace(".", "").replace("-", "").isdigit()
        )
        assert after < 0.97 * before, line
