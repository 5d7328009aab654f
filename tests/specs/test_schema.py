"""The JSON Schema of a sweep's file allows what the reader reads, and refuses in kind what it refuses."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from jaxgd.specs.keys import BUDGET, DRAW, EARLY_STOPPING, TOP
from jaxgd.specs.schema import spec_schema
from jaxgd.specs.settings import known_settings
from jaxgd.specs.spec import parse_spec

ROOT = Path(__file__).parents[2]
SCHEMA = jsonschema.Draft7Validator(spec_schema())
PAGE = (ROOT / "docs" / "sweep_files.md").read_text()
FILES = [
    *(path.read_text() for path in sorted((ROOT / "examples").glob("*.toml"))),
    *re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL),
]
# A float without a fraction is left out: JSON takes 1.0 for a whole number.
VALUES = [
    0,
    1,
    7,
    -1,
    101,
    2**20 + 1,
    2**32,
    0.5,
    -1.5,
    1e-300,
    True,
    False,
    "",
    "none",
    "full",
    "adam",
    "tanh",
]
VALUES += ["mlp", "max", "sobol", "keep", "regression", [], [0], ["a"], ["a", "b"], {}, {"a": 1}]


def is_read(document) -> bool:
    try:
        parse_spec(document, "mine.toml")
    except ValueError:
        return False
    return True


def test_it_is_a_schema():
    jsonschema.Draft7Validator.check_schema(spec_schema())
    assert json.loads(json.dumps(spec_schema())) == spec_schema()


@pytest.mark.parametrize("text", FILES)
def test_files_that_are_read(text):
    document = tomllib.loads(text)
    assert is_read(document)
    assert [error.message for error in SCHEMA.iter_errors(document)] == []


KEYS = {**known_settings(), **TOP, **DRAW, **EARLY_STOPPING, **BUDGET}


@pytest.mark.parametrize("name", sorted(KEYS))
def test_a_key_takes_the_values_that_its_schema_takes(name):
    allowed = KEYS[name]
    validator = jsonschema.Draft7Validator(allowed.schema)
    assert [value for value in VALUES if allowed.test(value)] == [v for v in VALUES if validator.is_valid(v)]


def document(**changes):
    """A file that is read, some of it changed; None takes a key out."""
    whole = {
        "data": "digits",
        "epochs": 20,
        "fixed": {"optimizer": "adam", "batch_size": 8},
        "axes": {"learning_rate": [0.01, 1], "width": [8, 16]},
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


POINT = {"learning_rate": 0.1}
RANGES = {"learning_rate": {"log_uniform": [1e-4, 1.0]}}


@pytest.mark.parametrize(
    "good",
    [
        document(),
        document(
            axes={"learning_rate": [0.1], "dropout": ["none", 0.5], "batch_size": ["full"]},
            fixed={"optimizer": "sgd"},
        ),
        document(axes=None, points=[POINT]),
        document(axes={}, points=[POINT]),
        document(axes=None, draw={"num": 4, "ranges": RANGES}),
        document(
            axes=None, draw={"num": 4, "ranges": {**RANGES, "width": {"int_uniform": [8, 64], "log": True}}}
        ),
        document(axes=None, draw={"num": 4, "ranges": {**RANGES, "activation": ["tanh", "relu"]}}),
        document(early_stopping={"patience": 2}),
        document(early_stopping={}, axes={"learning_rate": [0.1], "patience": [1, 2]}),
        document(budget={"epochs": 3}),
    ],
)
def test_what_is_read_is_allowed(good):
    assert is_read(good)
    assert SCHEMA.is_valid(good)


@pytest.mark.parametrize(
    "bad",
    [
        document(data=None),
        document(epochs=None),
        document(epoch=3),
        document(epochs=2.5),
        document(epochs=True),
        document(task="classify"),
        document(drop=[1]),
        document(axes=None, fixed={"optimizer": "adam", "batch_size": 8, "learning_rate": 0.1}),
        document(axes={}),
        document(axes={"learning_rate": 0.1}),
        document(axes={"learning_rate": []}),
        document(axes={"learning_rate": ["low"]}),
        document(axes={"learning_rate": [0.1], "widths": [8]}),
        document(axes={"width": [8]}),
        document(fixed={"optimizer": "adm", "batch_size": 8}),
        document(fixed={"optimizer": "adam", "batch_size": "half"}),
        document(fixed={"batch_size": 8}),
        document(axes=None, points=[]),
        document(axes=None, points=[3]),
        document(axes=None, points=[{"learning_rate": "low"}]),
        document(points=[POINT], draw={"num": 4, "ranges": RANGES}),
        document(axes=None, draw={"ranges": RANGES}),
        document(axes=None, draw={"num": 4}),
        document(axes=None, draw={"num": 0, "ranges": RANGES}),
        document(axes=None, draw={"num": 4, "method": "sobel", "ranges": RANGES}),
        document(axes=None, draw={"num": 4, "ranges": {"learning_rate": 0.1}}),
        document(axes=None, draw={"num": 4, "ranges": {"learning_rate": {"uniform": [1e-4]}}}),
        document(axes=None, draw={"num": 4, "ranges": {"learning_rate": {"loguniform": [1e-4, 1]}}}),
        document(axes=None, draw={"num": 4, "ranges": {"learning_rate": {"uniform": [0, 1], "log": True}}}),
        document(axes=None, draw={"num": 4, "ranges": {**RANGES, "width": {"uniform": [8, 64]}}}),
        document(axes=None, draw={"num": 4, "ranges": {**RANGES, "activation": {"int_uniform": [1, 2]}}}),
        document(early_stopping={}),
        document(early_stopping={"patience": 1.5}),
        document(early_stopping={"patience": 1, "mode": "least"}),
        document(axes={"learning_rate": [0.1], "patience": [1]}),
        document(budget={}),
        document(budget={"epochs": 3, "updates": 2}),
    ],
)  # fmt: skip
def test_what_is_refused_in_kind_is_not_allowed(bad):
    assert not is_read(bad)
    assert not SCHEMA.is_valid(bad)


@pytest.mark.parametrize(
    "left",
    [
        document(fixed={"optimizer": "adam", "batch_size": 8, "width": 8}),
        document(fixed={"optimizer": "adam", "batch_size": 8, "momentum": 0.9}),
        document(fixed={"optimizer": "adam", "batch_size": 8, "model": "linear"}),
    ],
    ids=["a setting twice", "not of that optimizer", "not of that model"],
)
def test_what_is_left_to_the_command(left):
    """As docs/sweep_files.md says it."""
    assert not is_read(left)
    assert SCHEMA.is_valid(left)
