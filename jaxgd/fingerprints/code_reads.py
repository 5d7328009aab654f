"""What compiled Python code reads besides its arguments: globals, attributes, modules."""

import dis
import functools
import sys
import types
from pathlib import Path
from typing import NamedTuple

# A container on which code calls one of these is its own to change: a count of its calls, say.
_MUTATORS = frozenset({"append", "extend", "insert", "add", "update", "setdefault", "pop", "clear", "remove"})


class Reads(NamedTuple):
    """What code reads, functions within it included.

    globals: names that it looks up in its module. names: these, attributes, and texts (for `getattr`).
    imports: modules that it imports when it runs. changed: names that it changes itself, left out of the
    others.
    """

    globals: tuple[str, ...]
    names: frozenset[str]
    imports: tuple[str, ...]
    changed: frozenset[str]


@functools.lru_cache(maxsize=4096)
def reads_of(code: types.CodeType) -> Reads:
    """What the code reads."""
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "PUSH_NULL")]
    loads = {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    imports = {step.argval for step in steps if step.opname == "IMPORT_NAME"}
    names = set(code.co_names).union(const for const in code.co_consts if isinstance(const, str))
    changed = {name for name in _changed(steps) if isinstance(name, str)}
    changed -= {*code.co_cellvars, *code.co_varnames}
    for inner in (reads_of(const) for const in code.co_consts if isinstance(const, types.CodeType)):
        loads, imports = loads.union(inner.globals), imports.union(inner.imports)
        names, changed = names | inner.names, changed | (inner.changed - set(code.co_cellvars))
    return Reads(
        tuple(sorted(loads - changed)), frozenset(names - changed), tuple(sorted(imports)), frozenset(changed)
    )


def _changed(steps: list[dis.Instruction]):
    """Names of what is assigned to, in whole or by item, or changed by a method."""
    for place, step in enumerate(steps):
        if step.opname in ("STORE_GLOBAL", "STORE_ATTR", "STORE_DEREF"):
            yield step.argval
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and step.argval in _MUTATORS and place:
            yield steps[place - 1].argval
        elif step.opname == "STORE_SUBSCR" and place > 1:  # owner[key] = value
            yield steps[place - 2].argval
        elif step.opname == "COPY" and place > 2 and steps[place - 1].opname == "COPY":  # owner[key] += value
            yield steps[place - 3].argval


@functools.lru_cache(maxsize=1024)
def names_of_class(cls: type) -> frozenset[str]:
    """The names that the methods of a class read."""
    members = (member for base in cls.__mro__ for member in vars(base).values())
    codes = [member.__code__ for member in members if isinstance(member, types.FunctionType)]
    return frozenset().union(*(reads_of(code).names for code in codes))


@functools.lru_cache(maxsize=4096)
def is_library(module: str) -> bool:
    """Whether the module of this name is of Python, of jaxgd or of an installed package.

    Their functions are taken for constant. What has no file, as a notebook, is the user's.
    """
    root = module.partition(".")[0]
    return root in ("builtins", "jaxgd") or root in sys.stdlib_module_names or is_installed(module)


@functools.lru_cache(maxsize=4096)
def is_installed(module: str) -> bool:
    """Whether the module is of an installed package."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)
