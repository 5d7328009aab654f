"""Specs that nobody would write: each is a plan, or one line that names the file and the key."""

import copy
import string

import pytest
from hypothesis import given, settings, strategies as st

import jaxgd
from jaxgd.specs.runs import SpecRuns
from jaxgd.specs.spec import parse_spec, read_spec

GRID = {
    "data": "breast_cancer",
    "epochs": 2,
    "metric": "valid_loss",
    "fixed": {"optimizer": "sgd", "batch_size": "full", "width": 4, "depth": 1, "activation": "tanh"},
    "axes": {"learning_rate": [0.1, 0.2], "seed": [0, 1], "dropout": ["none", 0.1]},
    "early_stopping": {"patience": 3, "min_delta": 0.0},
    "budget": {"updates": 5},
}
POINTS = {
    "data": "breast_cancer",
    "epochs": 2,
    "fixed": {"model": "linear", "batch_size": 32},
    "points": [{"optimizer": "adam", "learning_rate": 0.1}, {"optimizer": "sgd", "learning_rate": 1.0}],
}
DRAW = {
    "data": "breast_cancer",
    "epochs": 1,
    "fixed": {"optimizer": "adamw", "batch_size": 16},
    "draw": {
        "num": 3,
        "method": "sobol",
        "seed": 1,
        "ranges": {
            "learning_rate": {"log_uniform": [1e-3, 1.0]},
            "b1": {"uniform": [0.8, 0.9]},
            "width": {"int_uniform": [2, 8], "log": True},
            "dropout": ["none", 0.1],
        },
    },
}
# Of every type that TOML has, and of words that mean something elsewhere.
WORDS = ["", "none", "full", "adam", "sgd", "mlp", "linear", "os:abort", "../x", "a\nb", "[/b]", "\0", "é"]
WORDS += ["relu", "replacement", "drop", "he_normal", "train_loss", "digits", "random", "max"]
BY_KIND = {
    bool: st.booleans(),
    int: st.sampled_from([0, -1, 1, 2, 3, 31, 341, 10**4, 2**31, 2**32, 2**63, 2**70, -(2**63)]),
    float: st.sampled_from([0.0, 0.5, 1.0, -1.0, 1e-300, 1e300, float("inf"), -float("inf"), float("nan")]),
    str: st.sampled_from(WORDS) | st.text(string.printable, max_size=4),
    list: st.lists(st.sampled_from([0, 1, 0.1, "none", True, "adam", 2**40]), max_size=3),
    dict: st.dictionaries(st.sampled_from(["a", "uniform"]), st.sampled_from([1, 0.1, []]), max_size=2),
}
VALUES = st.one_of(*BY_KIND.values())


