"""A sweep as a TOML file: read, and checked key by key before anything is loaded or compiled.

Every complaint is one line: the file, the key, what it holds and what is expected there.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxgd.arguments import is_there, path_of, unknown
from jaxgd.specs.keys import (
    BUDGET,
    DRAW,
    EARLY_STOPPING,
    LIST,
    NEEDED,
    NEEDED_OF_DRAW,
    RULE_SETTINGS,
    TABLE,
    TOP,
)
from jaxgd.specs.overriding import names_of, overridden
from jaxgd.specs.settings import COUNT_OR_ZERO, Allowed, check_settings, known_settings
from jaxgd.specs.sources import is_data_file, is_python
from jaxgd.sweeps.draws import draw, int_uniform, log_uniform, uniform

_TOO_DEEP = "lists or tables are nested too deep; no key needs more than three levels"
_RANGES = {"uniform": uniform, "log_uniform": log_uniform, "int_uniform": int_uniform}


class Spec(NamedTuple):
    """A sweep that a file describes.

    file: what complaints call it. document: what it holds, as JSON can hold it; a path to data is as it was
    typed. fixed: settings that all runs share. axes: as `jaxgd.sweep` takes them, drawn points among them.
    folder: where a relative path to data is looked for, the current folder if empty.
    """

    file: str
    document: dict[str, Any]
    fixed: dict[str, Any]
    axes: dict[str, list[Any]]
    folder: str = ""

    @property
    def data(self) -> str:
        """The data as they are loaded: a path with its folder, or a name."""
        data = self.document["data"]
        is_path = is_data_file(data) or Path(data.partition(":")[0]).suffix.lower() == ".py"
        return os.path.join(self.folder, data) if is_path else data


def read_spec(path: str | os.PathLike, overrides: Sequence[str] = ()) -> Spec:
    """The spec in a TOML file, with overrides. A relative path to data is looked for beside the file.

    Args:
        path: the file.
        overrides: words such as "epochs=5", "fixed.width=128" or "axes.seed=[0, 1]": a key, dots between its
            tables, and a value as TOML writes it; texts may be without their quotes. A setting is taken out
            of the table in which the file has it, and a path to data is looked for from the current folder.

    Raises:
        ValueError: what the file holds, or a word, is not what a sweep needs.
        OSError: the file cannot be read.

    Example:
        >>> read_spec("digits.toml", ["epochs=2", "axes.seed=[0]"]).document["epochs"]
        2
    """
    path = path_of("spec", path)
    if not is_there("spec", path):
        raise FileNotFoundError(f"spec is {str(path)!r}; there is no such file")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin with a mark
        changed = overridden(document, overrides)
    except OSError as error:
        raise OSError(f"spec is {str(path)!r}, which cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from None
    except RecursionError:
        raise ValueError(f"{path}: {_TOO_DEEP}") from None
    own_data = "data" in names_of(overrides)
    file = " ".join([str(path), "with", *overrides] if overrides else [str(path)])
    return parse_spec(changed, file)._replace(folder="" if own_data else os.path.dirname(path))


def parse_spec(document: Mapping[str, Any], file: str) -> Spec:
    """The spec of a document, checked; `file` is what complaints call it.

    Raises:
        ValueError: an unknown or missing key, a value of the wrong type, settings that do not go together.
    """
    try:
        _check_table("", document, TOP)
        for key in NEEDED:
            if key not in document:
                raise ValueError(f"{key} is missing; {TOP[key].text} is needed")
        _check_rules(document)
        known = _settings_of(document)
        fixed = document.get("fixed", {})
        _check_table("fixed", fixed, known)
        axes = _axes(document, known)
        _check_once(fixed, axes)
        values = values_by_setting(fixed, axes)
        if "early_stopping" in document and "patience" not in {*values, *document["early_stopping"]}:
            raise ValueError(f"early_stopping.patience is missing; {COUNT_OR_ZERO.text} is needed")
        own_model = document["data"] if is_python(document["data"]) else None
        check_settings(values, set(values) - set(fixed), own_model)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file}: {error}") from None
    except RecursionError:
        raise ValueError(f"{file}: {_TOO_DEEP}") from None
    return Spec(file, dict(document), dict(fixed), axes)


def values_by_setting(fixed: Mapping[str, Any], axes: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Every value that each setting has in the sweep."""
    values = {name: [value] for name, value in fixed.items()}
    for name, entries in axes.items():
        for entry in entries:
            for setting, value in entry.items() if isinstance(entry, Mapping) else [(name, entry)]:
                values.setdefault(setting, []).append(value)
    return values


def _settings_of(document: Mapping[str, Any]) -> dict[str, Allowed]:
    """The settings that this document may give; patience and its like if runs can stop early."""
    return known_settings() | (RULE_SETTINGS if "early_stopping" in document else {})


