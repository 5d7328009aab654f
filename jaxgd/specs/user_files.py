"""Objects from a user's Python file, and the place in that file where something went wrong."""

import importlib
import importlib.util
import sys
import traceback
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from jaxgd.arguments import is_there


class UserFileError(Exception):
    """An error raised by a user's own code; its text is "file:line: what"."""


def load_object(place: str):
    """The object at "my.py:name" or "package.module:name", and the file it comes from; names may have dots.

    Raises `ValueError` if there is no such file, module or name, and `UserFileError` if running the file
    fails.
    """
    where, _, name = place.rpartition(":")
    module = _run_file(where, place) if where.endswith(".py") else _import_module(where, place)
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            near = get_close_matches(part, [n for n in dir(found) if not n.startswith("_")], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"data {place!r}: {where} has no {name!r}{hint}")
        found = getattr(found, part)
    return found, str(module.__file__)


def call_user(function, file: str):
    """What the user's function returns; an error inside it is a `UserFileError` with file and line."""
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise UserFileError(describe_error(error, file) or f"{file}: {_summary(error)}") from error


def describe_error(error: BaseException, file: str) -> str | None:
    """The error as "file:line: what", at the innermost of the file's lines in its traceback, or None."""
    if isinstance(error, SyntaxError) and error.filename and _same(error.filename, file):
        return f"{file}:{error.lineno}: SyntaxError: {error.msg}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if _same(f.filename, file)]
    return f"{file}:{lines[-1]}: {_summary(error)}" if lines else None


def _summary(error: BaseException) -> str:
    """The error's type and the first line of its text."""
    return f"{type(error).__name__}: {error}".splitlines()[0].removesuffix(": ")


def _same(first: str, second: str) -> bool:
    return Path(first).resolve() == Path(second).resolve()


def _run_file(file: str, place: str) -> ModuleType:
    path = Path(file)
    if not (is_there("data", file) and path.is_file()):
        raise ValueError(f"data {place!r}: there is no file {file}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    loader = spec.loader
    assert loader is not None
    module = importlib.util.module_from_spec(spec)
    # As `python my.py` does: the files beside it can be imported, and pickle and dataclasses find the module.
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules.setdefault(path.stem, module)
    call_user(lambda: loader.exec_module(module), file)
    module.__file__ = file
    return module


def _import_module(name: str, place: str) -> ModuleType:
    sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise UserFileError(f"{name}: {_summary(error)}") from error
        raise ValueError(f"data {place!r}: there is no module {error.name!r}") from None
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
        last = frames[-1]
        raise UserFileError(f"{last.filename}:{last.lineno}: {_summary(error)}") from error