def places(document, path=()):
    """The paths of everything in a document."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


@st.composite
def mutated(draw):
    """A valid document with one to three things in it replaced, removed, renamed or added."""
    document = copy.deepcopy(draw(st.sampled_from([GRID, POINTS, DRAW])))
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        found = list(places(document))
        if not found:
            break
        *parents, key = draw(st.sampled_from(found))
        inner = document
        for parent in parents:
            inner = inner[parent]
        how = draw(st.sampled_from(["change", "change", "change", "replace", "remove", "rename", "add"]))
        if how == "change":
            inner[key] = draw(BY_KIND[type(inner[key])])
        elif how == "replace" or not isinstance(inner, dict):
            inner[key] = draw(VALUES)
        elif how == "remove":
            del inner[key]
        elif how == "rename":
            inner[draw(st.sampled_from([*GRID, *GRID["fixed"], *DRAW["draw"], "x"]))] = inner.pop(key)
        else:
            inner[draw(st.sampled_from([*GRID, *GRID["fixed"], *DRAW["draw"], "x", "seed"]))] = draw(VALUES)
    return document


def assert_one_line(error, file):
    text = str(error)
    assert text.startswith(f"{file}: " if file else "")
    assert "\n" not in text
    assert len(text) > len(file) + 10


def check(document, planned=False):
    """Nothing but a ValueError of one line, or a spec of which runs, and a plan, can be made."""
    try:
        spec = parse_spec(document, "mine.toml")
    except ValueError as error:
        assert_one_line(error, "mine.toml")
        return
    try:
        runs = SpecRuns(spec)
    except ValueError as error:  # of data that are not there
        assert_one_line(error, "")
        return
    try:
        runs.check()
    except ValueError as error:
        assert_one_line(error, "mine.toml")
        return
    if planned and sum(map(len, spec.axes.values())) < 20:
        plan = jaxgd.plan(runs.make_trainer, spec.axes, document["epochs"])
        assert plan.num_runs >= 1


@settings(max_examples=25)
@given(mutated())
def test_a_mutated_spec_is_a_plan_or_one_line(document):
    check(document)


@pytest.mark.slow
@settings(max_examples=200)
@given(mutated())
def test_a_mutated_spec_is_a_plan_or_one_line_often(document):
    check(document, planned=True)


@pytest.mark.parametrize("number", [-1, 2**31, 2**63, 2**70, float("inf"), float("nan")])
@pytest.mark.parametrize("key", ["num", "seed"])
def test_a_draw_of_a_wild_number_is_one_line(key, number):
    with pytest.raises(ValueError, match=rf"^mine\.toml: draw\.{key} is .*; a whole number from") as error:
        parse_spec({**DRAW, "draw": {**DRAW["draw"], key: 2 * number}}, "mine.toml")
    assert_one_line(error.value, "mine.toml")


def test_a_mistyped_depth_is_one_line():
    document = {**GRID, "fixed": {**GRID["fixed"], "depth": 10**9}}
    with pytest.raises(ValueError, match=r"fixed\.depth is 1000000000; a whole number from 0 to 100 is"):
        parse_spec(document, "mine.toml")


TEXT = """data = "breast_cancer"
epochs = 2
fixed = { optimizer = "sgd", batch_size = 32, model = "linear" }
[axes]
learning_rate = [0.1, 1.0]
"""


@st.composite
def nearly_toml(draw):
    """A valid file with a few bytes put in, taken out or changed."""
    content = bytearray(TEXT.encode())
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(content) - 1))
        content[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=2))
    return bytes(content)


@settings(max_examples=150)
@given(st.one_of(st.binary(max_size=200), nearly_toml()))
def test_any_bytes_are_a_spec_or_one_line(tmp_path_factory, content):
    check_bytes(tmp_path_factory.getbasetemp() / "any.toml", content)


@pytest.mark.slow
@settings(max_examples=1_000)
@given(st.one_of(st.binary(max_size=400), nearly_toml()))
def test_any_bytes_are_a_spec_or_one_line_often(tmp_path_factory, content):
    check_bytes(tmp_path_factory.getbasetemp() / "any.toml", content)


def check_bytes(path, content):
    path.write_bytes(content)
    try:
        spec = read_spec(path)
    except ValueError as error:
        assert_one_line(error, str(path))
    else:
        assert spec.axes


@pytest.mark.parametrize("text", ["a = " + "[" * 10**5, "a = " + "{a=" * 10**5, "[" + "a." * 10**4 + "a]"])
def test_depth_is_one_line(tmp_path, text):
    check_bytes(tmp_path / "deep.toml", text.encode())


def test_a_deep_value_is_one_line(tmp_path):
    deep = "ranges.learning_rate.uniform" + ".a" * 10**4
    text = f'data = "digits"\nepochs = 1\nfixed.optimizer = "sgd"\n[draw]\nnum = 2\n{deep} = 1\n'
    (tmp_path / "deep.toml").write_text(text)
    with pytest.raises(ValueError, match=r"deep\.toml: lists or tables are nested too deep"):
        read_spec(tmp_path / "deep.toml")
