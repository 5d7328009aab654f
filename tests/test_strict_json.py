"""JSON that others wrote: a value or one ValueError, whatever it holds."""

import json
import math

import pytest
from hypothesis import given, strategies as st

from jaxgd.strict_json import DEEPEST, json_text, read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_what_was_written_is_read(value):
    assert read_json(json_text(value).encode()) == value


@given(st.binary() | st.text(alphabet='{}[]",:\\0123456789.eE+-NaInfity ').map(str.encode))
def test_any_bytes_are_a_value_or_a_value_error(content):
    try:
        value = read_json(content)
    except ValueError:
        return
    assert value == json.loads(content)


@pytest.mark.parametrize("bracket", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("depth", [DEEPEST + 1, 1000, 100_000])
@pytest.mark.parametrize("before", ["", '["[[[\\"[", ', '"'])
def test_depth_is_bounded(bracket, depth, before):
    with pytest.raises(ValueError, match=r"levels deep, and 200 at most|JSON|Expecting|Unterminated|Extra"):
        read_json((before + bracket * depth).encode())


def test_as_deep_as_allowed_and_brackets_in_texts():
    text = "[" * DEEPEST + "]" * DEEPEST
    assert json.dumps(read_json(text.encode())) == text
    assert read_json(json.dumps(['[{"\\' * 1000]).encode()) == ['[{"\\' * 1000]


def test_the_first_level_too_many_is_named():
    with pytest.raises(ValueError, match=r"^its JSON is 201 levels deep, and 200 at most are read$"):
        read_json(b"[" * 201 + b"]" * 201)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_are_finite(number):
    with pytest.raises(ValueError, match=f"^its JSON has {number}, which is no number of JSON$"):
        read_json(f'{{"a": [{number}]}}'.encode())
    read = read_json(f'{{"a": [{number}]}}'.encode(), allow_nan=True)["a"][0]
    assert not math.isfinite(read)


def test_a_key_stands_once():
    with pytest.raises(ValueError, match=r"^its JSON has the key 'a' twice$"):
        read_json(b'[{"b": 1, "a": 1, "a": 2}]')


def test_size_is_bounded():
    with pytest.raises(ValueError, match=r"^it has 6 bytes of JSON, and 5 at most are read$"):
        read_json(b"[1, 2]", most_bytes=5)


def test_what_json_has_not_is_null():
    assert json_text({"a": (1.5, float("nan"), [-math.inf])}) == '{"a": [1.5, null, [null]]}'
    assert json_text([{1}], default=str) == '["{1}"]'
    with pytest.raises(TypeError):
        json_text([{1}])
