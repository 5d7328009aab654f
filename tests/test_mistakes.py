"""Every mistake of docs/mistakes.md is made, and the last line that Python prints is the page's."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "mistakes.md"
TEXT = PAGE.read_text()
SETUP = re.search(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PAIR = re.compile(r"^```py\n(.*?)^```\n\n```text\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
SECTIONS = TEXT.split("\n## ")[1:]
MISTAKES = [
    pytest.param(wrong, line, id=f"{section.split('.')[0].split()[0]}-{place}")
    for section in SECTIONS
    for place, (wrong, line) in enumerate(PAIR.findall(section), 1)
]


@pytest.mark.usefixtures("promoting")  # a reader has JAX as it is by default
@pytest.mark.parametrize(("wrong", "line"), MISTAKES)
def test_the_line_is_the_one_of_the_page(wrong, line):
    assert SETUP is not None
    namespace = {"__name__": "train"}
    exec(compile(SETUP[1], "setup.py", "exec"), namespace)
    kind, _, message = line.partition(": ")
    with pytest.raises((ValueError, TypeError, UserWarning)) as caught:
        exec(compile(wrong, "train.py", "exec"), namespace)
    assert (caught.type.__name__, str(caught.value)) == (kind, message)


def test_there_are_fifteen_and_each_is_wrong_and_right():
    numbered = [section for section in SECTIONS if section[0].isdigit()]
    assert [int(section.split(".")[0]) for section in numbered] == list(range(1, 16))
    for section in numbered:
        assert "\n```python\n" in section
        assert section.count("\n```py\n") == len(PAIR.findall(section)) > 0
