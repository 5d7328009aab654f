"""What words such as `axes.seed=[0,1,2]`, typed after a file's name, change in what the file holds."""

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from jaxgd.specs.keys import TOP
from jaxgd.specs.settings import known_settings

# A word of a list or an inline table that has no quotes and is no key: `full` in `[8, full]`.
_BARE = re.compile(r"""("[^"]*"|'[^']*')|(?<![\w.+:/-])([A-Za-z_][\w.+:/-]*+)(?!\s*=)""")
_TOML = {"true", "false", "inf", "nan"}


def overridden(document: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of the document with the values that the words give; whether they are known is not checked.

    Of `fixed`, `axes` and `draw.ranges`, the one that a word names has the setting then, and no other.

    Raises:
        ValueError: a word that is no key with a value, or whose key leads through what is no table.

    Example:
        >>> overridden({"epochs": 20, "fixed": {"depth": 2}}, ["epochs=5", "axes.depth=[1, 2]"])
        {'epochs': 5, 'fixed': {}, 'axes': {'depth': [1, 2]}}
    """
    changed = copy.deepcopy(dict(document))
    for word in overrides:
        key, sign, text = word.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not (sign and all(parts) and text.strip()):
            raise ValueError(f"{word!r} is no KEY=VALUE, such as epochs=5 or axes.seed=[0,1,2]")
        if parts[0] not in TOP and parts[0] in known_settings():
            raise ValueError(
                f"{word!r}: {parts[0]} is a setting; write fixed.{parts[0]}=... or axes.{parts[0]}=[...]"
            )
        *path, name = parts
        table = _table_at(changed, path, word)
        if path in (["fixed"], ["axes"], ["draw", "ranges"]):
            _take_out(changed, name, table)
        table[name] = _value(text.strip(), word)
    return changed


def names_of(overrides: Sequence[str]) -> set[str]:
    """The keys that the words give."""
    return {word.partition("=")[0].strip() for word in overrides}


def _table_at(document: dict[str, Any], path: Sequence[str], word: str) -> dict[str, Any]:
    """The table at a path, made where there is none."""
    table: Any = document
    for depth, name in enumerate(path, 1):
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise ValueError(f"{word!r}: {'.'.join(path[:depth])} is {table!r}, which has no keys")
    return table


def _take_out(document: Mapping[str, Any], name: str, stays: Mapping[str, Any]) -> None:
    """Take a setting out of the tables of settings but one, so that it is not given twice."""
    draw = document.get("draw")
    ranges = draw.get("ranges") if isinstance(draw, Mapping) else None
    for table in (document.get("fixed"), document.get("axes"), ranges):
        if isinstance(table, dict) and table is not stays:
            table.pop(name, None)


def _value(text: str, word: str) -> Any:
    """A value of TOML; what is none is a text, unless it begins as a list or a table does."""
    try:
        return _toml(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        if text[0] not in "[{":
            return text
    try:
        return _toml(_BARE.sub(_quoted, text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"{word!r}: {error}") from None


def _toml(text: str) -> Any:
    if "\n" in text:
        raise tomllib.TOMLDecodeError("a value stands on one line")
    return tomllib.loads(f"value = {text}")["value"]


def _quoted(found: re.Match) -> str:
    quoted, bare = found.groups()
    return quoted or (bare if bare in _TOML else f'"{bare}"')
