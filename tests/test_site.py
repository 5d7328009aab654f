"""The site: what its reference, its gallery, its notebooks and `llms.txt` hold. None of it needs Sphinx."""

import importlib
import inspect
import json
import re
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
import pytest
from building import blocks, llms, notebooks, reference

DOCS = Path(__file__).parents[1] / "docs"
ROOMS = ["optim", "training", "training.models", "sweeps", "studies", "landscape", "landscape.curvature"]
ROOMS = ["jaxgd", *(f"jaxgd.{room}" for room in ROOMS), "jaxgd.reports.figures"]
NOTEBOOKS = sorted({page for page in notebooks.NOTEBOOKS.glob("*.md") if page.stem != "index"})
LISTED = [entry for page in reference.pages() for entry in reference.entries(page.read_text())]


def public() -> dict[tuple[str, str], object]:
    """Every public name with what it is, modules apart."""
    modules = {room: importlib.import_module(room) for room in ROOMS}
    named = {
        (room, name): getattr(module, name) for room, module in modules.items() for name in module.__all__
    }
    return {place: value for place, value in named.items() if not inspect.ismodule(value)}


def test_every_public_name_is_in_the_reference_once():
    listed = Counter(id(entry.value) for entry in LISTED)
    assert {place: listed[id(value)] for place, value in public().items() if listed[id(value)] != 1} == {}


def test_the_reference_lists_no_name_twice():
    assert [name for name, count in Counter(entry.shown for entry in LISTED).items() if count > 1] == []


def test_a_name_is_shown_as_people_write_it():
    shown = {entry.full: entry.shown for entry in LISTED}
    assert shown["jaxgd.optim.adam"] == "jaxgd.adam"
    assert shown["jaxgd.optim.lion"] == "jaxgd.optim.lion"
    assert shown["jaxgd.reports.figures.slice"] == "jaxgd.figures.slice"
    assert shown["jaxgd.landscape.curvature.trace"] == "jaxgd.curvature.trace"


def test_names_are_written_out_as_directives():
    source = ["# A page\n\n```{names} jaxgd.landscape\nsurface Surface\nSURFACES: all of them.\n```\n"]
    reference.expand(None, "page", source)
    lines = [line.strip() for line in source[0].splitlines()]
    assert "* - :py:obj:`jaxgd.landscape.SURFACES`" in lines
    at = lines.index(".. autofunction:: jaxgd.landscape.surface")
    assert lines[at + 2 : at + 4] == [".. autoclass:: jaxgd.landscape.Surface", ":members:"]
    assert lines[-5:] == [".. py:data:: jaxgd.landscape.SURFACES", "", "all of them.", "", "```"]


def test_every_command_has_its_help_in_the_reference():
    page = (DOCS / "reference" / "command_line.md").read_text()
    commands = re.search(r"positional arguments:\n +(.+)", reference.help_of(""))
    assert commands is not None
    assert set(re.findall(r"\{help\} (\w+)", page)) == set(commands[1].split(" | "))
    source = ["```{help} plan\n```\n"]
    reference.expand(None, "page", source)
    assert source[0].startswith("```text\nusage: jaxgd plan")


def test_the_index_has_each_page_in_a_line_and_in_a_group():
    text, _, trees = (DOCS / "index.md").read_text().partition("```{toctree}")
    lines = re.findall(r"^- \[.+?\]\((\S+)\.md\): \S", text, re.MULTILINE)
    grouped = re.findall(r"^([a-z_/]+)$", trees, re.MULTILINE)
    assert sorted(lines) == sorted(grouped)
    top = {page.stem for page in DOCS.glob("*.md")} - {"index"}
    assert top == {page for page in grouped if "/" not in page}


def test_llms_txt_has_a_line_for_each_page_and_each_name():
    text = llms.text()
    assert text.startswith("# jaxgd\n\n> Gradient-descent experiments as pytrees.")
    assert "](sweeps.html): " in text
    assert ".md)" not in text
    for entry in LISTED:
        assert text.count(f"#{entry.shown}): ") == 1
    assert not re.findall(r"^- .*: *$", text, re.MULTILINE)


def test_the_gallery_has_every_page_with_pictures():
    listed = re.search(r"```\{gallery\}\n(.+?)```", (DOCS / "gallery.md").read_text(), re.DOTALL)
    assert listed is not None
    pages = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md") if _has_picture(page)}
    assert sorted(listed[1].split()) == sorted(pages)


def _has_picture(page: Path) -> bool:
    return bool(re.search(r"^!\[[^]]+\]\(", page.read_text(), re.MULTILINE))


def test_what_a_block_shows_is_its_prints_and_its_last_expression(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nprint(1)\n'two'\n```\n\nwords\n\n```python\nx = 3\n```\n\n```python\nNone\n```\n"
    )
    assert blocks.shown_by(page) == [blocks.Shown("1\n'two'\n"), blocks.Shown(), blocks.Shown()]


def test_a_figure_and_a_frame_are_shown_as_such(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nimport plotly.graph_objects as go\ngo.Figure(go.Scatter(y=[1, 2]))\n```\n"
        "```python\nimport pandas\npandas.DataFrame({'a': [1]})\n```\n"
    )
    figure, frame = blocks.shown_by(page)
    assert json.loads(figure.figure)["data"][0]["y"] == [1, 2]
    assert not figure.text
    assert "<table" in frame.table


def test_what_is_kept_is_of_the_page_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "DOCS", tmp_path)
    monkeypatch.setattr(blocks, "KEPT", tmp_path / "kept")
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1)\n```\n")
    assert blocks.kept_of(page) is None
    blocks.keep(page, blocks.shown_by(page))
    assert blocks.kept_of(page) == [blocks.Shown("1\n")]
    page.write_text("Words.\n\n```python\nprint(1)\n```\n")
    assert blocks.kept_of(page) == [blocks.Shown("1\n")]
    page.write_text("```python\nprint(2)\n```\n")
    assert blocks.kept_of(page) is None


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.stem)
def test_a_notebook_has_the_blocks_of_its_page_as_cells(page):
    made = notebooks.notebook(page)
    nbformat.validate(made)
    cells = [cell.source for cell in made.cells if cell.cell_type == "code"]
    assert cells == [block.strip() for block in blocks.blocks(page)]
    assert jupytext.reads(nbformat.writes(made), fmt="ipynb").cells[0].source.startswith("# ")
    assert ".md)" not in nbformat.writes(made)


# By notebook, which of its blocks are programs of a reader's own, from the data to the result.
OWN = {
    "first_sweep": [0],
    "your_own_model": [0, 5],
    "your_optax_loop": [1],
    "your_own_table": [1],
    "reading_a_landscape": [0],
}


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.stem)
def test_own_code_takes_fifteen_lines_at_most(page):
    for place in OWN[page.stem]:
        code = [line for line in blocks.blocks(page)[place].splitlines() if line.strip()]
        assert 5 < len(code) <= 15
