"""The JSON Schema of a sweep's file, for editors: made of the tables that the file is checked by.

It says which keys there are, of which kind their values are and which are needed. That a setting is given
twice, that an optimizer or a model does not have it, and what the data say, only the command knows.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from jaxgd.specs.keys import BUDGET, DRAW, EARLY_STOPPING, NEEDED, NEEDED_OF_DRAW, RULE_SETTINGS, TOP
from jaxgd.specs.settings import NEEDED_SETTINGS, Allowed, known_settings

_DRAFT = "http://json-schema.org/draft-07/schema#"  # what editors for TOML read
_PLACES = ("fixed", "axes", "points", "draw")

Schema = dict[str, Any]


def spec_schema() -> Schema:
    """The schema, as JSON can hold it.

    Example:
        >>> spec_schema()["properties"]["epochs"]
        {'type': 'integer', 'minimum': 1, 'description': 'a whole number of at least 1'}
    """
    settings = _properties(known_settings() | RULE_SETTINGS)
    tables = {
        "fixed": _table(settings),
        "axes": _table({name: _list(each) for name, each in settings.items()}),
        "points": _list(_table(settings)),
        "draw": _table(_properties(DRAW) | {"ranges": _table(_ranges())}, needed=NEEDED_OF_DRAW),
        "early_stopping": _table(_properties(EARLY_STOPPING)),
        "budget": _table(_properties(BUDGET)) | {"minProperties": 1, "maxProperties": 1},
    }
    described = {name: {**tables[name], "description": TOP[name].text} for name in tables}
    return {
        "$schema": _DRAFT,
        "title": "A sweep of jaxgd",
        **_table(_properties(TOP) | described, needed=NEEDED),
        "anyOf": [
            {"required": ["axes"], "properties": {"axes": {"minProperties": 1}}},
            _has("points"),
            _has("draw"),
        ],
        "not": {"required": ["points", "draw"]},
        "allOf": [*({"anyOf": _given(name)} for name in NEEDED_SETTINGS), *_rules()],
    }


def _rules() -> list[Schema]:
    """What `early_stopping` needs, and what needs it."""
    stops = _has("early_stopping")
    patience = {**stops, "properties": {"early_stopping": _has("patience")}}
    without = {"not": {"anyOf": [place for name in RULE_SETTINGS for place in _given(name)]}}
    return [{"if": stops, "then": {"anyOf": [patience, *_given("patience")]}, "else": without}]


def _given(setting: str) -> list[Schema]:
    """The places in which a setting may be given; each schema asks for it in one of them."""
    has = _has(setting)
    ranges = _has("ranges") | {"properties": {"ranges": has}}
    inner = dict(zip(_PLACES, (has, has, {"minItems": 1, "items": has}, ranges), strict=True))
    return [{**_has(place), "properties": {place: inner[place]}} for place in _PLACES]


def _ranges() -> dict[str, Schema]:
    """What a setting may be drawn from: a list, and a range where numbers of that kind are its values."""
    settings = known_settings() | RULE_SETTINGS
    return {name: {"anyOf": [_list(_described(each)), *_kinds(each)]} for name, each in settings.items()}


def _kinds(allowed: Allowed) -> list[Schema]:
    real, whole = _pair("number"), _pair("integer")
    kinds = [_table({name: real}, needed=[name]) for name in ("uniform", "log_uniform") if allowed.test(0.5)]
    if allowed.test(1):
        kinds.append(_table({"int_uniform": whole, "log": {"type": "boolean"}}, needed=["int_uniform"]))
    return kinds


def _pair(kind: str) -> Schema:
    return {"type": "array", "items": {"type": kind}, "minItems": 2, "maxItems": 2}


def _properties(known: Mapping[str, Allowed]) -> dict[str, Schema]:
    return {name: _described(allowed) for name, allowed in known.items()}


def _described(allowed: Allowed) -> Schema:
    return {**allowed.schema, "description": allowed.text}


def _table(properties: Mapping[str, Schema], needed: Iterable[str] = ()) -> Schema:
    """A table that has no other keys."""
    required = {"required": list(needed)} if needed else {}
    return {"type": "object", "properties": dict(properties), "additionalProperties": False, **required}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


def _has(name: str) -> Schema:
    return {"required": [name]}
