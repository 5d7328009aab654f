"""Functions by name, for Python's own pickle: it takes a function apart that JAX has wrapped, and fails."""

import functools
import importlib
import types
from typing import Any

# These pickle keeps by name itself.
_BY_NAME = (types.FunctionType, types.BuiltinFunctionType, type)


class Reference:
    """What is pickled in place of a function that its module has under its name; unpickled, that function."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    def __reduce__(self):
        return found, (self.module, self.name)


class Bindings:
    """What is pickled in place of a `functools.partial`, its parts by name where they need it."""

    def __init__(self, partial: functools.partial):
        self.partial = partial

    def __reduce__(self):
        parts = referred([self.partial.func, self.partial.args, self.partial.keywords])
        return bound, (type(self.partial), *parts)


def referred(value: Any) -> Any:
    """What to pickle in place of a value: functions that JAX has wrapped by name, also within partials."""
    if isinstance(value, functools.partial):
        return Bindings(value)
    if type(value) in (tuple, list):
        return type(value)(map(referred, value))
    if type(value) is dict:
        return {key: referred(item) for key, item in value.items()}
    if not callable(value) or isinstance(value, _BY_NAME):
        return value
    module, name = (getattr(value, key, None) for key in ("__module__", "__qualname__"))
    if isinstance(module, str) and isinstance(name, str) and _is_under(value, module, name):
        return Reference(module, name)
    return value


def _is_under(value: Any, module: str, name: str) -> bool:
    try:
        return found(module, name) is value
    except (ImportError, AttributeError):
        return False


def found(module: str, name: str) -> Any:
    """What a module has under a name, which may have dots."""
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))


def bound(kind: type, function: Any, arguments: Any, keywords: Any) -> Any:
    """The partial of that kind."""
    return kind(function, *arguments, **keywords)
