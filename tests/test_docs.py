"""Every Python block of the README and of the pages in docs runs, in order, page by page.

What the blocks of a page show is kept for the site, which shows it and runs no page that ran here. Those of
docs/concepts run in tests/test_claims_of_docs.py.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from building.blocks import blocks, keep, shown_by

ROOT = Path(__file__).parents[1]
CONCEPTS = sorted((ROOT / "docs" / "concepts").glob("*.md"))
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *NOTEBOOKS, *CONCEPTS]
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)\)")


# Pages whose blocks train for seconds: with the slow tests.
LONG = {"curvature", "landscapes", "study", "sweep_files", "sweeps", "training"}
LONG |= {"from_keras", "from_lightning", "from_optuna", *(page.stem for page in NOTEBOOKS)}
RUN = [
    pytest.param(page, id=page.name, marks=[pytest.mark.slow] if page.stem in LONG else [])
    for page in PAGES
    if page not in CONCEPTS and blocks(page)
]


@pytest.mark.usefixtures("promoting")  # a reader has JAX as it is by default, and adds a bias as anybody does
@pytest.mark.parametrize("page", RUN)
def test_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a page may write files
    shown = shown_by(page)
    if page.is_relative_to(ROOT / "docs"):
        keep(page, shown)


@pytest.mark.parametrize("page", [p for p in CONCEPTS if p.stem != "index"], ids=lambda page: page.name)
def test_a_concept_has_a_block_and_its_picture(page):
    assert blocks(page)
    assert re.search(rf"!\[\w[^]]+\]\(\.\./images/concepts/{page.stem}\.svg\)", page.read_text())
    picture = ROOT / "docs" / "images" / "concepts" / f"{page.stem}.svg"
    assert picture.stat().st_size < 60_000
    assert f"\n{page.stem}\n" in (page.parent / "index.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(CODE.sub("", page.read_text())):
        assert (page.parent / link).exists(), link


def test_readme_opens_in_the_promised_order():
    text = (ROOT / "README.md").read_text()
    parts = [
        "# jaxgd",
        "docs/images/report.png",
        'pip install -e ".[all]" && jaxgd compare',
        'pip install -e ".[test]" && pytest',
        "```python",
        "## In an Optax loop",
        "## A function of your own",
        "## Your own data and model",
        "## What it costs",
        "## When not to use this",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "GPU: untested" in text


@pytest.mark.slow
def test_readme_example_warns_of_nothing(tmp_path):
    """As a person runs it, in a process of its own, whose warnings are errors."""
    (tmp_path / "example.py").write_text(blocks(ROOT / "README.md")[0])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "example.py"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert (run.returncode, "arning" in run.stderr) == (0, False), run.stderr
    assert "'accuracy'" in run.stdout


def test_readme_example_is_short():
    assert len(blocks(ROOT / "README.md")[0].strip().splitlines()) <= 15
