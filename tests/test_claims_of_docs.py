"""What the pages of docs/concepts say holds for two sets of seeds that no page shows.

`docs/claims.py` measures the statements, by the blocks of the pages, which run here and nowhere else. A false
one passes with probability 0.001 at most; `benchmarks/claims_of_docs.py` estimates on more seeds how often a
true one is missed. What the two pages say whose networks take longest, a minute each, is left to it: here
their blocks train for two epochs.
"""

import importlib.util
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "docs" / "claims.py"
spec = importlib.util.spec_from_file_location("claims", SOURCE)
assert spec is not None
assert spec.loader is not None
claims = importlib.util.module_from_spec(spec)
spec.loader.exec_module(claims)

SETS = (1000, 2000)
LONG = {"initialisation", "activations"}


def test_every_concept_has_its_statements():
    pages = {page.stem for page in claims.PAGES.glob("*.md")} - {"index"}
    assert pages == set(claims.STATEMENTS)


def assert_drawn(page, shown):
    """The page's picture has each line of the figure that its blocks make."""
    named = {trace.name for trace in shown["figure"].data if trace.name}
    drawn = (claims.PAGES.parent / "images" / "concepts" / f"{page}.svg").read_text()
    assert named
    assert all(f">{name}</text>" in drawn for name in named), "redraw it: docs/draw_concepts.py"


@pytest.mark.slow
@pytest.mark.usefixtures("promoting")  # the blocks run as a reader runs them
@pytest.mark.parametrize("page", [page for page in claims.STATEMENTS if page not in LONG])
def test_what_to_see_is_seen_with_other_seeds(page):
    shown = [claims.replayed(page, first_seed) for first_seed in SETS]
    missed = [claim for claim in claims.stated(page, shown) if not claim.is_supported]
    assert not missed
    assert_drawn(page, shown[0])


@pytest.mark.slow
@pytest.mark.usefixtures("promoting")
@pytest.mark.parametrize("page", sorted(LONG))
def test_a_longer_page_runs(page):
    assert_drawn(page, claims.replayed(page, SETS[0], epochs=2))


@pytest.mark.parametrize(
    ("values", "low", "high", "supported"),
    [
        ([1.0, 1.2, 0.8, 1.1], 0.0, float("inf"), True),
        ([1.0, -1.2, 0.8, 1.1], 0.0, float("inf"), False),  # the mean is above 0, the interval is not
        ([-1.0, -1.2, -0.8, -1.1], 0.0, float("inf"), False),
        ([0.1, -0.1, 0.05, -0.05], -2.0, 2.0, True),
        ([0.1, -0.1, 0.05, float("nan")], -2.0, 2.0, False),
    ],
)
def test_a_claim_is_supported_by_its_interval(values, low, high, supported):
    assert claims.Claim("", values, low, high).is_supported is supported


def test_a_claim_without_effect_passes_as_rarely_as_it_says():
    draws = claims.np.random.default_rng(0).normal(size=(20_000, 10))
    share = sum(claims.Claim("", values).is_supported for values in draws) / len(draws)
    assert share < 0.001 + 4 * (0.001 / len(draws)) ** 0.5


def test_a_page_that_cannot_start_elsewhere_is_refused(tmp_path, monkeypatch):
    (tmp_path / "fixed.md").write_text("```python\nseeds = range(5)\n```\n")
    monkeypatch.setattr(claims, "PAGES", tmp_path)
    with pytest.raises(ValueError, match=r"fixed\.md must have the line `first_seed = 0`"):
        claims.replayed("fixed", 1000)
