"""Whether a function gives the same whenever it is called, and changes nothing: as far as its code shows."""

import argparse
import builtins
import contextlib
import dis
import functools
import types
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np

from jaxgd.fingerprints.code_reads import is_library
from jaxgd.fingerprints.walk import PLAIN, is_importable
from jaxgd.pytrees import Static


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Packages whose functions and classes are taken to be pure, and modules of them that are not.
_PURE = _words(
    "jaxgd jax jaxlib optax numpy math functools dataclasses typing types collections flax equinox chex "
    "jaxtyping ml_dtypes argparse"
)
_IMPURE = ("numpy.random",)
_BUILTINS = _words(
    "abs all any bool callable complex dict divmod enumerate filter float frozenset getattr hasattr int "
    "isinstance issubclass len list map max min pow range reversed round set slice sorted tuple type zip "
    "object property staticmethod classmethod super NotImplemented Ellipsis"
)
# Newer Pythons add up floats more exactly than their operator does.
_SUMS = _words("sum fsum sumprod")
# Methods that change what they are of, write, or make a text of what they are given.
_CHANGING = _words(
    "append appendleft extend insert add update setdefault pop popitem clear remove discard sort reverse "
    "fill put write writelines send copyto setflags resize partition itemset rotate subtract move_to_end "
    "intersection_update difference_update symmetric_difference_update format format_map "
    "save savez savez_compressed savetxt tofile dump print callback"
)
_WRITES = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR", "DELETE_SUBSCR"})
_TEXTS = frozenset({"FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC", "CONVERT_VALUE", "BUILD_STRING"})
_FAST = ("LOAD_FAST", "LOAD_CONST")
# What is built by these is new, whatever they assign to.
_BUILDERS = frozenset({"__init__", "__new__", "__post_init__", "__repr__", "__eq__", "__hash__"})
# Objects of known types whose attributes are the user's own, and which attributes of the others are.
_OPEN = (types.SimpleNamespace, argparse.Namespace)
_CALLED = (types.FunctionType, types.MethodType, functools.partial)
# Of more objects than these nothing is known.
_MOST = 5000


def is_pure(values: Iterable[Any]) -> bool:
    """Whether nothing that functions among these values do, or those that they call, shows a side effect.

    Their own code must assign to nothing but its local names, make no text of what it is given, and call
    nothing but such code, a few builtins, and packages that are known. Anything else counts as impure.
    """
    return _Inspection().are_pure(values)


