"""What notebooks show: text of a user stays text, and colours are those of the page, light or dark."""

import re
from html.parser import HTMLParser

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxgd
from jaxgd.html_text import card

NAME = "<b>x</b>&\"'"


class Read(HTMLParser):
    """The texts and tags of a page, and whether each tag is closed."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.tags, self.open = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def shown(thing) -> list[str]:
    """The texts of what a notebook shows of a thing, which is well formed and a small set of tags."""
    html = thing if isinstance(thing, str) else thing._repr_html_()
    page = Read(html)
    assert page.open == []
    assert {tag for tag, _ in page.tags} <= {"div", "table", "tr", "th", "td"}
    assert all(set(attributes) == {"style"} for _, attributes in page.tags)
    return page.texts


def test_a_card():
    html = card("Title", [("a", 1234567, 0.1234567), ("b", 2, float("nan"))], ("", "n", "x"), ["note"])
    assert shown(html) == ["Title", "n", "x", "a", "1,234,567", "0.123457", "b", "2", "nan", "note"]
    assert re.findall("text-align:(\\w+)", html) == ["left", "right", "right"] * 3


def test_text_stays_text():
    assert shown(card(NAME, [(NAME, NAME)], (NAME, NAME), [NAME])) == [NAME] * 6


def test_a_long_text_is_cut():
    assert shown(card("t", [("a", "x" * 1000)]))[-1] == "x" * 400 + "..."


def test_colours_are_those_of_the_page():
    html = card("t", [("a", 1)], ("", ""), ["n"])
    colours = set(re.findall(r"(?:^|[;\"])(?:color|background):([^;\"]+)", html))
    assert colours == {"inherit", "none"}
    assert set(re.findall(r"(?:#|rgb)[^;\"]*", html)) == {"rgba(128,128,128,.4)"}


def test_optimizers():
    adam = "adam learning_rate 0.01 b1 0.9 b2 0.999 eps 1e-08"
    assert shown(jaxgd.adam(0.01)) == adam.split()
    chain = jaxgd.chain(jaxgd.optim.clip_by_global_norm(1.0), jaxgd.sgd(0.1))
    assert shown(chain) == ["chain", "0", "clip_by_global_norm(max_norm=1)", "1", "sgd(learning_rate=0.1)"]


def problem():
    inputs = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
    targets = inputs[:, 0]
    made = jaxgd.regression(jaxgd.linear(3), (inputs, targets), (inputs[:8], targets[:8]))
    return made.replace(metrics={NAME: lambda params, batch: jnp.zeros(len(batch[1]))})


def trainer(rate=0.1, size=8):
    return jaxgd.trainer(problem(), jaxgd.sgd(rate), size)


def test_a_trainer():
    texts = shown(jaxgd.early_stopping(trainer(), patience=3))
    assert texts[:3] == ["Trainer", "problem", "train=24, valid=8 examples"]
    assert texts[3:7] == ["optimizer", "sgd(learning_rate=0.1)", "batch size", "8"]
    assert texts[-2] == "rule"
    assert texts[-1].startswith("early_stopping(patience=3")


def test_a_run():
    texts = shown(jaxgd.fit(trainer(), jax.random.key(0), 2))
    assert texts[:4] == ["Fit: completed, epoch 2", "after epoch", "1", "2"]
    assert f"valid_{NAME}" in texts
    assert texts[texts.index("updates") :][:3] == ["updates", "3", "6"]


def test_several_runs():
    keys = jax.random.split(jax.random.key(0), 4)
    fits = jax.vmap(lambda key: jaxgd.fit(trainer(), key, 2))(keys)
    texts = shown(fits)
    assert texts[0] == "Fit of (4,) runs of 2 epochs"
    assert f"valid_{NAME}" in texts[1]


@pytest.fixture(scope="module")
def result():
    own = problem()
    rates = [0.01 * 2**place for place in range(10)]
    return jaxgd.sweep(
        lambda hp: jaxgd.trainer(own, jaxgd.sgd(hp.learning_rate), hp.batch_size),
        {"learning_rate": rates, NAME: [NAME], "batch_size": ["full", 8], "seed": [0, 1]},
        epochs=2,
        progress=False,
    )


def test_a_sweep(result):
    texts = shown(result)
    assert texts[:2] == ["SweepResult", "learning_rate"]
    assert texts[2] == "0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, ..., 5.12 (10)"
    assert texts[3:5] == [NAME, NAME]
    assert texts[texts.index("batch_size") + 1] == "full, 8 (2)"
    best = result.best("valid_loss")
    assert texts[texts.index("best valid_loss") + 1].startswith(f"{best.value:.4g}, at learning_rate ")
    assert texts[texts.index("plan") + 1] == result.plan.title
    assert f"valid_{NAME}" in texts[-1]


def test_a_sweep_in_which_all_diverged():
    own = problem()
    make = lambda hp: jaxgd.trainer(own, jaxgd.sgd(1e30), 8)  # noqa: E731
    texts = shown(jaxgd.sweep(make, {"seed": [0, 1]}, epochs=3, progress=False))
    assert texts[texts.index("status") + 1] == "2 diverged"
    assert "best valid_loss" not in texts


def test_a_plan(result):
    texts = shown(result.plan)
    assert texts[:3] == [result.plan.title, "program", "how"]
    assert result.plan.groups[0].title in texts
    assert texts[-1] == f"took {result.plan.seconds:.1f} s in all"


def test_a_plan_of_many_programs():
    own = problem()
    make = lambda hp: jaxgd.trainer(own, jaxgd.sgd(0.1), hp.batch_size)  # noqa: E731
    plan = jaxgd.plan(make, {"batch_size": [*range(1, 24)]}, 2, merge=False)
    texts = shown(plan)
    first = plan.groups[0]
    assert texts[6:9] == [first.title, str(first.recipe), f"≈\u00a0{first.predicted_compile_seconds:.1f}"]
    assert texts[-1] == "the first 20 of 23 programs; print(plan) shows all"
