"""JSON that every reader takes, and the reader of JSON that somebody else may have written."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# Of what is read: levels of brackets, and bytes.
DEEPEST, LARGEST = 200, 2**28
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


def json_text(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """The value as JSON; NaN and infinities, which JSON has not, are null.

    default: gives what stands for an object that JSON cannot hold.

    Raises:
        TypeError: such an object where no default is given.
    """
    return json.dumps(_finite(value), allow_nan=False, default=default)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def read_json(content: bytes, allow_nan: bool = False, most_bytes: int = LARGEST) -> Any:
    """What JSON in UTF-8 holds.

    allow_nan: take `NaN`, `Infinity` and `-Infinity` for the numbers that Python writes so.
    most_bytes: that are taken.

    Raises:
        ValueError: it is no JSON, has a key twice, a number that is not finite, more bytes or more levels of
            brackets (200) than may be; never RecursionError.
    """
    if len(content) > most_bytes:
        raise ValueError(f"it has {len(content)} bytes of JSON, and {most_bytes} at most are read")
    if (depth := _depth(content)) > DEEPEST:
        raise ValueError(f"its JSON is {depth} levels deep, and {DEEPEST} at most are read")
    strict: dict[str, Any] = {"parse_constant": _no_number, "parse_float": _finite_float}
    return json.loads(content.decode("utf-8"), object_pairs_hook=_table, **({} if allow_nan else strict))


def _depth(content: bytes) -> int:
    """The most brackets that are open at once, those in strings left out."""
    signs = np.frombuffer(_STRING.sub(b"", content), np.uint8)
    opened = np.isin(signs, list(b"[{")).astype(np.int64) - np.isin(signs, list(b"]}"))
    return int(np.cumsum(opened).max(initial=0))


def _no_number(text: str) -> Any:
    raise ValueError(f"its JSON has {text}, which is no number of JSON")


def _finite_float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"its JSON has the key {max(names, key=names.count)!r} twice")
    return table