class _Inspection:
    """One pass over functions and all that they reach."""

    def __init__(self):
        self.met: dict[int, Any] = {}  # holding them keeps their ids taken

    def are_pure(self, values: Iterable[Any]) -> bool:
        return all(map(self.is_pure, values))

    def is_pure(self, value: Any) -> bool:
        if isinstance(value, PLAIN) or id(value) in self.met:
            return True
        self.met[id(value)] = value
        if len(self.met) > _MOST:
            return False
        if isinstance(value, np.ndarray | jax.Array | range | slice | property | Static):
            return True  # what a `Static` holds is called within programs, however often they are traced
        if isinstance(value, types.FunctionType):
            return self._is_pure_function(value)
        if isinstance(value, types.MethodType):
            return self.are_pure((value.__func__, value.__self__))
        if isinstance(value, type):
            return self._is_pure_class(value)
        if isinstance(value, functools.partial):
            return self.are_pure((value.func, value.args, value.keywords))
        if isinstance(value, dict):
            return self.are_pure(value.keys()) and self.are_pure(value.values())
        if isinstance(value, tuple | list | set | frozenset):
            return self.are_pure(value) and self.is_pure(type(value))
        return self._is_pure_object(value)

    def _is_pure_object(self, value: Any) -> bool:
        wrapped = getattr(value, "__wrapped__", None)
        if wrapped is not None and callable(value):  # of jax.jit, or functools.cache
            return self.is_pure(wrapped)
        if isinstance(value, types.BuiltinFunctionType):
            owner = value.__self__
            if not isinstance(owner, types.ModuleType | None):
                return False
            is_known = value.__name__ in _BUILTINS if owner is builtins else _is_known(value)
            return is_known and value.__name__ not in _SUMS
        if isinstance(value, staticmethod | classmethod):
            return self.is_pure(value.__func__)
        held = getattr(value, "__dict__", {}).values()
        if type(value) not in _OPEN and _is_known(type(value)):
            held = (one for one in held if isinstance(one, _CALLED))
        return self.is_pure(type(value)) and self.are_pure(held)

    def _is_pure_class(self, cls: type) -> bool:
        if cls.__module__ == "builtins":
            return cls.__name__ in _BUILTINS or issubclass(cls, BaseException)
        if _is_known(cls):
            return True
        if is_library(cls.__module__):
            return False
        members = (
            member
            for name, member in vars(cls).items()
            if name not in _BUILDERS and isinstance(member, types.FunctionType | staticmethod | classmethod)
        )
        bases = (base for base in cls.__bases__ if base is not object)
        return self.are_pure(members) and self.are_pure(bases)

    def _is_pure_function(self, function: types.FunctionType) -> bool:
        cells = dict(_variables(function))
        given = (*cells.values(), *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        given = [value for value in given if not isinstance(value, types.ModuleType)]
        if is_library(function.__globals__.get("__name__", "")):
            return _is_known(function) and (is_importable(function) or self.are_pure(given))
        return self._is_pure_code(function.__code__, function, cells) and self.are_pure(given)

    def _is_pure_code(self, code: types.CodeType, function: Any, loads: dict[str, Any]) -> bool:
        steps = [step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "PUSH_NULL")]
        if any(_shows_effect(place, steps, code) for place in range(len(steps))):
            return False
        if not all(self._is_pure_load(place, steps, function, loads) for place in range(len(steps))):
            return False
        inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
        return all(self._is_pure_code(one, function, loads) for one in inner)

    def _is_pure_load(self, place: int, steps: list, function: Any, loads: dict[str, Any]) -> bool:
        """Whether what a step loads from outside of the function is pure: of a module, what is used."""
        step = steps[place]
        if step.opname == "IMPORT_NAME":
            return _is_known_module(step.argval)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            scope = function.__globals__
            if step.argval not in scope:
                found = getattr(builtins, step.argval, None)
                return found is not None and self.is_pure(found)
            value = scope[step.argval]
        elif step.opname in ("LOAD_DEREF", "LOAD_CLASSDEREF") and step.argval in loads:
            value = loads[step.argval]
        else:
            return True
        for later in steps[place + 1 :]:
            if not isinstance(value, types.ModuleType):
                break
            if later.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
                return _is_known_module(value.__name__)  # getattr(jaxgd, hp.name), say
            if not hasattr(value, later.argval):
                return False
            value = getattr(value, later.argval)
        return self.is_pure(value)


def _shows_effect(place: int, steps: list, code: types.CodeType) -> bool:
    """Whether a step assigns to what is not a local name, changes it, or makes a text."""
    step, before = steps[place], steps[place - 1] if place else None
    if step.opname in _WRITES | _TEXTS or (step.opname == "BINARY_OP" and "%" in step.argrepr):
        return True
    if step.opname in ("STORE_DEREF", "DELETE_DEREF"):
        return step.argval in code.co_freevars
    if step.opname == "STORE_SUBSCR":
        near = [one.opname.startswith(_FAST) for one in steps[max(0, place - 2) : place]]
        return len(near) < 2 or not all(near)
    if step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
        is_own = before is not None and before.opname.startswith("LOAD_FAST")
        return step.argval.startswith("__") or (step.argval in _CHANGING and not is_own)
    return False


def _variables(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """The names that a function closes over, with what they hold, if anything."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # a name that is bound later
            yield name, cell.cell_contents


def _is_known(value: Any) -> bool:
    return _is_known_module(getattr(value, "__module__", None) or "")


def _is_known_module(name: str) -> bool:
    return name.partition(".")[0] in _PURE and not name.startswith(_IMPURE)