def _check_rules(document: Mapping[str, Any]) -> None:
    _check_table("early_stopping", document.get("early_stopping", {}), EARLY_STOPPING)
    _check_table("budget", document.get("budget", {}), BUDGET)
    if "budget" in document and len(document["budget"]) != 1:
        raise ValueError(f"budget needs exactly one of {', '.join(BUDGET)}")


def _axes(document: Mapping[str, Any], known: Mapping[str, Allowed]) -> dict[str, list[Any]]:
    """The axes: points or draws first, then the grid's."""
    if "points" in document and "draw" in document:
        raise ValueError("points and draw are both given; a sweep has one of them")
    axes: dict[str, list[Any]] = {}
    if "points" in document:
        axes["point"] = _points(document["points"], known)
    elif "draw" in document:
        axes["point"] = _draw(document["draw"], known)
    for name, values in document.get("axes", {}).items():
        key = f"axes.{name}"
        _check_known("axes", name, known)
        _check_value(key, values, LIST)
        _check_values(key, values, known[name])
        axes[name] = list(values)
    if not axes:
        raise ValueError("there is nothing to sweep over; give axes, points or draw")
    return axes


def _points(points: list, known: Mapping[str, Allowed]) -> list[dict[str, Any]]:
    if not points:
        raise ValueError("points is empty; at least one table is needed")
    for place, point in enumerate(points):
        _check_value(f"points[{place}]", point, TABLE)
        _check_table(f"points[{place}]", point, known)
        if missing := set(points[0]) - set(point):
            raise ValueError(f"points[{place}] has no {min(missing)}, which points[0] has")
    return [dict(point) for point in points]


def _draw(table: Mapping[str, Any], known: Mapping[str, Allowed]) -> list[dict[str, Any]]:
    _check_table("draw", table, DRAW)
    for key in NEEDED_OF_DRAW:
        if key not in table:
            raise ValueError(f"draw.{key} is missing; {DRAW[key].text} is needed")
    ranges = {}
    for name, given in table["ranges"].items():
        _check_known("draw.ranges", name, known)
        ranges[name] = _range(f"draw.ranges.{name}", given, known[name])
    points = draw(table["num"], ranges, table.get("method", "sobol"), table.get("seed", 0))
    for point in points:
        for name, value in point.items():
            _check_value(f"draw.ranges.{name}", value, known[name])
    return points


def _range(key: str, given: Any, allowed: Allowed) -> Any:
    """A range of `draw`: a list of values, or a table such as `{ log_uniform = [1e-4, 1.0] }`."""
    if isinstance(given, list):
        _check_values(key, given, allowed)
        return given
    expected = f"a list of values or a table with one of {', '.join(_RANGES)}"
    if not isinstance(given, Mapping) or not given:
        raise ValueError(_wrong(key, given, expected))
    for name in given:
        if name not in (*_RANGES, "log"):
            raise ValueError(unknown(f"key in {key}", name, (*_RANGES, "log")))
    kinds = [name for name in given if name in _RANGES]
    if len(kinds) != 1 or ("log" in given and kinds != ["int_uniform"]):
        raise ValueError(_wrong(key, dict(given), expected))
    ends = given[kinds[0]]
    if not isinstance(ends, list) or len(ends) != 2:
        raise ValueError(_wrong(f"{key}.{kinds[0]}", ends, "a list of two numbers"))
    more = {"log": given["log"]} if "log" in given else {}
    try:
        return _RANGES[kinds[0]](*ends, **more)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{key}: {error}") from None


def _check_once(fixed: Mapping[str, Any], axes: Mapping[str, list[Any]]) -> None:
    """Raise ValueError if a setting is given in two places."""
    points = set(axes["point"][0]) if "point" in axes else set()
    for name in {*fixed, *axes} & points | set(fixed) & set(axes):
        raise ValueError(f"{name} is given twice; a setting stands in fixed, axes, points or draw.ranges")


def _check_table(key: str, table: Mapping[str, Any], known: Mapping[str, Allowed]) -> None:
    """Raise ValueError unless every key of the table is known and every value allowed."""
    for name, value in table.items():
        _check_known(key, name, known)
        _check_value(f"{key}.{name}" if key else name, value, known[name])


def _check_known(key: str, name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        raise ValueError(unknown(f"key in {key}" if key else "key", name, known))


def _check_values(key: str, values: list, allowed: Allowed) -> None:
    if not values:
        raise ValueError(f"{key} is empty; at least one value is needed")
    for place, value in enumerate(values):
        _check_value(f"{key}[{place}]", value, allowed)


def _check_value(key: str, value: Any, allowed: Allowed) -> None:
    if isinstance(value, str) and allowed.words and value not in allowed.words:
        raise ValueError(f"{key}: {unknown('word', value, allowed.words)}")
    if not allowed.test(value):
        raise ValueError(_wrong(key, value, allowed.text))


def _wrong(key: str, value: Any, expected: str) -> str:
    return f"{key} is {value!r}; {expected} is expected"
